//! Opens, updates and drains listeners as the configuration changes, and accepts their connections. The first bytes of a
//! connection decide between HTTP/1.1 and HTTP/2.
//!
//! A listener that leaves the configuration closes at once; its connections have the drain time to finish, and close at
//! their next response.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::{BoxListener, Env};
use shakedown_wire::{AcceptedConnection, ServerOptions, accept_auto_until};
use shakedown_xds::table::{Direction, Listener, Routes, Table};

use crate::admission::{self, HEAD_BYTES_MAX};
use crate::bootstrap::Bootstrap;
use crate::connection::{DownstreamConnection, DownstreamSession};
use crate::hash::ConnectionEnds;
use crate::listener::{Accepting, ActiveListener};
use crate::shared::Shared;

/// A connection without a request for this long is closed. Source: Envoy, `common_http_protocol_options.idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// The time that connections have to finish after their listener was removed. Source: Istio, `drainDuration`, default 45 s.
const DRAIN_TIME: Duration = Duration::from_secs(45);
/// The port of Istio's outbound listener in every configuration. It is replaced by the bootstrap's.
const VIRTUAL_OUTBOUND_PORT: u16 = 15001;

/// The listeners of a table that could not be opened.
#[derive(Debug, Default)]
pub(crate) struct Unopened {
    /// Listeners whose address cannot be listened on.
    pub(crate) failed: Vec<(Arc<str>, io::Error)>,
    /// True if some listener's routes have not been received.
    waiting: bool,
}

impl Unopened {
    /// The reason why a listener is closed; `None` if all are open.
    pub(crate) fn reason(&self) -> Option<String> {
        if let Some((listener, error)) = self.failed.first() {
            return Some(format!("listener {listener} cannot be opened: {error}"));
        }
        self.waiting
            .then(|| "a listener is waiting for its routes".to_owned())
    }
}

/// Opens, updates and closes listeners until they match the table in force. A listener whose routes have not been received
/// stays closed, as in Envoy, because it could answer nothing but 404.
pub(crate) fn follow(shared: &Rc<Shared>) -> Unopened {
    let table = shared.state.table();
    let mut before = shared.listeners.take();
    let mut active = BTreeMap::new();
    let mut unopened = Unopened::default();
    for config in table.listeners.values() {
        let address = address(&shared.bootstrap, config);
        let accepting = match before.remove(&address) {
            Some(accepting) => accepting,
            None if !has_routes(&table, config) => {
                unopened.waiting = true;
                continue;
            }
            None => match listen(shared, address, config) {
                Ok(accepting) => accepting,
                Err(error) => {
                    unopened.failed.push((Arc::clone(&config.name), error));
                    continue;
                }
            },
        };
        accepting.listener.update(config, &shared.secrets);
        active.insert(address, accepting);
    }
    for removed in before.into_values() {
        drain(removed, &shared.env);
    }
    shared.listeners.set(active);
    unopened
}

/// Checks that a listener's address can be listened on. Envoy binds it before it acknowledges the listener. The address is
/// released at once, because the listener opens only when its routes have been received. An active listener passes.
pub(crate) fn check_address(shared: &Shared, config: &Listener) -> io::Result<()> {
    let address = address(&shared.bootstrap, config);
    if shared.listeners.contains(address) {
        return Ok(());
    }
    shared.env.check_listen(address)
}

fn listen(
    shared: &Rc<Shared>,
    address: SocketAddr,
    config: &Arc<Listener>,
) -> io::Result<Accepting> {
    let socket = shared.env.listen(address)?;
    let listener = Rc::new(ActiveListener::new(address, config));
    let accepting = accept(Rc::clone(shared), Rc::clone(&listener), socket);
    let task = shared.env.spawn_owned("proxy-accept", accepting);
    Ok(Accepting {
        listener,
        _task: task,
    })
}

/// Closes a listener, and its connections after the drain time.
fn drain(removed: Accepting, env: &Env) {
    let Accepting { listener, _task } = removed;
    listener.drain().retire();
    let time = env.sleep(DRAIN_TIME);
    env.spawn("proxy-drain", async move {
        time.await;
        listener.drain().stop();
    });
}

/// The address of a listener. The configuration may leave the IP, and on the outbound side the port, to the bootstrap.
fn address(bootstrap: &Bootstrap, config: &Listener) -> SocketAddr {
    let mut address = config.address;
    if address.ip().is_unspecified() {
        address.set_ip(bootstrap.address);
    }
    if config.direction == Direction::Outbound && address.port() == VIRTUAL_OUTBOUND_PORT {
        address.set_port(bootstrap.outbound_port);
    }
    address
}

fn has_routes(table: &Table, config: &Listener) -> bool {
    match &config.routes {
        Routes::Named(name) => table.routes.contains_key(name),
        Routes::Inline(_) => true,
    }
}

/// Accepts connections until the listener closes. Until the drain time is over a connection without requests stays open, as
/// in Envoy.
async fn accept(shared: Rc<Shared>, listener: Rc<ActiveListener>, socket: BoxListener) {
    let options = ServerOptions {
        max_header_bytes: HEAD_BYTES_MAX,
        service_refuses: true,
        transport: listener.transport().clone(),
        head_timeout: listener.head_timeout().clone(),
        idle_timeout: Some(IDLE_TIMEOUT),
        ..ServerOptions::default()
    };
    let (own, side) = (Rc::clone(&shared), Rc::clone(&listener));
    let make = move |accepted: AcceptedConnection| {
        let ends = ConnectionEnds {
            caller: accepted.addresses.peer,
            own: accepted.addresses.local,
        };
        let (shared, listener) = (Rc::clone(&own), Rc::clone(&side));
        let session = accepted.tls.map(|client| DownstreamSession {
            client,
            own_uris: listener.certificate_uris(),
        });
        let connection = Rc::new(DownstreamConnection {
            session,
            ..DownstreamConnection::default()
        });
        move |request| {
            let (shared, listener) = (Rc::clone(&shared), Rc::clone(&listener));
            let connection = Rc::clone(&connection);
            async move { admission::serve(&shared, &listener, &connection, ends, request).await }
        }
    };
    let (own, side) = (Rc::clone(&shared), Rc::clone(&listener));
    let ended = move |_connected, result| admission::record_codec_error(&own, &side, &result);
    let (env, name) = (&shared.env, "proxy-connection");
    accept_auto_until(env, socket, &options, name, listener.drain(), make, ended).await;
}
