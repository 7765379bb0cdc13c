//! The TLS clients of a cluster's connections, which follow the cluster's configuration and the proxy's secrets.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use shakedown_wire::{PoolProtocol, SharedTlsClient};
use shakedown_xds::table::{UpstreamTls, UpstreamTransport};

use crate::secrets::Secrets;

/// The TLS clients of one cluster, one for each protocol that its connections speak.
#[derive(Debug)]
pub(super) struct ClusterTls {
    secrets: Secrets,
    config: RefCell<Option<Arc<UpstreamTls>>>,
    clients: RefCell<Vec<(PoolProtocol, SharedTlsClient)>>,
    /// The version of the secrets that the clients were made of.
    version: Cell<u64>,
}

impl ClusterTls {
    pub(super) fn new(secrets: &Secrets) -> ClusterTls {
        ClusterTls {
            secrets: secrets.clone(),
            config: RefCell::default(),
            clients: RefCell::default(),
            version: Cell::new(secrets.version()),
        }
    }

    /// Applies the configuration. Pools that were made for another one must be replaced.
    pub(super) fn configure(&self, transport: &UpstreamTransport) {
        let config = match transport {
            UpstreamTransport::Plaintext => None,
            UpstreamTransport::Tls(tls) | UpstreamTransport::MeshOnly(tls) => Some(tls),
        };
        if self.config.borrow().as_ref() != config {
            self.config.replace(config.cloned());
            self.clients.take();
        }
    }

    /// The client of connections with a protocol. `None`: plain text.
    pub(super) fn client(&self, protocol: PoolProtocol) -> Option<SharedTlsClient> {
        let config = self.config.borrow();
        let config = config.as_ref()?;
        let mut clients = self.clients.borrow_mut();
        if let Some((_, client)) = clients.iter().find(|(of, _)| *of == protocol) {
            return Some(client.clone());
        }
        let client = SharedTlsClient::default();
        client.set(self.secrets.client(config, protocol).ok());
        clients.push((protocol, client.clone()));
        Some(client)
    }

    /// Renews the clients if the secrets have changed. Open connections keep theirs.
    pub(super) fn follow_secrets(&self) {
        if self.version.replace(self.secrets.version()) == self.secrets.version() {
            return;
        }
        let config = self.config.borrow();
        for (protocol, client) in self.clients.borrow().iter() {
            let made = config
                .as_ref()
                .map(|config| self.secrets.client(config, *protocol));
            client.set(made.and_then(Result::ok));
        }
    }
}
