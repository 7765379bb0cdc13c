//! The certificate that the other end of a session presented.

use std::io;

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use shakedown_env::UnixTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The verified certificate of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The URIs among its subject alternative names, in their order. That of a workload is its SPIFFE identity.
    pub uris: Vec<Box<str>>,
    /// The DNS names among its subject alternative names, in their order.
    pub dns_names: Vec<Box<str>>,
    /// The subject, in RFC 2253's form. Empty for a workload's certificate.
    pub subject: Box<str>,
    /// The SHA-256 hash of the certificate in DER.
    pub hash: [u8; 32],
    /// The end of its validity.
    pub expires: UnixTime,
}

impl PeerCertificate {
    /// Reads a certificate that rustls has verified.
    pub(super) fn read(der: &CertificateDer<'_>) -> io::Result<PeerCertificate> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| invalid(error.to_string()))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| invalid(error.to_string()))?;
        let names = names.map_or(&[][..], |extension| &extension.value.general_names);
        let mut peer = PeerCertificate {
            uris: Vec::new(),
            dns_names: Vec::new(),
            subject: certificate.subject().to_string().into(),
            hash: Sha256::digest(der).into(),
            expires: UnixTime::from_timestamp(certificate.validity().not_after.timestamp()),
        };
        for name in names {
            match name {
                GeneralName::URI(uri) => peer.uris.push((*uri).into()),
                GeneralName::DNSName(name) => peer.dns_names.push((*name).into()),
                _ => {}
            }
        }
        Ok(peer)
    }
}
