//! The accepting end of TLS: its certificate, the clients' certificates, and the handshake.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoClientAuth, ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use shakedown_env::BoxStream;
use tokio_rustls::LazyConfigAcceptor;

use super::client::Roots;
use super::context::EnvClock;
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
    /// The same without ALPN, for clients that offer only protocols that the server does not support.
    without_alpn: Arc<ServerConfig>,
}

/// A session after its handshake.
pub struct AcceptedSession {
    /// The decrypted stream.
    pub stream: BoxStream,
    /// The client's certificate, if it presented one.
    pub peer: Option<PeerCertificate>,
    /// The server name that the client asked for.
    pub sni: Option<Box<str>>,
}

impl TlsServer {
    /// Creates a server that supports the protocols of `alpn`, in order of preference. If it supports none of those that a
    /// client offers, the session has no negotiated protocol. Source: Envoy, `ServerContextImpl::alpnSelectCallback`.
    ///
    /// # Errors
    /// `clients` contains no authority.
    pub fn new(
        context: &TlsContext,
        credentials: &TlsCredentials,
        clients: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<TlsServer, TlsError> {
        let clock = Arc::<EnvClock>::clone(&context.clock);
        let provider = Arc::clone(&context.provider);
        let mut config = ServerConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .expect(HAS_SUITES)
            .with_client_cert_verifier(verifier(context, clients)?)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.0))));
        let without_alpn = Arc::new(config.clone());
        config.alpn_protocols = protocols(alpn);
        Ok(TlsServer {
            context: context.clone(),
            config: Arc::new(config),
            without_alpn,
        })
    }

    /// Performs the handshake over an accepted stream. The handshake is not timed here, so callers must add a timeout.
    ///
    /// # Errors
    /// The stream failed, or one side rejected the other.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<AcceptedSession> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let hello = LazyConfigAcceptor::new(Acceptor::default(), TokioIo::new(stream));
        let hello = self.context.run(hello).await?;
        let config = self.config_for(&hello.client_hello());
        let handshake = self.context.during(|| hello.into_stream(config));
        let session = self.context.run(handshake).await?;
        let (_, connection) = session.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        Ok(AcceptedSession {
            peer: chain.first().map(PeerCertificate::read).transpose()?,
            sni: connection.server_name().map(Box::from),
            stream: session::boxed(session.into(), ends),
        })
    }

    fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let supported = &self.config.alpn_protocols;
        let agrees = hello.alpn().is_none_or(|mut offered| {
            offered.any(|protocol| supported.iter().any(|own| own == protocol))
        });
        Arc::clone(if agrees {
            &self.config
        } else {
            &self.without_alpn
        })
    }
}

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
    let roots = Arc::new(roots.into_store());
    let provider = Arc::clone(&context.provider);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    if !required {
        builder = builder.allow_unauthenticated();
    }
    let built = builder.build();
    Ok(built.map_err(|error| TlsError::Certificate(error.to_string()))?)
}
