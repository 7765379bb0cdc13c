//! Reasons for which a client rejects a server's certificate.

use std::fmt;
use std::io;

use rustls::CertificateError;

use super::verifier::is_authority;

/// The reason for which a server's certificate was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// No trusted authority has signed the certificate.
    UnknownIssuer,
    /// The certificate is for other names.
    Name(Vec<String>),
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is an authority's own, and was not among those added from PEM files.
    Authority,
    /// Another reason, as text.
    Other(String),
}

/// Returns the reason for which the server's certificate was rejected, if that is why a handshake failed.
pub fn refusal(error: &io::Error) -> Option<CertificateRefusal> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if is_authority(cause) {
        return Some(CertificateRefusal::Authority);
    }
    let rustls::Error::InvalidCertificate(cause) = cause else {
        return None;
    };
    Some(match cause {
        CertificateError::UnknownIssuer => CertificateRefusal::UnknownIssuer,
        CertificateError::NotValidForNameContext { presented, .. } => {
            CertificateRefusal::Name(presented.clone())
        }
        CertificateError::NotValidForName => CertificateRefusal::Name(Vec::new()),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateRefusal::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateRefusal::NotYetValid
        }
        CertificateError::Other(other) => CertificateRefusal::Other(other.0.to_string()),
        other => CertificateRefusal::Other(other.to_string()),
    })
}

impl fmt::Display for CertificateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateRefusal::UnknownIssuer => f.write_str("it was not issued by a known authority"),
            CertificateRefusal::Name(names) if names.is_empty() => f.write_str(
                "it contains no server name: create it with a subject alternative name (`-addext subjectAltName=DNS:localhost`)",
            ),
            CertificateRefusal::Name(names) => write!(f, "it is valid only for {}", names.join(", ")),
            CertificateRefusal::Expired => f.write_str("it has expired"),
            CertificateRefusal::NotYetValid => f.write_str("it is not valid yet"),
            CertificateRefusal::Authority => f.write_str(
                "it is self-signed or an authority's own certificate, and not among the given certificates",
            ),
            CertificateRefusal::Other(words) => f.write_str(words),
        }
    }
}
