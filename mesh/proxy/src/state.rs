//! What is in force: the table, swapped whole, and the state of each upstream cluster in use, which survives the swap under
//! the cluster's name. It is created by the first request for the cluster (`deferred`).

mod deferred;
mod health;
mod host;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{Env, Time};
use shakedown_xds::table::Table;

use deferred::{STEPS_MAX, Step};
pub(crate) use host::{Busy, Host};
pub(crate) use upstream::{PickContext, PoolKind, Upstream};

use crate::peers::{Peer, PeerOfConnection, Peers};
use crate::telemetry::EdgeLabeler;

/// The configuration in force and the state that goes with it.
#[derive(Debug)]
pub(crate) struct State {
    env: Env,
    from: IpAddr,
    labeler: EdgeLabeler,
    table: RefCell<Arc<Table>>,
    /// How many tables have been put in force.
    version: Cell<u64>,
    peers: Peers,
    /// When the first table was put in force; `None` before.
    first: Cell<Option<Time>>,
    /// The clusters in use.
    upstreams: RefCell<BTreeMap<Arc<str>, Rc<Upstream>>>,
    /// The configurations of clusters that are not in use, but for those that are as in the first table.
    deferred: RefCell<BTreeMap<Arc<str>, Vec<Step>>>,
}

impl State {
    /// Nothing in force. Connections will leave from `from`; `labeler` gives the labels of an upstream's metrics.
    pub(crate) fn new(env: Env, from: IpAddr, labeler: EdgeLabeler) -> State {
        State {
            env,
            from,
            labeler,
            table: RefCell::default(),
            version: Cell::default(),
            peers: Peers::default(),
            first: Cell::default(),
            upstreams: RefCell::default(),
            deferred: RefCell::default(),
        }
    }

    /// The table in force: a request keeps the one that it began with.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    /// The workload at the other end of a connection from an address.
    pub(crate) fn peer(&self, of: &PeerOfConnection, address: IpAddr) -> Option<Rc<Peer>> {
        let version = self.version.get();
        of.at(version, || {
            self.peers.find(version, &self.table.borrow(), address)
        })
    }

    /// The cluster of a name, whose state is created where it has none yet.
    pub(crate) fn upstream(&self, name: &str) -> Option<Rc<Upstream>> {
        if let Some(upstream) = self.upstream_in_use(name) {
            return Some(upstream);
        }
        let table = self.table();
        let cluster = table.clusters.get(name)?;
        let steps = self.deferred.borrow_mut().remove(name);
        let steps = steps.unwrap_or_else(|| {
            let first = self.first.get().unwrap_or_default();
            vec![Step::new(cluster, table.assignment(cluster), first)]
        });
        let upstream = self.create(&steps);
        let mut upstreams = self.upstreams.borrow_mut();
        upstreams.insert(Arc::clone(&cluster.name), Rc::clone(&upstream));
        Some(upstream)
    }

    /// The cluster of a name, if it has had a request.
    pub(crate) fn upstream_in_use(&self, name: &str) -> Option<Rc<Upstream>> {
        self.upstreams.borrow().get(name).cloned()
    }

    /// Puts a table in force. Clusters that stay keep their state; those that go finish what they have.
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
                    let steps = vec![Step::new(cluster, hosts, now)];
                    deferred.insert(Arc::clone(name), steps);
                }
                continue;
            };
            let first = self.first.get().unwrap_or(now);
            let earlier = Step::new(earlier, before.assignment(earlier), first);
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
                steps.push(Step::new(cluster, hosts, now));
            }
        }
        drop((upstreams, deferred));
        self.table.replace(Arc::new(table));
        self.version.set(self.version.get() + 1);
        self.first.set(self.first.get().or(Some(now)));
    }

    /// A cluster's state, after these configurations.
    fn create(&self, steps: &[Step]) -> Rc<Upstream> {
        let first = steps.first().expect("a cluster has been configured");
        let labels = self.labeler.labels(&first.cluster.name);
        let upstream = Upstream::new(&self.env, self.from, labels, &first.cluster, first.since);
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
