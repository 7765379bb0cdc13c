//! The end that connects: whose certificates it takes, and the handshake.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use shakedown_env::{BoxStream, Env};
use tokio_rustls::TlsConnector;

use super::session;
use super::verifier::Verifier;
use super::{EnvClock, HAS_SUITES, TlsError, certificates, protocols, provider};

/// The authorities whose certificates a client takes.
#[derive(Clone, Debug)]
pub struct Roots {
    store: RootCertStore,
    /// Those that were named by PEM file: each also vouches for itself, as a server's self-signed certificate.
    pinned: Vec<CertificateDer<'static>>,
}

/// Whose certificates a client takes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that lead to one of these authorities, are of this time, and bear the server's name.
    Roots(Roots),
    /// Anyone's: the connection is encrypted, and nobody knows with whom.
    Anyone,
}

impl Roots {
    /// No authority.
    pub fn none() -> Roots {
        Roots {
            store: RootCertStore::empty(),
            pinned: Vec::new(),
        }
    }

    /// Adds the certificates of a PEM file, and says how many they are.
    ///
    /// # Errors
    /// It holds none, or one that cannot be read.
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
    /// It cannot be read.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TlsError> {
        self.store
            .add(CertificateDer::from(der).into_owned())
            .map_err(|error| TlsError::Certificate(error.to_string()))
    }

    /// Whether there is none: such a client takes no certificate.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }
}

/// How to speak TLS to one server. Clones share its session tickets.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl TlsClient {
    /// A client of `server`, a DNS name or an IP address, on the clock of `env`. It offers the protocols of `alpn`, most
    /// wanted first; a server that knows none of them ends the handshake.
    ///
    /// # Errors
    /// No certificate can bear that name.
    pub fn new(
        env: &Env,
        server: &str,
        trust: Trust,
        alpn: &[&[u8]],
    ) -> Result<TlsClient, TlsError> {
        let name = ServerName::try_from(server.to_owned())
            .map_err(|_| TlsError::ServerName(server.to_owned()))?;
        let (provider, clock) = (provider(), Arc::new(EnvClock(env.clone())));
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), clock)
            .with_safe_default_protocol_versions()
            .expect(HAS_SUITES);
        let mut config = match trust {
            Trust::Roots(roots) if roots.pinned.is_empty() => {
                builder.with_root_certificates(roots.store)
            }
            Trust::Roots(roots) => {
                let verifier = Verifier::for_named(roots.store, roots.pinned, provider)?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Verifier::for_anyone(provider))),
        }
        .with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        Ok(TlsClient {
            config: Arc::new(config),
            server: name,
        })
    }

    /// Shakes hands over a connected stream, and gives the stream inside. It has no timeout of its own: wrap it.
    ///
    /// # Errors
    /// The stream broke, or one side refuses the other; [`refusal`](super::refusal()) tells a certificate that was refused from the rest.
    pub async fn wrap(&self, stream: BoxStream) -> io::Result<BoxStream> {
        let ends = (stream.local_addr(), stream.peer_addr());
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let session = connector
            .connect(self.server.clone(), TokioIo::new(stream))
            .await?;
        self.agreed(session.get_ref().1.alpn_protocol())?;
        Ok(session::boxed(session.into(), ends))
    }

    /// Refuses a session over which the peer did not agree on HTTP/2 where nothing else was offered: HTTP/2 over TLS is
    /// spoken by ALPN only. A server without ALPN speaks HTTP/1.1. Source: RFC 9113, 3.2.
    fn agreed(&self, chosen: Option<&[u8]>) -> io::Result<()> {
        let only_http2 = matches!(self.config.alpn_protocols.as_slice(), [one] if one == HTTP2);
        if only_http2 && chosen != Some(HTTP2) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, NoHttp2));
        }
        Ok(())
    }
}

/// The name of HTTP/2 in ALPN.
const HTTP2: &[u8] = b"h2";

/// The server did not agree on HTTP/2 by ALPN, and nothing else was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server did not agree on HTTP/2 (`h2`) by ALPN")]
pub(super) struct NoHttp2;

/// Whether a handshake ended because the server does not agree on HTTP/2.
pub fn lacks_http2(error: &io::Error) -> bool {
    let Some(cause) = error.get_ref() else {
        return false;
    };
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    cause.is::<NoHttp2>() || cause.downcast_ref::<rustls::Error>() == Some(&alert)
}
