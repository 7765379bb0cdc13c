//! The accepting end of TLS: its certificate, the clients' certificates, and the handshake.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, NoClientAuth, ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use shakedown_env::BoxStream;
use tokio_rustls::LazyConfigAcceptor;

use super::client::Roots;
use super::context::check_expiry;
use super::peer::PeerCertificate;
use super::session;
use super::{HAS_SUITES, TlsContext, TlsCredentials, TlsError, protocols};

/// The certificates that a server requires of its clients. A certificate that is presented must be signed by one of the
/// authorities and be currently valid.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Clients are not asked for a certificate.
    None,
    /// Clients may present a certificate.
    Optional(Roots),
    /// Clients must present a certificate.
    Required(Roots),
}

/// The TLS configuration of a server. Clones share its session tickets.
#[derive(Clone, Debug)]
pub struct TlsServer {
    context: TlsContext,
    config: Arc<ServerConfig>,
    /// The application protocols, one of which a client must offer. Empty: all clients are accepted.
    offered: Arc<[Box<[u8]>]>,
}

/// A session after its handshake.
pub struct AcceptedSession {
    /// The decrypted stream.
    pub stream: BoxStream,
    pub client: SessionClient,
}

/// The client of a session, as its handshake identified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClient {
    /// The client's certificate, if it presented one.
    pub certificate: Option<PeerCertificate>,
    /// The server name that the client asked for.
    pub server_name: Option<Box<str>>,
}

impl TlsServer {
    /// Creates a server that supports the protocols of `alpn`, in order of preference. If `alpn` is empty, any client is
    /// accepted.
    ///
    /// # Errors
    /// `clients` contains no authority.
    pub fn new(
        context: &TlsContext,
        credentials: &TlsCredentials,
        clients: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<TlsServer, TlsError> {
        let clock = Arc::clone(&context.clock);
        let provider = Arc::clone(&context.provider);
        let mut config = ServerConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .expect(HAS_SUITES)
            .with_client_cert_verifier(verifier(context, clients)?)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.0))));
        config.alpn_protocols = protocols(alpn);
        Ok(TlsServer {
            context: context.clone(),
            config: Arc::new(config),
            offered: Arc::default(),
        })
    }

    /// Restricts the server to clients that offer one of these application protocols. The connections of others are closed
    /// without a handshake. If `protocols` is empty, all clients are accepted.
    #[must_use]
    pub fn requiring(self, protocols: &[Box<[u8]>]) -> TlsServer {
        TlsServer {
            offered: protocols.into(),
            ..self
        }
    }

    /// Performs the handshake over an accepted stream. The handshake is not timed here, so callers must add a timeout.
    ///
    /// # Errors
    /// The stream failed, one side rejected the other, or the client offers none of the required protocols.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<AcceptedSession> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let hello = LazyConfigAcceptor::new(Acceptor::default(), TokioIo::new(stream)).await?;
        if !self.offered.is_empty() {
            let mut protocols = hello.client_hello().alpn().into_iter().flatten();
            if !protocols.any(|protocol| self.offered.iter().any(|one| **one == *protocol)) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, NotOffered));
            }
        }
        let config = Arc::clone(&self.config);
        let handshake = self.context.during(|| hello.into_stream(config));
        let session = self.context.run(handshake).await?;
        let (_, connection) = session.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let certificate = chain.first().map(PeerCertificate::read).transpose()?;
        if let Some(certificate) = &certificate {
            check_expiry(&self.context, certificate)?;
        }
        Ok(AcceptedSession {
            client: SessionClient {
                certificate,
                server_name: connection.server_name().map(Box::from),
            },
            stream: session::boxed(session.into(), ends),
        })
    }
}

/// The client offers none of the application protocols that the server requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client offers none of the required protocols by ALPN")]
struct NotOffered;

/// The verifier of clients' certificates.
fn verifier(
    context: &TlsContext,
    clients: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let (roots, required) = match clients {
        ClientAuth::None => return Ok(Arc::new(NoClientAuth)),
        ClientAuth::Optional(roots) => (roots, false),
        ClientAuth::Required(roots) => (roots, true),
    };
    let roots = Arc::new(roots.store);
    let provider = Arc::clone(&context.provider);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    if !required {
        builder = builder.allow_unauthenticated();
    }
    let built = builder.build();
    built
        .map(|verifier| verifier as _)
        .map_err(|error| TlsError::Certificate(error.to_string()))
}
