//! TLS over any world's stream: either end wraps a connected stream in a session, and gives a stream again.
//!
//! What certificates are checked against, their time included, comes from the caller and from [`Env`]; keys and randoms come
//! from rustls' provider (ring), which has its own entropy: bytes on the wire differ from run to run, their number and
//! their order do not. It refuses TLS below 1.2.

mod client;
mod refusal;
mod server;
mod session;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::time_provider::TimeProvider;
use shakedown_env::Env;

pub use client::{Roots, TlsClient, Trust, lacks_http2};
pub use refusal::{Refusal, refusal};
pub use server::TlsServer;

/// A client or server of TLS that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate cannot be used.
    #[error("read a certificate: {0}")]
    Certificate(String),
    /// A file of certificates holds none.
    #[error("found no certificate: a PEM file holds `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// A server's key cannot be used, or is another certificate's.
    #[error("read a key: {0}")]
    Key(String),
    /// It stands in no certificate.
    #[error("`{0}` is no name of a server")]
    ServerName(String),
}

const HAS_SUITES: &str = "ring has the cipher suites of TLS 1.2 and 1.3";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn protocols(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}

/// The certificates of a PEM file; at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(found)
}

/// A world's wall clock, for the validity of certificates.
#[derive(Debug)]
struct EnvClock(Env);

impl TimeProvider for EnvClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_nanos(self.0.unix_time().as_nanos());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

#[cfg(test)]
mod tests;
