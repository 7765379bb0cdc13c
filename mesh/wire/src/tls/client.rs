//! The end that connects: whose certificates it takes, and the handshake.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use shakedown_env::{BoxStream, Env};
use tokio_rustls::TlsConnector;

use super::anyone::Anyone;
use super::session;
use super::{EnvClock, HAS_SUITES, TlsError, certificates, protocols, provider};

/// The authorities whose certificates a client takes.
#[derive(Clone, Debug)]
pub struct Roots(RootCertStore);

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
        Roots(RootCertStore::empty())
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
        Ok(found.len())
    }

    /// Adds a certificate in DER.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TlsError> {
        self.0
            .add(CertificateDer::from(der).into_owned())
            .map_err(|error| TlsError::Certificate(error.to_string()))
    }

    /// Whether there is none: such a client takes no certificate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
            Trust::Roots(roots) => builder.with_root_certificates(roots.0),
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider))),
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
        Ok(session::boxed(session.into(), ends))
    }
}
