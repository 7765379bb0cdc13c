//! TLS over any stream of the environment: either end wraps a connected stream in a session, which is a stream again.
//!
//! Trusted certificates are given by the caller, and the time for checking their validity by the environment. Keys and
//! random values come from the operating system, or, in a reproducible environment, from a stream of its seed. There the
//! bytes on the wire are the same in every run, if the certificates' keys are Ed25519. Versions below TLS 1.2 are rejected.

mod client;
mod context;
mod credentials;
mod peer;
mod refusal;
mod seeded;
mod server;
mod session;
mod verifier;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use client::{Roots, ServerTrust, SharedTlsClient, TlsClient, lacks_http2};
pub use context::TlsContext;
pub use credentials::TlsCredentials;
pub use peer::PeerCertificate;
pub use refusal::{CertificateRefusal, refusal};
pub use server::{AcceptedSession, ClientAuth, SessionClient, TlsServer};

/// An error in the configuration of a TLS client or server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate cannot be parsed or used.
    #[error("read a certificate: {0}")]
    Certificate(String),
    /// A PEM file contains no certificate.
    #[error("found no certificate: expected a PEM file with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// A server's key cannot be used, or does not match its certificate.
    #[error("read a key: {0}")]
    Key(String),
    /// The name is not valid in a certificate.
    #[error("invalid server name `{0}`")]
    ServerName(String),
}

const HAS_SUITES: &str = "ring has the cipher suites of TLS 1.2 and 1.3";

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}

/// Parses the certificates of a PEM file, of which there must be at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
