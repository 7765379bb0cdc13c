//! The listeners that accept connections now, as the request path sees them: address, side, configuration, drain.
//!
//! `accept` opens and closes them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use shakedown_env::Owned;
use shakedown_types::Side;
use shakedown_wire::{Drain, HeadTimeout, TransportSecurity};
use shakedown_xds::table::{Direction, Listener, ListenerTls};

use crate::hash::ConnectionEnds;
use crate::origin::DownstreamClient;
use crate::secrets::Secrets;

/// The listeners of a proxy that accept connections, by address.
#[derive(Debug, Default)]
pub(crate) struct ActiveListeners(RefCell<BTreeMap<SocketAddr, Accepting>>);

/// An active listener and the task that accepts its connections, which ends on drop.
#[derive(Debug)]
pub(crate) struct Accepting {
    pub(crate) listener: Rc<ActiveListener>,
    pub(crate) _task: Owned,
}

/// An address that accepts connections.
#[derive(Debug)]
pub(crate) struct ActiveListener {
    address: SocketAddr,
    /// The configuration in force.
    config: RefCell<Arc<Listener>>,
    /// The bound on receiving a request's headers, shared with the connections.
    head_timeout: HeadTimeout,
    /// The transport security of new connections, shared with the accept loop.
    transport: TransportSecurity,
    /// The settings and the version of the secrets that `transport` was made of.
    transport_inputs: RefCell<(ListenerTls, u64)>,
    /// The URIs of the proxy's certificate for new connections.
    certificate_uris: RefCell<Rc<[Box<str>]>>,
    drain: Drain,
}

impl ActiveListeners {
    /// Removes all listeners, which the caller must drain or put back.
    pub(crate) fn take(&self) -> BTreeMap<SocketAddr, Accepting> {
        self.0.take()
    }

    /// Replaces all listeners.
    pub(crate) fn set(&self, listeners: BTreeMap<SocketAddr, Accepting>) {
        self.0.replace(listeners);
    }

    /// True if a listener accepts at this address.
    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        self.0.borrow().contains_key(&address)
    }

    /// True if `predicate` is true for some listener.
    pub(crate) fn any(&self, predicate: impl FnMut(&ActiveListener) -> bool) -> bool {
        let active = self.0.borrow();
        active.values().map(|entry| &*entry.listener).any(predicate)
    }

    /// All listeners, in the order of their addresses.
    pub(crate) fn list(&self) -> Vec<Rc<ActiveListener>> {
        let active = self.0.borrow();
        active
            .values()
            .map(|entry| Rc::clone(&entry.listener))
            .collect()
    }

    /// Closes every listener and its connections at once.
    pub(crate) fn close(&self) {
        for active in self.take().into_values() {
            active.listener.drain.stop();
        }
    }
}

impl ActiveListener {
    /// A listener with this configuration and no connections. `accept` accepts them.
    pub(crate) fn new(address: SocketAddr, config: &Arc<Listener>) -> ActiveListener {
        ActiveListener {
            address,
            config: RefCell::new(Arc::clone(config)),
            head_timeout: HeadTimeout::default(),
            transport: TransportSecurity::default(),
            transport_inputs: RefCell::default(),
            certificate_uris: RefCell::default(),
            drain: Drain::new(),
        }
    }

    /// The address that accepts connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a new configuration of the listener in force. Open connections keep only their transport.
    pub(crate) fn update(&self, config: &Arc<Listener>, secrets: &Secrets) {
        let manager = &config.manager;
        let bounds = [
            manager.request_headers_timeout,
            manager.request_timeout,
            config.stream_idle_timeout,
        ];
        self.head_timeout.set(bounds.into_iter().flatten().min());
        self.config.replace(Arc::clone(config));
        self.update_transport(&config.tls, secrets);
    }

    /// Renews the transport security of new connections, if the settings or the secrets have changed. Without its secrets
    /// the listener closes new connections. Source: Envoy, `DownstreamTlsContext` with secrets that are not ready.
    fn update_transport(&self, config: &ListenerTls, secrets: &Secrets) {
        let inputs = (config.clone(), secrets.version());
        if *self.transport_inputs.borrow() == inputs {
            return;
        }
        self.transport_inputs.replace(inputs);
        let made = match config {
            ListenerTls::Plaintext => return self.transport.set(None),
            ListenerTls::Permissive(tls) => secrets.server(tls, false),
            ListenerTls::Strict(tls) => secrets.server(tls, true),
        };
        match made {
            Ok(made) => {
                self.certificate_uris.replace(made.uris);
                self.transport.set(Some(made.tls));
            }
            Err(_missing) => self.transport.close(),
        }
    }

    /// Uses the current secrets for new connections.
    pub(crate) fn follow_secrets(&self, secrets: &Secrets) {
        let config = self.config();
        self.update_transport(&config.tls, secrets);
    }

    /// The transport security of new connections.
    pub(crate) fn transport(&self) -> &TransportSecurity {
        &self.transport
    }

    /// The URIs among the subject alternative names of the proxy's certificate for new connections.
    pub(crate) fn certificate_uris(&self) -> Rc<[Box<str>]> {
        Rc::clone(&self.certificate_uris.borrow())
    }

    /// The bound on receiving a request's headers.
    pub(crate) fn head_timeout(&self) -> &HeadTimeout {
        &self.head_timeout
    }

    /// The drain signal of its connections.
    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// The caller of a request, as far as the connection and its headers identify it.
    pub(crate) fn caller(&self, headers: &HeaderMap, ends: ConnectionEnds) -> DownstreamClient {
        DownstreamClient::from_request(
            &self.config.borrow().manager.origin,
            headers,
            ends.caller.ip(),
        )
    }

    /// The configuration in force. A request keeps the one that it began with.
    pub(crate) fn config(&self) -> Arc<Listener> {
        Arc::clone(&self.config.borrow())
    }

    /// The side of the proxy that its requests pass.
    pub(crate) fn side(&self) -> Side {
        match self.config.borrow().direction {
            Direction::Inbound => Side::Inbound,
            Direction::Outbound => Side::Outbound,
        }
    }

    /// The number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.drain.connections()
    }
}
