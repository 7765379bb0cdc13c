//! The accepting end of TLS: a certificate, its key, and the handshake.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ServerConfig;
use shakedown_env::{BoxStream, Env};
use tokio_rustls::TlsAcceptor;

use super::session;
use super::{EnvClock, HAS_SUITES, TlsError, certificates, protocols, provider};

/// The TLS configuration of a server. Clients are not asked for certificates. Clones share its session tickets.
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// Creates a server with a certificate chain (its own certificate first) and its key, both in PEM, on the clock of
    /// `env`. The server supports the protocols of `alpn`, in order of preference. If `alpn` is empty, any client is
    /// accepted.
    ///
    /// # Errors
    /// The certificate or the key cannot be parsed, or they do not match.
    pub fn new(
        env: &Env,
        certificate: &[u8],
        key: &[u8],
        alpn: &[&[u8]],
    ) -> Result<TlsServer, TlsError> {
        let chain = certificates(certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let clock = Arc::new(EnvClock(env.clone()));
        let mut config = ServerConfig::builder_with_details(provider(), clock)
            .with_safe_default_protocol_versions()
            .expect(HAS_SUITES)
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| TlsError::Key(error.to_string()))?;
        config.alpn_protocols = protocols(alpn);
        Ok(TlsServer {
            config: Arc::new(config),
        })
    }

    /// Performs the handshake over an accepted stream, and returns the decrypted stream. The handshake is not timed here,
    /// so callers must add a timeout.
    ///
    /// # Errors
    /// The stream failed, or one side rejected the other.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<BoxStream> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let session = acceptor.accept(TokioIo::new(stream)).await?;
        Ok(session::boxed(session.into(), ends))
    }
}
