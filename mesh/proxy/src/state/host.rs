//! A host of a cluster: its connection pools, active requests, health and latency.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_wire::Pool;
use shakedown_xds::table::{self, Cluster, Identity, LbPolicy, Priority};
use smallvec::SmallVec;

use super::host_health::HostHealth;
use crate::balance::peak_ewma::Ewma;
use crate::balance::{HostLoads, LbHost};
use crate::telemetry::EdgeSeries;

/// A host of a cluster.
#[derive(Debug)]
pub(crate) struct UpstreamHost {
    pub(super) address: SocketAddr,
    pub(super) workload: Identity,
    /// True if it accepts the mesh's mutual TLS.
    pub(super) mesh_tls: bool,
    pub(super) pool: RefCell<Pool>,
    /// The pools of high-priority requests, which have limits of their own, and of requests received over HTTP/2, if
    /// the cluster uses the caller's protocol. Created on first use.
    pub(super) others: RefCell<SmallVec<[(PoolKind, Pool); 1]>>,
    pub(super) active: Cell<u32>,
    /// True if the control plane reports it as healthy.
    pub(super) serves: Cell<bool>,
    /// The first time at which it was healthy.
    pub(super) since: Cell<Option<Time>>,
    pub(super) latency: Cell<Ewma>,
    /// The decay time of its latency average; `None` unless the load balancer uses it.
    pub(super) decay: Cell<Option<Duration>>,
    pub(super) health: HostHealth,
    pub(super) edge: Rc<EdgeSeries>,
}

/// The properties by which requests are separated into pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolKind {
    /// Each priority has limits of its own.
    pub(crate) priority: Priority,
    /// True for requests received over HTTP/2.
    pub(crate) over_http2: bool,
}

impl UpstreamHost {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of active requests.
    pub(crate) fn active(&self) -> u32 {
        self.active.get()
    }

    /// True if both the control plane and outlier detection consider it healthy.
    pub(crate) fn is_healthy(&self) -> bool {
        self.serves.get() && self.health.is_in()
    }

    /// Adds the latency of an attempt to the average. Failed attempts count, too.
    pub(crate) fn observe(&self, latency: Duration, now: Time) {
        if let Some(decay) = self.decay.get() {
            let mut known = self.latency.get();
            known.observe(latency, decay, now);
            self.latency.set(known);
        }
    }

    /// Applies the configuration.
    pub(super) fn follow(&self, spec: &table::Host, cluster: &Cluster) {
        self.serves.set(spec.healthy);
        self.decay.set(match cluster.lb {
            LbPolicy::PeakEwma(settings) => Some(settings.decay),
            _ => None,
        });
    }

    pub(super) fn member<'a>(&self, spec: &'a table::Host, now: Time) -> LbHost<'a> {
        let healthy = self.is_healthy();
        if healthy && self.since.get().is_none() {
            self.since.set(Some(now));
        }
        LbHost {
            host: spec,
            healthy,
            since: self.since.get(),
        }
    }

    /// The health according to outlier detection.
    pub(crate) fn health(&self) -> &HostHealth {
        &self.health
    }

    /// The connection pool of requests with default priority.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.borrow().clone()
    }

    /// The edge that its requests count for.
    pub(crate) fn edge(&self) -> &Rc<EdgeSeries> {
        &self.edge
    }
}

impl HostLoads for [Rc<UpstreamHost>] {
    fn active(&self, host: usize) -> u32 {
        self[host].active.get()
    }

    fn latency(&self, host: usize, decay: Duration, now: Time) -> f64 {
        self[host].latency.get().value(decay, now)
    }
}

/// An active request of a host. Dropping it decrements the host's count.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Rc<UpstreamHost>);

impl ActiveRequest {
    pub(crate) fn new(host: Rc<UpstreamHost>) -> ActiveRequest {
        host.active.set(host.active.get() + 1);
        ActiveRequest(host)
    }

    pub(crate) fn host(&self) -> &Rc<UpstreamHost> {
        &self.0
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}
