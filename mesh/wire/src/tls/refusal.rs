//! Reasons for which a client rejects a server's certificate.

use std::fmt;
use std::io;

use rustls::CertificateError;

use super::verifier::is_authority;

/// The reason for which a server's certificate was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
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
pub fn refusal(error: &io::Error) -> Option<Refusal> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if is_authority(cause) {
        return Some(Refusal::Authority);
    }
    let rustls::Error::InvalidCertificate(cause) = cause else {
        return None;
    };
    Some(match cause {
        CertificateError::UnknownIssuer => Refusal::UnknownIssuer,
        CertificateError::NotValidForNameContext { presented, .. } => {
            Refusal::Name(presented.clone())
        }
        CertificateError::NotValidForName => Refusal::Name(Vec::new()),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Refusal::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Refusal::NotYetValid
        }
        CertificateError::Other(other) => Refusal::Other(other.0.to_string()),
        other => Refusal::Other(other.to_string()),
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownIssuer => f.write_str("no known authority stands behind it"),
            Refusal::Name(names) if names.is_empty() => f.write_str(
                "it names no server: make it with a subject alternative name (`-addext subjectAltName=DNS:localhost`)",
            ),
            Refusal::Name(names) => write!(f, "it is one of {}", names.join(", ")),
            Refusal::Expired => f.write_str("it has expired"),
            Refusal::NotYetValid => f.write_str("it is not valid yet"),
            Refusal::Authority => f.write_str(
                "it is self-signed, or an authority's own, and not among the certificates that were given",
            ),
            Refusal::Other(words) => f.write_str(words),
        }
    }
}
