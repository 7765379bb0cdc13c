//! One host of a cluster: its connections, its active requests, and what is known of its health and latency.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_wire::Pool;
use shakedown_xds::table::{self, Cluster, Identity, LbPolicy};
use smallvec::SmallVec;

use super::health::HostHealth;
use super::upstream::PoolKind;
use crate::balance::peak_ewma::Ewma;
use crate::balance::{Load, Member};
use crate::telemetry::Edge;

/// One host of a cluster.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) address: SocketAddr,
    pub(super) workload: Identity,
    pub(super) pool: RefCell<Pool>,
    /// The connections of requests of high priority, which count against limits of their own, and of those that came over
    /// HTTP/2, where they are sent on as they came. None before the first.
    pub(super) others: RefCell<SmallVec<[(PoolKind, Pool); 1]>>,
    pub(super) active: Cell<u32>,
    /// Whether the control plane says that it takes traffic.
    pub(super) serves: Cell<bool>,
    /// When it was first there and healthy.
    pub(super) since: Cell<Option<Time>>,
    pub(super) latency: Cell<Ewma>,
    /// How fast its latency is forgotten; `None` where nobody asks for it.
    pub(super) decay: Cell<Option<Duration>>,
    pub(super) health: HostHealth,
    pub(super) edge: Rc<Edge>,
}

impl Host {
    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that it has now.
    pub(crate) fn active(&self) -> u32 {
        self.active.get()
    }

    /// Whether it takes traffic: as the control plane says, and as outlier detection does.
    pub(crate) fn is_healthy(&self) -> bool {
        self.serves.get() && self.health.is_in()
    }

    /// Takes in that a try took so long, however it ended.
    pub(crate) fn observe(&self, latency: Duration, now: Time) {
        if let Some(decay) = self.decay.get() {
            let mut known = self.latency.get();
            known.observe(latency, decay, now);
            self.latency.set(known);
        }
    }

    /// Takes in how it is configured.
    pub(super) fn follow(&self, spec: &table::Host, cluster: &Cluster) {
        self.serves.set(spec.healthy);
        self.decay.set(match cluster.lb {
            LbPolicy::PeakEwma(settings) => Some(settings.decay),
            _ => None,
        });
    }

    pub(super) fn member<'a>(&self, spec: &'a table::Host, now: Time) -> Member<'a> {
        let healthy = self.is_healthy();
        if healthy && self.since.get().is_none() {
            self.since.set(Some(now));
        }
        Member {
            host: spec,
            healthy,
            since: self.since.get(),
        }
    }

    /// What outlier detection knows of it.
    pub(crate) fn health(&self) -> &HostHealth {
        &self.health
    }

    /// Its connections.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.borrow().clone()
    }

    /// What its requests count under.
    pub(crate) fn edge(&self) -> &Rc<Edge> {
        &self.edge
    }
}

impl Load for [Rc<Host>] {
    fn active(&self, host: usize) -> u32 {
        self[host].active.get()
    }

    fn latency(&self, host: usize, decay: Duration, now: Time) -> f64 {
        self[host].latency.get().value(decay, now)
    }
}

/// A request that a host has: counts as active until dropped.
#[derive(Debug)]
pub(crate) struct Busy(Rc<Host>);

impl Busy {
    pub(crate) fn new(host: Rc<Host>) -> Busy {
        host.active.set(host.active.get() + 1);
        Busy(host)
    }

    pub(crate) fn host(&self) -> &Rc<Host> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}
