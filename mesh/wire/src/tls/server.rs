//! The end that accepts: a certificate, its key, and the handshake.

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

/// How a server speaks TLS. It asks its clients for no certificate. Clones share its session tickets.
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// A server with this certificate (its own first, then those that vouch for it) and this key, both as PEM files, on the
    /// clock of `env`. It knows the protocols of `alpn`, most wanted first; where none are named, it takes any client's.
    ///
    /// # Errors
    /// Certificate or key cannot be read, or do not belong together.
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

    /// Shakes hands over an accepted stream, and gives the stream inside. It has no timeout of its own: wrap it.
    ///
    /// # Errors
    /// The stream broke, or one side refuses the other.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<BoxStream> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let session = acceptor.accept(TokioIo::new(stream)).await?;
        Ok(session::boxed(session.into(), ends))
    }
}
