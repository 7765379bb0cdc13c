//! The configuration in force: the table, which is swapped whole, and the state of each upstream cluster in use, which
//! survives the swap under the cluster's name. The first request for a cluster creates its state (`deferred`).

mod deferred;
mod health;
mod host;
mod host_health;
mod transport;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{Env, Time};
use shakedown_xds::table::Table;

use deferred::{AppliedConfig, STEPS_MAX};
pub(crate) use host::{ActiveRequest, PoolKind, UpstreamHost};
use upstream::UpstreamInputs;
pub(crate) use upstream::{PickContext, Upstream};

use crate::peers::{Peer, PeerOfConnection, Peers};
use crate::secrets::Secrets;
use crate::telemetry::EdgeLabeler;

/// The configuration in force and the state of its clusters.
#[derive(Debug)]
pub(crate) struct ProxyState {
    env: Env,
    from: IpAddr,
    labeler: EdgeLabeler,
    table: RefCell<Arc<Table>>,
    /// The number of tables put in force so far.
    version: Cell<u64>,
    peers: Peers,
    secrets: Secrets,
    /// The time of the first table; `None` before.
    first: Cell<Option<Time>>,
    /// The clusters in use.
    upstreams: RefCell<BTreeMap<Arc<str>, Rc<Upstream>>>,
    /// The configurations of clusters not in use, unless equal to those of the first table.
    deferred: RefCell<BTreeMap<Arc<str>, Vec<AppliedConfig>>>,
}

impl ProxyState {
    /// A state without a table. Connections to upstreams leave from `from`. `labeler` names the edges.
    pub(crate) fn new(
        env: Env,
        from: IpAddr,
        labeler: EdgeLabeler,
        secrets: Secrets,
    ) -> ProxyState {
        ProxyState {
            env,
            from,
            labeler,
            table: RefCell::default(),
            version: Cell::default(),
            peers: Peers::default(),
            secrets,
            first: Cell::default(),
            upstreams: RefCell::default(),
            deferred: RefCell::default(),
        }
    }

    /// The table in force. A request keeps the one that it began with.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    /// The workload at the address of a connection's peer.
    pub(crate) fn peer(&self, of: &PeerOfConnection, address: IpAddr) -> Option<Rc<Peer>> {
        let version = self.version.get();
        of.at(version, || {
            self.peers.find(version, &self.table.borrow(), address)
        })
    }

    /// A cluster by name. Creates its state if it is not in use yet; `None` if the table does not contain it.
    pub(crate) fn upstream(&self, name: &str) -> Option<Rc<Upstream>> {
        if let Some(upstream) = self.upstream_in_use(name) {
            return Some(upstream);
        }
        let table = self.table();
        let cluster = table.clusters.get(name)?;
        let steps = self.deferred.borrow_mut().remove(name);
        let steps = steps.unwrap_or_else(|| {
            let first = self.first.get().unwrap_or_default();
            vec![AppliedConfig::new(
                cluster,
                table.assignment(cluster),
                first,
            )]
        });
        let upstream = self.create(&steps);
        let mut upstreams = self.upstreams.borrow_mut();
        upstreams.insert(Arc::clone(&cluster.name), Rc::clone(&upstream));
        Some(upstream)
    }

    /// A cluster by name; `None` if no request has used it.
    pub(crate) fn upstream_in_use(&self, name: &str) -> Option<Rc<Upstream>> {
        self.upstreams.borrow().get(name).cloned()
    }

    /// Puts a table in force. Clusters that remain keep their state. Removed ones complete the requests that they have.
    pub(crate) fn swap(&self, table: Table) {
        let (before, now) = (self.table(), self.env.now());
        let mut upstreams = self.upstreams.borrow_mut();
        let mut deferred = self.deferred.borrow_mut();
        upstreams.retain(|name, _| table.clusters.contains_key(name));
        deferred.retain(|name, _| table.clusters.contains_key(name));
        for cluster in table.clusters.values() {
            let (name, hosts) = (&cluster.name, table.assignment(cluster));
            if let Some(upstream) = upstreams.get(name) {
                upstream.update(cluster, hosts, now);
                continue;
            }
            let Some(earlier) = before.clusters.get(name) else {
                if self.first.get().is_some() {
                    let steps = vec![AppliedConfig::new(cluster, hosts, now)];
                    deferred.insert(Arc::clone(name), steps);
                }
                continue;
            };
            let first = self.first.get().unwrap_or(now);
            let earlier = AppliedConfig::new(earlier, before.assignment(earlier), first);
            if earlier.is(cluster, hosts) {
                continue;
            }
            let is_reported = deferred::is_reported(&earlier.cluster, cluster);
            let steps = deferred.entry(Arc::clone(name));
            let steps = steps.or_insert_with(|| vec![earlier]);
            if is_reported || steps.len() >= STEPS_MAX {
                let upstream = self.create(steps);
                upstream.update(cluster, hosts, now);
                deferred.remove(name);
                upstreams.insert(Arc::clone(name), upstream);
            } else {
                steps.push(AppliedConfig::new(cluster, hosts, now));
            }
        }
        drop((upstreams, deferred));
        self.table.replace(Arc::new(table));
        self.version.set(self.version.get() + 1);
        self.first.set(self.first.get().or(Some(now)));
    }

    /// Uses the current secrets for new connections to upstreams.
    pub(crate) fn follow_secrets(&self) {
        for upstream in self.upstreams.borrow().values() {
            upstream.follow_secrets();
        }
    }

    /// Creates a cluster's state and applies these configurations in order.
    fn create(&self, steps: &[AppliedConfig]) -> Rc<Upstream> {
        let first = steps.first().expect("a cluster has been configured");
        let labels = self.labeler.labels(&first.cluster.name);
        let host = UpstreamInputs {
            env: &self.env,
            from: self.from,
            secrets: &self.secrets,
        };
        let upstream = Upstream::new(host, labels, &first.cluster, first.since);
        let upstream = Rc::new(upstream);
        for step in steps {
            upstream.update(&step.cluster, step.hosts.as_ref(), step.since);
        }
        upstream.begin();
        upstream
    }
}

#[cfg(test)]
mod tests;
