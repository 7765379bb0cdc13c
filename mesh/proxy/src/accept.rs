//! Takes connections: one gate per address that the configuration listens on, HTTP/1.1 or HTTP/2 on each connection,
//! whichever its client begins with.
//!
//! Limits are Envoy's: 60 KiB of headers, and 100 of them over HTTP/1.1; beyond these 431. A gate that leaves the
//! configuration closes at once; its connections have the drain time to finish, and close at their next response.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use shakedown_env::{BoxListener, Env, Owned};
use shakedown_types::{ResponseFlags, Side};
use shakedown_wire::{
    BadHead, Body, Connected, Drain, HeadTimeout, ServeError, ServerOptions, accept_auto_until,
};
use shakedown_xds::table::{Direction, Listener, Routes, Table};

use crate::connection::Connection;
use crate::handle::handle;
use crate::hash::Ends;
use crate::origin::Caller;
use crate::proxy::Proxy;
use crate::record::{Record, RecordedBody};
use crate::refusal::{self, Refusal};
use crate::send::Wire;

/// The most bytes of a request's head. Source: Envoy, `max_request_headers_kb`, default 60. Its 100 headers are wire's, too.
const HEAD_BYTES_MAX: usize = 60 * 1024;
/// A connection without a request for this long is closed. Source: Envoy, `common_http_protocol_options.idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long connections may go on after their listener has gone. Source: Istio, `drainDuration`, default 45 s.
const DRAIN_TIME: Duration = Duration::from_secs(45);
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

impl Followed {
    /// Why a listener does not listen, if one does not.
    pub(crate) fn closed(&self) -> Option<String> {
        if let Some((listener, error)) = self.failed.first() {
            return Some(format!("listener {listener} does not listen: {error}"));
        }
        self.waiting
            .then(|| "a listener waits for its routes".to_owned())
    }
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
    /// How long a request's headers may take there.
    head_timeout: HeadTimeout,
    drain: Drain,
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
            gate.gate.follow(listener);
            open.insert(address, gate);
        }
        for gone in before.into_values() {
            gone.drain(proxy.env());
        }
        followed
    }

    /// Finds out whether a listener can listen before it is acknowledged, as Envoy binds it then. The address is given back at
    /// once: the gate opens only when the listener's routes have come. One that listens already stays as it is.
    pub(crate) fn bind(&self, proxy: &Proxy, listener: &Listener) -> io::Result<()> {
        let address = address(proxy, listener);
        if self.open.borrow().contains_key(&address) {
            return Ok(());
        }
        proxy.env().check_listen(address)
    }

    /// Closes every gate and its connections at once.
    pub(crate) fn close(&self) {
        for open in self.open.take().into_values() {
            open.gate.drain.stop();
        }
    }

    /// Whether some open gate is so.
    pub(crate) fn any(&self, is_so: impl FnMut(&Gate) -> bool) -> bool {
        let open = self.open.borrow();
        open.values().map(|open| &*open.gate).any(is_so)
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
        let gate = Rc::new(Gate::new(address, listener));
        let accepting = accept(Rc::clone(proxy), Rc::clone(&gate), socket);
        let accepting = proxy.env().spawn_owned("proxy-accept", accepting);
        Ok(Open {
            gate,
            _accepting: accepting,
        })
    }

    fn drain(self, env: &Env) {
        let Open { gate, _accepting } = self;
        gate.drain.retire();
        let time = env.sleep(DRAIN_TIME);
        env.spawn("proxy-drain", async move {
            time.await;
            gate.drain.stop();
        });
    }
}

impl Gate {
    /// One that nobody listens at yet.
    pub(crate) fn new(address: SocketAddr, listener: &Arc<Listener>) -> Gate {
        Gate {
            address,
            listener: RefCell::new(Arc::clone(listener)),
            head_timeout: HeadTimeout::default(),
            drain: Drain::new(),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes over what the listener is now.
    fn follow(&self, listener: &Arc<Listener>) {
        let manager = &listener.manager;
        let bounds = [
            manager.request_headers_timeout,
            manager.request_timeout,
            listener.stream_idle_timeout,
        ];
        self.head_timeout.set(bounds.into_iter().flatten().min());
        self.listener.replace(Arc::clone(listener));
    }

    /// What ends its connections.
    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Who has sent a request.
    pub(crate) fn caller(&self, headers: &HeaderMap, ends: Ends) -> Caller {
        Caller::of(
            &self.listener.borrow().manager.origin,
            headers,
            ends.caller.ip(),
        )
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
        self.drain.connections()
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

/// Accepts until the gate closes. A connection without requests stays until its time is up, as in Envoy.
async fn accept(proxy: Rc<Proxy>, gate: Rc<Gate>, socket: BoxListener) {
    let options = ServerOptions {
        max_header_bytes: HEAD_BYTES_MAX,
        service_refuses: true,
        head_timeout: gate.head_timeout.clone(),
        idle_timeout: Some(IDLE_TIMEOUT),
        ..ServerOptions::default()
    };
    let make = |connected: Connected| {
        let ends = Ends {
            caller: connected.peer,
            own: connected.local,
        };
        let (proxy, gate) = (Rc::clone(&proxy), Rc::clone(&gate));
        let connection = Rc::new(Connection::default());
        move |request| {
            let (proxy, gate) = (Rc::clone(&proxy), Rc::clone(&gate));
            let connection = Rc::clone(&connection);
            async move { respond(&proxy, &gate, &connection, ends, request).await }
        }
    };
    let (told, side) = (Rc::clone(&proxy), Rc::clone(&gate));
    let ended = move |_connected, result| refused(&told, &side, &result);
    let (env, name) = (proxy.env(), "proxy-connection");
    accept_auto_until(env, socket, &options, name, &gate.drain, make, ended).await;
}

async fn respond(
    proxy: &Rc<Proxy>,
    gate: &Gate,
    connection: &Connection,
    ends: Ends,
    request: Request<Body>,
) -> Response<RecordedBody> {
    if let Some(why) = request.extensions().get::<BadHead>() {
        if request.version() == Version::HTTP_2 {
            return reset(proxy, gate);
        }
        return refuse(proxy, gate, &refusal::of(*why, &gate.listener()));
    }
    if request.version() == Version::HTTP_2 && head_bytes(&request) > HEAD_BYTES_MAX {
        return refuse(proxy, gate, &refusal::TOO_LARGE);
    }
    if request.version() == Version::HTTP_10 {
        return refuse(proxy, gate, &refusal::LOW_VERSION);
    }
    if request.method() == "QUERY" && !request.headers().contains_key(CONTENT_TYPE) {
        return refuse(proxy, gate, &refusal::BARE_QUERY);
    }
    // In its place: awaited as it is, it would be moved there first.
    let handled = pin!(handle(proxy, &Wire, gate, connection, ends, request));
    handled.await
}

/// The size of a head of HTTP/2 as Envoy counts it: names and values, and the target.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    headers.fold(target, |sum, (name, value)| {
        sum + name.as_str().len() + value.len()
    })
}

/// Answers a request that comes to no stage. The connection ends with it.
fn refuse(proxy: &Rc<Proxy>, gate: &Gate, refusal: &Refusal) -> Response<RecordedBody> {
    let mut record = Record::begin(proxy, gate.side(), None);
    let details = Cow::Borrowed(refusal.details);
    record.answered(refusal.status.as_u16(), refusal.flags, details);
    record.finish(ResponseFlags::empty());
    let body = Body::full(refusal.body);
    let mut response = Response::new(RecordedBody::of_nobody(body));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    if !refusal.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    proxy.dates().complete(headers, proxy.env().unix_time());
    response
}

/// Records a request of HTTP/2 whose head is none: its connection ends without an answer.
fn reset(proxy: &Rc<Proxy>, gate: &Gate) -> Response<RecordedBody> {
    let mut record = Record::begin(proxy, gate.side(), None);
    record.answered(
        0,
        ResponseFlags::DPE,
        Cow::Borrowed("http2.invalid.header.field"),
    );
    record.finish(ResponseFlags::empty());
    Response::new(RecordedBody::of_nobody(Body::Empty))
}

/// Records a request that hyper refuses by itself, since it takes less than HTTP/1.1 allows.
fn refused(proxy: &Rc<Proxy>, gate: &Gate, result: &Result<(), ServeError>) {
    let Err(ServeError::Http1(error)) = result else {
        return;
    };
    if !error.is_parse() {
        return;
    }
    let mut record = Record::begin(proxy, gate.side(), None);
    record.answered(400, ResponseFlags::DPE, Cow::Borrowed("http1.codec_error"));
    record.finish(ResponseFlags::empty());
}
