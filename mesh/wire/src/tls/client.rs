//! The connecting end of TLS: trusted certificates and the handshake.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::client::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{HandshakeKind, RootCertStore};
use shakedown_env::BoxStream;
use tokio_rustls::TlsConnector;

use super::context::check_expiry;
use super::peer::PeerCertificate;
use super::session;
use super::verifier::Verifier;
use super::{HAS_SUITES, TlsContext, TlsCredentials, TlsError, certificates, protocols};

/// The authorities whose certificates a client trusts.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) store: RootCertStore,
    /// Certificates added from PEM files, each of which is also trusted as a server's own self-signed certificate.
    pinned: Vec<CertificateDer<'static>>,
}

/// The server certificates that a client accepts.
#[derive(Clone, Debug)]
pub enum ServerTrust {
    /// Currently valid certificates for the server's name, signed by one of these authorities.
    Roots(Roots),
    /// Currently valid certificates signed by one of these authorities that contain one of these names, as a URI or a
    /// DNS name. Without names, any of theirs. The server's own name is not checked.
    Listed(Roots, Vec<Box<str>>),
    /// Any certificate: the connection is encrypted, but the server is not authenticated.
    Anyone,
}

impl Roots {
    /// Returns an empty set of authorities.
    pub fn none() -> Roots {
        Roots {
            store: RootCertStore::empty(),
            pinned: Vec::new(),
        }
    }

    /// Adds the certificates of a PEM file, and returns their number.
    ///
    /// # Errors
    /// The file contains no certificate, or one that cannot be parsed.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<usize, TlsError> {
        let found = certificates(pem)?;
        for certificate in &found {
            self.add_der(certificate)?;
        }
        let count = found.len();
        self.pinned.extend(found);
        Ok(count)
    }

    /// Adds a certificate in DER.
    ///
    /// # Errors
    /// The certificate cannot be parsed.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TlsError> {
        self.store
            .add(CertificateDer::from(der).into_owned())
            .map_err(|error| TlsError::Certificate(error.to_string()))
    }

    /// Returns true if the set is empty, so that every certificate is rejected.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }
}

/// The TLS configuration for connections to one server. Clones share its session tickets.
#[derive(Clone, Debug)]
pub struct TlsClient {
    context: TlsContext,
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
    /// False if any certificate is accepted.
    verifies: bool,
}

impl TlsClient {
    /// Creates a client for `server`, a DNS name or an IP address; a DNS name is sent as SNI. The client offers the
    /// protocols of `alpn`, in order of preference. Without `credentials` the client presents no certificate.
    ///
    /// # Errors
    /// The name is not valid in a certificate.
    pub fn new(
        context: &TlsContext,
        server: &str,
        trust: ServerTrust,
        credentials: Option<&TlsCredentials>,
        alpn: &[&[u8]],
    ) -> Result<TlsClient, TlsError> {
        let verifies = !matches!(trust, ServerTrust::Anyone);
        let name = ServerName::try_from(server.to_owned())
            .map_err(|_| TlsError::ServerName(server.to_owned()))?;
        let provider = Arc::clone(&context.provider);
        let clock = Arc::clone(&context.clock);
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), clock)
            .with_safe_default_protocol_versions()
            .expect(HAS_SUITES);
        let builder = match trust {
            ServerTrust::Roots(roots) if roots.pinned.is_empty() => {
                builder.with_root_certificates(roots.store)
            }
            other => {
                let verifier = match other {
                    ServerTrust::Roots(roots) => {
                        Verifier::for_named(roots.store, roots.pinned, provider)?
                    }
                    ServerTrust::Listed(roots, names) => {
                        Verifier::for_listed(roots.store, names, provider)
                    }
                    ServerTrust::Anyone => Verifier::for_anyone(provider),
                };
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = match credentials {
            None => builder.with_no_client_auth(),
            Some(credentials) => {
                let always = SingleCertAndKey::from(Arc::clone(&credentials.0));
                builder.with_client_cert_resolver(Arc::new(always))
            }
        };
        config.alpn_protocols = protocols(alpn);
        Ok(TlsClient {
            context: context.clone(),
            config: Arc::new(config),
            server: name,
            verifies,
        })
    }

    /// Performs the handshake over a connected stream, and returns the decrypted stream. The handshake is not timed here,
    /// so callers must add a timeout.
    ///
    /// # Errors
    /// The stream failed, or one side rejected the other. Use [`refusal`](super::refusal()) to detect a rejected
    /// certificate.
    pub async fn wrap(&self, stream: BoxStream) -> io::Result<BoxStream> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connecting = self
            .context
            .during(|| connector.connect(self.server.clone(), TokioIo::new(stream)));
        let session = self.context.run(connecting).await?;
        let (_, connection) = session.get_ref();
        if self.verifies && connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            let chain = connection.peer_certificates().unwrap_or_default();
            let certificate = chain.first().map(PeerCertificate::read).transpose()?;
            if let Some(certificate) = certificate {
                check_expiry(&self.context, &certificate)?;
            }
        }
        self.agreed(session.get_ref().1.alpn_protocol())?;
        Ok(session::boxed(session.into(), ends))
    }

    /// Rejects a session without HTTP/2 if the client offered nothing else, because HTTP/2 over TLS requires ALPN. A
    /// server without ALPN speaks HTTP/1.1. Source: RFC 9113, 3.2.
    fn agreed(&self, chosen: Option<&[u8]>) -> io::Result<()> {
        let only_http2 = matches!(self.config.alpn_protocols.as_slice(), [one] if one == HTTP2);
        if only_http2 && chosen != Some(HTTP2) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, NoHttp2));
        }
        Ok(())
    }
}

/// The TLS client of new connections. Clones share it, so that its credentials can be renewed while connections are in use.
#[derive(Clone, Debug, Default)]
pub struct SharedTlsClient(Rc<RefCell<Option<TlsClient>>>);

impl SharedTlsClient {
    pub fn new(client: TlsClient) -> SharedTlsClient {
        SharedTlsClient(Rc::new(RefCell::new(Some(client))))
    }

    /// Replaces the client. `None`: connections fail, because its credentials are missing.
    pub fn set(&self, client: Option<TlsClient>) {
        self.0.replace(client);
    }

    /// Performs the handshake over a connected stream. Not timed, as in [`TlsClient::wrap`].
    ///
    /// # Errors
    /// Those of [`TlsClient::wrap`], or the client is missing.
    pub(crate) async fn wrap(&self, stream: BoxStream) -> io::Result<BoxStream> {
        let client = self.0.borrow().clone();
        let Some(client) = client else {
            let missing = "the certificate or the roots of the client are missing";
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        };
        client.wrap(stream).await
    }
}

/// The ALPN name of HTTP/2.
const HTTP2: &[u8] = b"h2";

/// The server did not agree on HTTP/2 by ALPN, and nothing else was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server did not negotiate HTTP/2 (`h2`) by ALPN")]
pub(super) struct NoHttp2;

/// Returns true if a handshake failed because the server does not agree on HTTP/2.
pub fn lacks_http2(error: &io::Error) -> bool {
    let Some(cause) = error.get_ref() else {
        return false;
    };
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    cause.is::<NoHttp2>() || cause.downcast_ref::<rustls::Error>() == Some(&alert)
}
