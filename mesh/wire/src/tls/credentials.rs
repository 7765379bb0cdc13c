//! The credentials of one end of a TLS session: a certificate chain and its private key.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{PeerCertificate, TlsContext, TlsError, certificates};

/// A certificate chain and its private key, which match.
#[derive(Clone, Debug)]
pub struct TlsCredentials(pub(super) Arc<CertifiedKey>);

impl TlsCredentials {
    /// Reads a chain (the own certificate first) and its key, both in PEM.
    ///
    /// # Errors
    /// The chain or the key cannot be parsed, or they do not match.
    pub fn from_pem(context: &TlsContext, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        TlsCredentials::new(&context.provider, certificates(chain)?, key)
    }

    /// Takes a chain (the own certificate first) in DER, and its key in PKCS #8.
    ///
    /// # Errors
    /// The key cannot be parsed, or does not match the certificate.
    pub fn from_der(
        context: &TlsContext,
        chain: &[CertificateDer<'static>],
        key: &[u8],
    ) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::Pkcs8(key.to_vec().into());
        TlsCredentials::new(&context.provider, chain.to_vec(), key)
    }

    /// Reads the own certificate.
    ///
    /// # Errors
    /// The certificate cannot be parsed.
    pub fn certificate(&self) -> Result<PeerCertificate, TlsError> {
        let own = self.0.cert.first().ok_or(TlsError::NoCertificate)?;
        PeerCertificate::read(own).map_err(|error| TlsError::Certificate(error.to_string()))
    }

    fn new(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let certified = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| TlsError::Key(error.to_string()))?;
        Ok(TlsCredentials(Arc::new(certified)))
    }
}
