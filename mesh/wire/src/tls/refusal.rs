//! Why a client takes a server's certificate for none.

use std::fmt;
use std::io;

use rustls::CertificateError;

/// Why a server's certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No authority of the client's stands behind it.
    UnknownIssuer,
    /// It is a certificate of other names.
    Name(Vec<String>),
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Something else, in words.
    Other(String),
}

/// Why the server's certificate was refused, where that is what ended a handshake.
pub fn refusal(error: &io::Error) -> Option<Refusal> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
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
        other => Refusal::Other(other.to_string()),
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownIssuer => f.write_str("no known authority stands behind it"),
            Refusal::Name(names) if names.is_empty() => f.write_str("it bears another name"),
            Refusal::Name(names) => write!(f, "it is one of {}", names.join(", ")),
            Refusal::Expired => f.write_str("it has expired"),
            Refusal::NotYetValid => f.write_str("it is not valid yet"),
            Refusal::Other(words) => f.write_str(words),
        }
    }
}
