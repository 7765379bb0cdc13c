//! The certificate authority: a root, an intermediate that it has signed, and the certificates that the intermediate signs
//! for workloads.

use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use shakedown_types::{SpiffeId, UnixTime};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::IdentityError;
use crate::files::AuthorityFiles;
use crate::key::{PrivateKey, workload_params};

/// The validity of a generated authority. Source: Istio, `CITADEL_SELF_SIGNED_CA_CERT_TTL`, 10 years.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A certificate authority, and the roots that workloads trust.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// The certificates between a workload's and the roots, that of the issuer first.
    chain: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// The validity of a certificate to be issued.
#[derive(Clone, Copy, Debug)]
pub struct CertificateTerms {
    pub now: UnixTime,
    /// The time from now to the end of the validity. Never beyond the authority's own validity.
    pub lifetime: Duration,
    /// The time by which the start of the validity precedes now, for peers whose clocks are behind.
    pub overlap: Duration,
}

/// A workload's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The certificates in DER, the workload's first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The end of the validity of the workload's certificate.
    pub expires: UnixTime,
}

impl IssuedCertificate {
    /// The chain in PEM.
    pub fn pem(&self) -> String {
        let blocks = self.chain.iter();
        blocks
            .map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", &**der)))
            .collect()
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl CertificateAuthority {
    /// Generates a root and an intermediate, valid for ten years, whose organization is the trust domain. Keys are drawn
    /// as by [`PrivateKey::generate`]. The root's key is discarded.
    ///
    /// # Errors
    /// The operating system has no random values.
    pub fn generate(
        trust_domain: &str,
        now: UnixTime,
        mut random: Option<&mut ChaCha8Rng>,
    ) -> Result<AuthorityFiles, IdentityError> {
        let mut key = || PrivateKey::generate(random.as_deref_mut());
        let (root_key, ca_key) = (key()?, key()?);
        let sign = |error: rcgen::Error| IdentityError::Sign(error.to_string());
        let root_params = authority_params(trust_domain, "Root CA", now, &root_key.pair);
        let root = root_params.self_signed(&root_key.pair).map_err(sign)?;
        let root_issuer = Issuer::new(root_params, root_key.pair);
        let params = authority_params(trust_domain, "Intermediate CA", now, &ca_key.pair);
        let ca = params.signed_by(&ca_key.pair, &root_issuer).map_err(sign)?;
        Ok(AuthorityFiles {
            ca_cert: ca.pem(),
            ca_key: ca_key.pem(),
            cert_chain: ca.pem(),
            root_cert: root.pem(),
        })
    }

    /// Restores an authority from its files.
    ///
    /// # Errors
    /// A file cannot be parsed, the certificate is not an authority's, or the key is not that of the certificate.
    pub fn from_files(files: &AuthorityFiles) -> Result<CertificateAuthority, IdentityError> {
        let wrong = |what: &str| IdentityError::Authority(what.to_owned());
        let own = certificates(&files.ca_cert, "ca-cert.pem")?;
        let own = own.first().ok_or_else(|| wrong("ca-cert.pem is empty"))?;
        let roots = certificates(&files.root_cert, "root-cert.pem")?;
        if roots.is_empty() {
            return Err(wrong("root-cert.pem is empty"));
        }
        let between = certificates(&files.cert_chain, "cert-chain.pem")?;
        let mut chain: Vec<_> = between
            .into_iter()
            .filter(|certificate| !roots.contains(certificate))
            .collect();
        if !roots.contains(own) && !chain.contains(own) {
            chain.insert(0, own.clone());
        }
        let key = PrivateKey::from_pem(&files.ca_key)?.pair;
        let (_, parsed) = X509Certificate::from_der(own)
            .map_err(|error| IdentityError::Authority(format!("ca-cert.pem: {error}")))?;
        if !parsed.is_ca() {
            return Err(wrong(
                "ca-cert.pem is not a certificate authority (CA:TRUE)",
            ));
        }
        if *parsed.public_key().subject_public_key.data != *key.der_bytes() {
            return Err(wrong("ca-key.pem is not the key of ca-cert.pem"));
        }
        let validity = parsed.validity();
        let issuer = Issuer::from_ca_cert_der(own, key)
            .map_err(|error| IdentityError::Authority(error.to_string()))?;
        Ok(CertificateAuthority {
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            issuer,
            chain,
            roots,
        })
    }

    /// The root certificates in DER, the first of which has signed this authority's.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Issues a certificate for an identity to the holder of a key, which has signed the request. Everything else in the
    /// request is ignored.
    ///
    /// # Errors
    /// The request cannot be parsed, its signature is invalid, or the authority's own certificate is not valid now.
    pub fn issue(
        &self,
        request: &str,
        id: &SpiffeId,
        terms: &CertificateTerms,
    ) -> Result<IssuedCertificate, IdentityError> {
        let request = CertificateSigningRequestParams::from_pem(request)
            .map_err(|error| IdentityError::Request(error.to_string()))?;
        let now = date(terms.now);
        if now < self.not_before || now >= self.not_after {
            return Err(IdentityError::OutOfValidity);
        }
        let mut params = workload_params(id)?;
        params.not_before = back(terms.now, terms.overlap).max(self.not_before);
        params.not_after = (now + terms.lifetime).min(self.not_after);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial(request.public_key.der_bytes(), terms.now));
        let signed = params.signed_by(&request.public_key, &self.issuer);
        let signed = signed.map_err(|error| IdentityError::Sign(error.to_string()))?;
        let mut chain = vec![signed.der().clone()];
        chain.extend(self.chain.iter().cloned());
        Ok(IssuedCertificate {
            chain,
            expires: UnixTime::from_timestamp(params.not_after.unix_timestamp()),
        })
    }
}

fn authority_params(
    trust_domain: &str,
    name: &str,
    now: UnixTime,
    key: &KeyPair,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, trust_domain);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = back(now, Duration::from_secs(3600));
    params.not_after = date(now) + AUTHORITY_LIFETIME;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial(key.der_bytes(), now));
    params
}

/// A serial number of 16 bytes, which differs between keys and between points in time. The highest bit is 0, so that the
/// number is positive.
fn serial(public_key: &[u8], now: UnixTime) -> SerialNumber {
    let mut hash = Sha256::new();
    hash.update(now.as_nanos().to_le_bytes());
    hash.update(public_key);
    let mut bytes = hash.finalize()[..16].to_vec();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from(bytes)
}

/// A point in time, in whole seconds as certificates have them.
fn date(at: UnixTime) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(at.as_nanos() / 1_000_000_000)
}

/// `span` before a point in time, but not before 1970, which verifiers reject.
fn back(at: UnixTime, span: Duration) -> OffsetDateTime {
    (date(at) - span).max(OffsetDateTime::UNIX_EPOCH)
}

fn certificates(pem: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| IdentityError::Authority(format!("{file}: {error}")))
}
