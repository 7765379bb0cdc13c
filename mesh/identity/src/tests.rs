//! An authority issues certificates that WebPKI accepts under its roots, and the same bytes for the same stream.

use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rustls_pki_types::{CertificateDer, UnixTime as PkiTime};
use shakedown_types::{SpiffeId, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{
    AuthorityFiles, CertificateAuthority, CertificateTerms, IdentityError, IssuedCertificate,
    PrivateKey,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_timestamp(seconds.cast_signed())
}

fn reviews() -> SpiffeId {
    SpiffeId::new("cluster.local", "default", "reviews").unwrap()
}

fn terms(now: u64) -> CertificateTerms {
    CertificateTerms {
        now: at(now),
        lifetime: DAY,
        overlap: Duration::from_secs(120),
    }
}

fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Returns an authority of a seed, and its files.
fn authority(seed: u64, now: u64) -> (AuthorityFiles, CertificateAuthority) {
    let random = &mut seeded(seed);
    let files = CertificateAuthority::generate("cluster.local", at(now), Some(random)).unwrap();
    let authority = CertificateAuthority::from_files(&files).unwrap();
    (files, authority)
}

/// Returns a signing request for an identity, with a key of its own.
fn request(id: &SpiffeId) -> String {
    let key = PrivateKey::generate(Some(&mut seeded(99))).unwrap();
    key.signing_request(id).unwrap()
}

/// Returns an authority's files, and the certificate that it issues for a workload.
fn issue(seed: u64, now: u64) -> (AuthorityFiles, IssuedCertificate) {
    let (files, authority) = authority(seed, now);
    let issued = authority.issue(&request(&reviews()), &reviews(), &terms(now));
    (files, issued.unwrap())
}

/// Verifies a chain as a TLS peer does, and returns the URIs of its first certificate.
fn verify(
    issued: &IssuedCertificate,
    roots: &[CertificateDer<'_>],
    now: u64,
    usage: KeyUsage,
) -> Result<Vec<String>, webpki::Error> {
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let leaf = EndEntityCert::try_from(&issued.chain[0])?;
    let now = PkiTime::since_unix_epoch(Duration::from_secs(now));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &issued.chain[1..],
        now,
        usage,
        None,
        None,
    )?;
    Ok(leaf.valid_uri_names().map(str::to_owned).collect())
}

fn roots(files: &AuthorityFiles) -> Vec<CertificateDer<'static>> {
    CertificateAuthority::from_files(files)
        .unwrap()
        .roots()
        .to_vec()
}

#[test]
fn a_certificate_is_valid_on_both_sides_of_a_session() {
    let (files, issued) = issue(1, 1_000_000);
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        let names = verify(&issued, &roots(&files), 1_000_000, usage).unwrap();
        assert_eq!(names, ["spiffe://cluster.local/ns/default/sa/reviews"]);
    }
    assert_eq!(issued.chain.len(), 2);
}

#[test]
fn a_certificate_has_a_first_and_a_last_second() {
    let (files, issued) = issue(1, 1_000_000);
    let accepted = |now| verify(&issued, &roots(&files), now, KeyUsage::server_auth()).is_ok();
    let end = 1_000_000 + DAY.as_secs();
    assert_eq!(issued.expires, at(end));
    assert_eq!([999_879, 999_880].map(accepted), [false, true]);
    assert_eq!([end, end + 1].map(accepted), [true, false]);
}

#[test]
fn another_root_does_not_vouch_for_a_certificate() {
    let (_, issued) = issue(1, 1_000_000);
    let (other, _) = issue(2, 1_000_000);
    let refused = verify(&issued, &roots(&other), 1_000_000, KeyUsage::server_auth());
    // Both roots have the same subject, so that the signature decides.
    let wanted = webpki::Error::InvalidSignatureForPublicKey;
    assert_eq!(refused, Err(wanted));
}

#[test]
fn one_stream_makes_the_same_certificates_and_another_stream_others() {
    assert_eq!(issue(1, 5), issue(1, 5));
    assert_ne!(issue(1, 5).1, issue(2, 5).1);
}

#[test]
fn keys_of_the_operating_system_are_unique_and_on_p_256() {
    let keys = [0; 2].map(|_| PrivateKey::generate(None).unwrap());
    assert_ne!(keys[0].pkcs8(), keys[1].pkcs8());
    let files = CertificateAuthority::generate("cluster.local", at(9), None).unwrap();
    let authority = CertificateAuthority::from_files(&files).unwrap();
    let request = keys[0].signing_request(&reviews()).unwrap();
    let issued = authority.issue(&request, &reviews(), &terms(9)).unwrap();
    verify(&issued, authority.roots(), 9, KeyUsage::client_auth()).unwrap();
}

#[test]
fn a_request_decides_nothing_but_the_key() {
    let (_, authority) = authority(1, 9);
    let admin = SpiffeId::new("cluster.local", "kube-system", "admin").unwrap();
    let issued = authority
        .issue(&request(&admin), &reviews(), &terms(9))
        .unwrap();
    let names = verify(&issued, authority.roots(), 9, KeyUsage::client_auth()).unwrap();
    assert_eq!(names, [reviews().to_string()]);
}

#[test]
fn a_forged_request_is_refused() {
    let (files, authority) = authority(1, 9);
    // The last bytes of the body are a part of the signature.
    let request = request(&reviews());
    let mut lines: Vec<String> = request.lines().map(str::to_owned).collect();
    let last = lines.len() - 2;
    let flipped = if lines[last].starts_with('A') {
        "B"
    } else {
        "A"
    };
    lines[last].replace_range(0..1, flipped);
    for broken in [lines.join("\n"), String::new(), files.ca_cert.clone()] {
        let refused = authority.issue(&broken, &reviews(), &terms(9));
        assert!(
            matches!(refused, Err(IdentityError::Request(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn an_authority_issues_nothing_beyond_its_own_validity() {
    let (_, authority) = authority(1, 1_000_000);
    let request = request(&reviews());
    let end = 1_000_000 + 3650 * DAY.as_secs();
    let issued = authority
        .issue(&request, &reviews(), &terms(end - 60))
        .unwrap();
    assert_eq!(issued.expires, at(end));
    for now in [0, end] {
        let refused = authority.issue(&request, &reviews(), &terms(now));
        assert!(
            matches!(refused, Err(IdentityError::OutOfValidity)),
            "{refused:?}"
        );
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let ((one, _), (two, _)) = (authority(1, 9), authority(2, 9));
    let with_key = AuthorityFiles {
        ca_key: two.ca_key.clone(),
        ..one.clone()
    };
    let without_root = AuthorityFiles {
        root_cert: String::new(),
        ..one.clone()
    };
    let not_parsed = AuthorityFiles {
        ca_cert: "hello".into(),
        ..one.clone()
    };
    for (files, wanted) in [
        (with_key, "ca-key.pem is not the key"),
        (without_root, "root-cert.pem is empty"),
        (not_parsed, "ca-cert.pem is empty"),
    ] {
        let error = CertificateAuthority::from_files(&files).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let (files, authority) = authority(1, 9);
    let key = PrivateKey::from_pem(&files.ca_key).unwrap();
    let printed = format!("{files:?} {authority:?} {key:?}");
    assert!(!printed.contains("PRIVATE KEY"), "{printed}");
}
