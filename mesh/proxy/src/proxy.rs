//! The proxy as a whole: what its stages share, and its life from bootstrap on.

use std::cell::{Cell, RefCell, RefMut};
use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rand_core::Rng as _;
use shakedown_env::{Env, Owned, Rng, Sleep, Time};
use shakedown_types::{MeshEvent, Side};
use shakedown_xds::table::Table;

use crate::accept::Gates;
use crate::bootstrap::Bootstrap;
use crate::date::Dates;
use crate::limit::limiters::Limiters;
use crate::outgoing::Head;
use crate::overload::Overload;
use crate::resources::ResourceCache;
use crate::scribe::Scribe;
use crate::spare::Spares;
use crate::state::State;
use crate::telemetry::{Edge, EdgeLabeler, Metrics};
use crate::{admin, ads};

/// A proxy could not run.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Metrics and readiness could not be served.
    #[error("listen on {address} for metrics and readiness")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Runs a proxy: it serves what its control plane says, or said last. It is ready when a configuration is in force. Proxies
/// of one process share what they are sent alike, if they are given clones of one cache.
///
/// It never returns by itself; dropping its future closes its listeners and their connections.
///
/// # Errors
/// The port of metrics and readiness cannot be listened on.
pub async fn run(env: Env, bootstrap: Bootstrap, cache: ResourceCache) -> Result<(), ProxyError> {
    let running = Running::start(env, bootstrap)?;
    let never: Infallible = ads::follow(Rc::clone(&running.0), cache).await;
    match never {}
}

/// Runs a proxy with this configuration and no control plane.
///
/// It never returns by itself; dropping its future closes its listeners and their connections.
///
/// # Errors
/// The port of metrics and readiness cannot be listened on.
pub async fn run_with_table(
    env: Env,
    bootstrap: Bootstrap,
    table: Table,
) -> Result<(), ProxyError> {
    let running = Running::start(env, bootstrap)?;
    running.0.put_in_force(table, None);
    pending().await
}

/// Owns a proxy's tasks, each of which holds the proxy.
pub(crate) struct Running(pub(crate) Rc<Proxy>);

impl Running {
    /// Starts one that has no configuration yet.
    pub(crate) fn start(env: Env, bootstrap: Bootstrap) -> Result<Running, ProxyError> {
        let proxy = Rc::new(Proxy::new(env, bootstrap));
        admin::listen(&proxy)?;
        Ok(Running(proxy))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.gates.close();
        self.0.tasks.take();
    }
}

/// What the stages of a request share.
#[derive(Debug)]
pub(crate) struct Proxy {
    env: Env,
    bootstrap: Bootstrap,
    state: State,
    gates: Gates,
    metrics: Metrics,
    control: Control,
    /// Why it is not ready; `None` once it is, for good.
    unready: RefCell<Option<String>>,
    /// Tasks that live as long as the proxy runs.
    tasks: RefCell<Vec<Owned>>,
    request_ids: RefCell<Rng>,
    splits: RefCell<Rng>,
    backoffs: RefCell<Rng>,
    faults: RefCell<Rng>,
    mirrors: RefCell<Rng>,
    rate_limits: Limiters,
    overload: Overload,
    dates: Dates,
    scribe: Scribe,
    /// Timers that no request has now.
    sleeps: Spares<Sleep>,
    /// Buffers for headers that no request has now.
    heads: Rc<Spares<Head>>,
    no_cluster: Arc<str>,
    /// What requests count under for which no cluster was found: outbound, inbound.
    unrouted: [Rc<Edge>; 2],
}

impl Proxy {
    pub(crate) fn new(env: Env, bootstrap: Bootstrap) -> Proxy {
        let labeler = EdgeLabeler::new(&bootstrap);
        let unrouted = |side| Rc::new(Edge::new(labeler.unrouted(side)));
        Proxy {
            unrouted: [unrouted(Side::Outbound), unrouted(Side::Inbound)],
            state: State::new(env.clone(), bootstrap.address, labeler),
            gates: Gates::default(),
            metrics: Metrics::new(),
            control: Control::default(),
            unready: RefCell::new(Some("no configuration in force".into())),
            tasks: RefCell::default(),
            request_ids: RefCell::new(env.rng("proxy/request-id")),
            splits: RefCell::new(env.rng("proxy/split")),
            backoffs: RefCell::new(env.rng("proxy/backoff")),
            faults: RefCell::new(env.rng("proxy/fault")),
            mirrors: RefCell::new(env.rng("proxy/mirror")),
            rate_limits: Limiters::default(),
            overload: Overload::new(env.clone()),
            dates: Dates::default(),
            scribe: Scribe::default(),
            sleeps: Spares::default(),
            heads: Rc::default(),
            no_cluster: Arc::from(""),
            bootstrap,
            env,
        }
    }

    /// Puts a configuration in force. A listener that cannot listen is reported as refused, and tried again with the next
    /// configuration; the proxy is ready once all listen, and none is `missing`.
    pub(crate) fn put_in_force(self: &Rc<Proxy>, table: Table, missing: Option<String>) {
        self.state.swap(table);
        self.rate_limits.sweep();
        self.overload.sweep();
        let followed = self.gates.follow(self);
        if !self.is_ready() {
            self.unready.replace(missing.or(followed.closed()));
        }
        for (listener, error) in followed.failed {
            self.env.emit(MeshEvent::ConfigRefused {
                kind: "Listener",
                resource: listener,
                reason: error.to_string().into(),
            });
        }
    }

    /// Owns a task until the proxy ends.
    pub(crate) fn keep(&self, task: Owned) {
        self.tasks.borrow_mut().push(task);
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub(crate) fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.gates
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Whether a configuration is in force, and all its listeners listen.
    pub(crate) fn is_ready(&self) -> bool {
        self.unready.borrow().is_none()
    }

    /// Why it is not ready.
    pub(crate) fn unready(&self) -> Option<String> {
        self.unready.borrow().clone()
    }

    /// The random stream of new request ids.
    pub(crate) fn request_ids(&self) -> RefMut<'_, Rng> {
        self.request_ids.borrow_mut()
    }

    /// The random stream of weighted destinations.
    pub(crate) fn splits(&self) -> RefMut<'_, Rng> {
        self.splits.borrow_mut()
    }

    /// A random number for a wait before a retry.
    pub(crate) fn next_backoff(&self) -> u64 {
        self.backoffs.borrow_mut().next_u64()
    }

    /// The random stream of filters: of faults, and of shares of requests.
    pub(crate) fn faults(&self) -> RefMut<'_, Rng> {
        self.faults.borrow_mut()
    }

    /// The random stream of copies.
    pub(crate) fn mirrors(&self) -> RefMut<'_, Rng> {
        self.mirrors.borrow_mut()
    }

    /// The controllers of what keeps apps from too much.
    pub(crate) fn overload(&self) -> &Overload {
        &self.overload
    }

    /// The buckets of rate limits.
    pub(crate) fn rate_limits(&self) -> &Limiters {
        &self.rate_limits
    }

    /// The writer of `date`.
    pub(crate) fn dates(&self) -> &Dates {
        &self.dates
    }

    /// The writer of header values.
    pub(crate) fn scribe(&self) -> &Scribe {
        &self.scribe
    }

    /// Timers that no request has now.
    pub(crate) fn sleeps(&self) -> &Spares<Sleep> {
        &self.sleeps
    }

    /// Buffers for headers that no request has now.
    pub(crate) fn heads(&self) -> &Rc<Spares<Head>> {
        &self.heads
    }

    /// The name of no cluster.
    pub(crate) fn no_cluster(&self) -> Arc<str> {
        Arc::clone(&self.no_cluster)
    }

    /// What a request counts under until a cluster is found for it.
    pub(crate) fn unrouted(&self, side: Side) -> Rc<Edge> {
        Rc::clone(&self.unrouted[usize::from(side == Side::Inbound)])
    }
}

/// How the proxy stands with its control plane, for those who ask at 15020.
#[derive(Debug, Default)]
pub(crate) struct Control {
    connected: Cell<bool>,
    since: Cell<Time>,
    push: Cell<Option<u64>>,
    trouble: RefCell<Option<String>>,
}

impl Control {
    pub(crate) fn connected(&self, now: Time) {
        self.connected.set(true);
        self.since.set(now);
    }

    pub(crate) fn lost(&self, now: Time, error: &(dyn Error + 'static)) {
        self.connected.set(false);
        self.since.set(now);
        self.trouble.replace(Some(chain(error)));
    }

    pub(crate) fn not_saved(&self, error: &io::Error) {
        self.trouble
            .replace(Some(format!("save the configuration: {error}")));
    }

    pub(crate) fn in_force(&self, push: u64) {
        self.push.set(Some(push));
    }

    /// Whether there is a stream, and since when there is or is not.
    pub(crate) fn stream(&self) -> (bool, Time) {
        (self.connected.get(), self.since.get())
    }

    /// The last push in force.
    pub(crate) fn push(&self) -> Option<u64> {
        self.push.get()
    }

    /// What went wrong last.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
