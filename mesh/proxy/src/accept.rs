//! Takes connections: one gate per address that the configuration listens on, HTTP/1.1 on each connection.
//!
//! Limits are Envoy's: 60 KiB and 100 headers, beyond which hyper answers 431. A gate that leaves the configuration closes
//! at once; its connections have the drain time to finish, and close at their next response.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use shakedown_config::table::{Direction, Listener, Routes, Table};
use shakedown_env::{BoxListener, BoxStream, Env, Owned, Side, Sleep, Time};

use crate::handle::handle;
use crate::proxy::Proxy;
use crate::record::RecordedBody;

/// The most bytes of a request's head. Source: Envoy, `max_request_headers_kb`, default 60; its 100 headers are hyper's, too.
const HEADER_BYTES_MAX: usize = 60 * 1024;
/// A connection without a request for this long is closed. Source: Envoy, `common_http_protocol_options.idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long connections may go on after their listener has gone. Source: Istio, `drainDuration`, default 45 s.
const DRAIN_TIME: Duration = Duration::from_secs(45);
/// The rest after an accept that failed: no file descriptors left, as a rule.
const ACCEPT_REST: Duration = Duration::from_millis(10);
/// The port that Istio's outbound listener has in every configuration; ours is the bootstrap's.
const VIRTUAL_OUTBOUND_PORT: u16 = 15001;

/// The gates that are open.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    open: RefCell<BTreeMap<SocketAddr, Open>>,
}

/// How far the gates could follow the table.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Listeners that cannot listen.
    pub(crate) failed: Vec<(Arc<str>, io::Error)>,
    /// Some listener waits for its routes.
    pub(crate) waiting: bool,
}

/// An open gate and the task that accepts on it.
#[derive(Debug)]
struct Open {
    gate: Rc<Gate>,
    _accepting: Owned,
}

/// One address that is listened on.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    /// The listener as configured now.
    listener: RefCell<Arc<Listener>>,
    draining: Cell<bool>,
    connections: RefCell<BTreeMap<u64, Owned>>,
    next: Cell<u64>,
}

impl Gates {
    /// Opens, changes and closes gates until they are those of the table in force. A listener whose routes have not come
    /// stays closed, as in Envoy, rather than answer 404.
    pub(crate) fn follow(&self, proxy: &Rc<Proxy>) -> Followed {
        let table = proxy.state().table();
        let mut open = self.open.borrow_mut();
        let mut before = std::mem::take(&mut *open);
        let mut followed = Followed::default();
        for listener in table.listeners.values() {
            let address = address(proxy, listener);
            let gate = match before.remove(&address) {
                Some(gate) => gate,
                None if !has_routes(&table, listener) => {
                    followed.waiting = true;
                    continue;
                }
                None => match Open::listen(proxy, address, listener) {
                    Ok(gate) => gate,
                    Err(error) => {
                        followed.failed.push((Arc::clone(&listener.name), error));
                        continue;
                    }
                },
            };
            gate.gate.listener.replace(Arc::clone(listener));
            open.insert(address, gate);
        }
        for gone in before.into_values() {
            gone.drain(proxy.env());
        }
        followed
    }

    /// Closes every gate and its connections at once.
    pub(crate) fn close(&self) {
        for open in self.open.take().into_values() {
            open.gate.connections.take();
        }
    }

    /// The open gates.
    pub(crate) fn list(&self) -> Vec<Rc<Gate>> {
        self.open
            .borrow()
            .values()
            .map(|open| Rc::clone(&open.gate))
            .collect()
    }
}

impl Open {
    fn listen(
        proxy: &Rc<Proxy>,
        address: SocketAddr,
        listener: &Arc<Listener>,
    ) -> io::Result<Open> {
        let socket = proxy.env().listen(address)?;
        let gate = Rc::new(Gate {
            address,
            listener: RefCell::new(Arc::clone(listener)),
            draining: Cell::new(false),
            connections: RefCell::default(),
            next: Cell::new(0),
        });
        let accepting = accept(Rc::clone(proxy), Rc::clone(&gate), socket);
        let accepting = proxy.env().spawn_owned("proxy-accept", accepting);
        Ok(Open {
            gate,
            _accepting: accepting,
        })
    }

    fn drain(self, env: &Env) {
        let Open { gate, _accepting } = self;
        gate.draining.set(true);
        let time = env.sleep(DRAIN_TIME);
        env.spawn("proxy-drain", async move {
            time.await;
            gate.connections.take();
        });
    }
}

impl Gate {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener that a request which comes now belongs to.
    pub(crate) fn listener(&self) -> Arc<Listener> {
        Arc::clone(&self.listener.borrow())
    }

    /// Which side of the proxy it is.
    pub(crate) fn side(&self) -> Side {
        match self.listener.borrow().direction {
            Direction::Inbound => Side::Inbound,
            Direction::Outbound => Side::Outbound,
        }
    }

    /// How many connections it has.
    pub(crate) fn connections(&self) -> usize {
        self.connections.borrow().len()
    }
}

/// Where a listener listens: the configuration may leave the address, and for the outbound side the port, to the bootstrap.
fn address(proxy: &Proxy, listener: &Listener) -> SocketAddr {
    let mut address = listener.address;
    if address.ip().is_unspecified() {
        address.set_ip(proxy.bootstrap().address);
    }
    if listener.direction == Direction::Outbound && address.port() == VIRTUAL_OUTBOUND_PORT {
        address.set_port(proxy.bootstrap().outbound_port);
    }
    address
}

fn has_routes(table: &Table, listener: &Listener) -> bool {
    match &listener.routes {
        Routes::Named(name) => table.routes.contains_key(name),
        Routes::Inline(_) => true,
    }
}

async fn accept(proxy: Rc<Proxy>, gate: Rc<Gate>, mut socket: BoxListener) {
    loop {
        let Ok(stream) = socket.accept().await else {
            proxy.env().sleep(ACCEPT_REST).await;
            continue;
        };
        let id = gate.next.replace(gate.next.get() + 1);
        let (own_proxy, own_gate) = (Rc::clone(&proxy), Rc::clone(&gate));
        let connection = proxy.env().spawn_owned("proxy-connection", async move {
            serve(&own_proxy, &own_gate, stream).await;
            own_gate.connections.borrow_mut().remove(&id);
        });
        gate.connections.borrow_mut().insert(id, connection);
    }
}

/// Serves one connection to its end.
async fn serve(proxy: &Rc<Proxy>, gate: &Rc<Gate>, stream: BoxStream) {
    let activity = Activity::new(proxy.env().now());
    let service = service_fn(|request| respond(proxy, gate, &activity, request));
    let mut builder = http1::Builder::new();
    // hyper's own date header would read the system's clock.
    builder
        .auto_date_header(false)
        .max_header_size(HEADER_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut idle = IdleTimer::new(proxy.env(), &activity);
    let mut closing = false;
    poll_fn(|cx| {
        loop {
            // How it ended is known to the records of its requests.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if closing || idle.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
}

async fn respond(
    proxy: &Rc<Proxy>,
    gate: &Rc<Gate>,
    activity: &Activity,
    request: Request<Incoming>,
) -> Result<Response<RecordedBody>, Infallible> {
    let _busy = activity.begin(proxy.env());
    let mut response = handle(proxy, gate, request).await;
    if gate.draining.get() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// What a connection is doing, for its idle timer.
struct Activity {
    busy: Cell<bool>,
    since: Cell<Time>,
}

impl Activity {
    fn new(now: Time) -> Activity {
        Activity {
            busy: Cell::new(false),
            since: Cell::new(now),
        }
    }

    fn begin<'a>(&'a self, env: &'a Env) -> BusyConnection<'a> {
        self.busy.set(true);
        BusyConnection(self, env)
    }
}

/// A connection that has a request whose answer has not begun.
struct BusyConnection<'a>(&'a Activity, &'a Env);

impl Drop for BusyConnection<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.since.set(self.1.now());
    }
}

/// One timer a connection: a request only notes the time, and the timer looks at it when it fires.
struct IdleTimer<'a> {
    env: &'a Env,
    activity: &'a Activity,
    sleep: Sleep,
}

impl<'a> IdleTimer<'a> {
    fn new(env: &'a Env, activity: &'a Activity) -> IdleTimer<'a> {
        IdleTimer {
            env,
            activity,
            sleep: env.sleep(IDLE_TIMEOUT),
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = self.env.now();
            let since = if self.activity.busy.get() {
                now
            } else {
                self.activity.since.get()
            };
            if since + IDLE_TIMEOUT <= now {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(since + IDLE_TIMEOUT);
        }
        Poll::Pending
    }
}
