//! The proxy's certificates, keys and trusted roots, by the names that its configuration gives them, and the TLS servers and
//! clients that are made of them. Source: Envoy, secret discovery service.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::Env;
use shakedown_wire::{
    ClientAuth, PoolProtocol, Roots, ServerTls, ServerTrust, TlsClient, TlsContext, TlsCredentials,
    TlsError, TlsServer,
};
use shakedown_xds::table::{ClientCertificates, DownstreamTls, UpstreamTls, UpstreamTrust};

/// The secrets of one proxy. Clones share them, and new connections use those that are set last.
#[derive(Clone)]
pub struct Secrets(Rc<SecretStore>);

struct SecretStore {
    env: Env,
    /// Created on first use, because most proxies of a plain-text mesh have no secret.
    context: OnceCell<TlsContext>,
    certificates: RefCell<BTreeMap<Arc<str>, OwnCertificate>>,
    roots: RefCell<BTreeMap<Arc<str>, Roots>>,
    version: Cell<u64>,
    /// Called after each change.
    listener: RefCell<Option<Rc<dyn Fn()>>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.0.certificates.borrow();
        f.debug_struct("Secrets")
            .field("certificates", &certificates.keys())
            .field("roots", &self.0.roots.borrow().keys())
            .finish_non_exhaustive()
    }
}

/// A certificate of the proxy, and its key.
#[derive(Clone, Debug)]
struct OwnCertificate {
    credentials: TlsCredentials,
    /// The URIs among its subject alternative names.
    uris: Rc<[Box<str>]>,
}

/// The reason why a TLS server or client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the secret `{0}` is missing")]
    Missing(Arc<str>),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A TLS server, and the URIs of its certificate.
#[derive(Clone, Debug)]
pub(crate) struct SecretServer {
    pub(crate) tls: ServerTls,
    pub(crate) uris: Rc<[Box<str>]>,
}

impl Secrets {
    /// No secrets, for the proxy of `env`.
    pub fn new(env: Env) -> Secrets {
        Secrets(Rc::new(SecretStore {
            env,
            context: OnceCell::new(),
            certificates: RefCell::default(),
            roots: RefCell::default(),
            version: Cell::new(0),
            listener: RefCell::default(),
        }))
    }

    /// Sets a certificate (with its chain) and its key, both in PEM.
    ///
    /// # Errors
    /// The chain or the key cannot be parsed, or they do not match.
    pub fn set_certificate(&self, name: &str, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let credentials = TlsCredentials::from_pem(self.context(), chain, key)?;
        let uris = credentials.certificate()?.uris.into();
        let own = OwnCertificate { credentials, uris };
        self.0.certificates.borrow_mut().insert(name.into(), own);
        self.changed();
        Ok(())
    }

    /// Sets trusted roots in PEM.
    ///
    /// # Errors
    /// The text contains no certificate, or one that cannot be parsed.
    pub fn set_roots(&self, name: &str, pem: &[u8]) -> Result<(), TlsError> {
        let mut roots = Roots::none();
        roots.add_pem(pem)?;
        self.0.roots.borrow_mut().insert(name.into(), roots);
        self.changed();
        Ok(())
    }

    /// Sets the function to call after each change.
    pub(crate) fn on_change(&self, listener: impl Fn() + 'static) {
        self.0.listener.replace(Some(Rc::new(listener)));
    }

    fn changed(&self) {
        self.0.version.set(self.version() + 1);
        let listener = self.0.listener.borrow().clone();
        if let Some(listener) = listener {
            listener();
        }
    }

    /// The number of changes so far. Servers and clients that were made of an earlier version are outdated.
    pub(crate) fn version(&self) -> u64 {
        self.0.version.get()
    }

    fn context(&self) -> &TlsContext {
        self.0.context.get_or_init(|| TlsContext::new(&self.0.env))
    }

    fn certificate(&self, name: &Arc<str>) -> Result<OwnCertificate, SecretError> {
        let known = self.0.certificates.borrow();
        let found = known.get(name).cloned();
        found.ok_or_else(|| SecretError::Missing(Arc::clone(name)))
    }

    fn roots(&self, name: &Arc<str>) -> Result<Roots, SecretError> {
        let known = self.0.roots.borrow();
        let found = known.get(name).cloned();
        found.ok_or_else(|| SecretError::Missing(Arc::clone(name)))
    }

    /// The server of a listener. `required`: plain text is not accepted.
    pub(crate) fn server(
        &self,
        config: &DownstreamTls,
        required: bool,
    ) -> Result<SecretServer, SecretError> {
        let own = self.certificate(&config.certificate)?;
        let clients = match &config.client {
            ClientCertificates::None => ClientAuth::None,
            ClientCertificates::Optional(roots) => ClientAuth::Optional(self.roots(roots)?),
            ClientCertificates::Required(roots) => ClientAuth::Required(self.roots(roots)?),
        };
        let alpn: Vec<&[u8]> = config.alpn.iter().map(AsRef::as_ref).collect();
        let server = TlsServer::new(self.context(), &own.credentials, clients, &alpn)?;
        Ok(SecretServer {
            tls: ServerTls {
                server: server.requiring(&config.offered),
                required,
                handshake_timeout: config.handshake_timeout,
            },
            uris: own.uris,
        })
    }

    /// The client of a cluster's connections with one protocol.
    pub(crate) fn client(
        &self,
        config: &UpstreamTls,
        protocol: PoolProtocol,
    ) -> Result<TlsClient, SecretError> {
        let own = config.certificate.as_ref();
        let own = own.map(|name| self.certificate(name)).transpose()?;
        let trust = match &config.trust {
            UpstreamTrust::Anyone => ServerTrust::Anyone,
            UpstreamTrust::Roots { roots, names } => {
                ServerTrust::Listed(self.roots(roots)?, names.clone())
            }
        };
        Ok(TlsClient::new(
            self.context(),
            config.sni.as_deref().unwrap_or(NO_SERVER_NAME),
            trust,
            own.as_ref().map(|own| &own.credentials),
            &alpn(config, protocol),
        )?)
    }
}

/// A server of this name is sent no server name, because it is an address.
const NO_SERVER_NAME: &str = "0.0.0.0";

/// The application protocols to offer: those of the configuration that a connection with this protocol can speak. Istio
/// chooses them by the protocol as well, in its filter `istio.alpn`. Without any, Envoy offers the protocol itself.
fn alpn(config: &UpstreamTls, protocol: PoolProtocol) -> Vec<&[u8]> {
    let (own, other): (&[u8], &[u8]) = match protocol {
        PoolProtocol::Http1 => (b"http/1.1", b"h2"),
        PoolProtocol::Http2 => (b"h2", b"http/1.1"),
    };
    if config.alpn.is_empty() {
        return vec![own];
    }
    let names = config.alpn.iter().map(AsRef::as_ref);
    names
        .filter(|name: &&[u8]| !name.ends_with(other))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(alpn: &[&str], protocol: PoolProtocol) -> Vec<String> {
        let config = UpstreamTls {
            sni: None,
            certificate: None,
            trust: UpstreamTrust::Anyone,
            alpn: alpn.iter().map(|name| name.as_bytes().into()).collect(),
        };
        let names = super::alpn(&config, protocol);
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        names.into_iter().map(text).collect()
    }

    #[test]
    fn a_client_offers_only_protocols_that_it_speaks() {
        let istio = ["istio-h2", "istio-http/1.1", "istio", "h2", "http/1.1"];
        assert_eq!(
            offered(&istio, PoolProtocol::Http1),
            ["istio-http/1.1", "istio", "http/1.1"]
        );
        assert_eq!(
            offered(&istio, PoolProtocol::Http2),
            ["istio-h2", "istio", "h2"]
        );
        assert_eq!(offered(&[], PoolProtocol::Http1), ["http/1.1"]);
        assert_eq!(offered(&[], PoolProtocol::Http2), ["h2"]);
    }
}
