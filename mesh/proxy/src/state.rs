//! What is in force: the table, swapped whole, and the state of each upstream cluster in use, which survives the swap under
//! the cluster's name. It is created by the first request for the cluster (`deferred`).

mod deferred;
mod health;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_config::table::{Assignment, Cluster, Table};
use shakedown_env::{Env, Time};

use deferred::Deferred;
pub(crate) use upstream::{Busy, Host, PickContext, PoolKind, Upstream};

use crate::record::Named;

/// The configuration in force and the state that goes with it.
#[derive(Debug)]
pub(crate) struct State {
    env: Env,
    from: IpAddr,
    named: Named,
    table: RefCell<Arc<Table>>,
    /// When the table was put in force.
    swapped: Cell<Time>,
    /// The clusters in use.
    upstreams: RefCell<BTreeMap<Arc<str>, Rc<Upstream>>>,
    /// The clusters not in use that have outlier detection.
    deferred: RefCell<BTreeMap<Arc<str>, Deferred>>,
}

impl State {
    /// Nothing in force. Connections will leave from `from`; `named` tells what metrics call an upstream.
    pub(crate) fn new(env: Env, from: IpAddr, named: Named) -> State {
        State {
            env,
            from,
            named,
            table: RefCell::default(),
            swapped: Cell::default(),
            upstreams: RefCell::default(),
            deferred: RefCell::default(),
        }
    }

    /// The table in force: a request keeps the one that it began with.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    /// The cluster of a name, whose state is created where it has none yet.
    pub(crate) fn upstream(&self, name: &str) -> Option<Rc<Upstream>> {
        if let Some(upstream) = self.upstream_in_use(name) {
            return Some(upstream);
        }
        let table = self.table();
        let cluster = table.clusters.get(name)?;
        let deferred = self.deferred.borrow_mut().remove(name);
        let deferred = deferred.unwrap_or_else(|| Deferred::new(self.swapped.get()));
        let upstream = self.create(cluster, table.assignment(cluster), &deferred);
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
            let name = &cluster.name;
            let hosts = table.assignment(cluster);
            if let Some(upstream) = upstreams.get(name) {
                upstream.update(cluster, hosts, now);
                continue;
            }
            let earlier = before.clusters.get(name);
            let earlier = earlier.map(|cluster| (cluster, before.assignment(cluster)));
            if deferred::is_needed(earlier.map(|(cluster, _)| &**cluster), cluster) {
                let since = self.swapped.get();
                let upstream = match earlier {
                    Some((cluster, hosts)) => {
                        let known = deferred.remove(name);
                        let known = known.unwrap_or_else(|| Deferred::new(since));
                        self.create(cluster, hosts, &known)
                    }
                    None => self.create(cluster, hosts, &Deferred::new(now)),
                };
                if earlier.is_some() {
                    upstream.update(cluster, hosts, now);
                }
                upstreams.insert(Arc::clone(name), upstream);
            } else if cluster.outlier.is_some() {
                let known = deferred.entry(Arc::clone(name));
                let known = known.or_insert_with(|| Deferred::new(now));
                let earlier = earlier.map(|(cluster, hosts)| (&**cluster, hosts.map(|it| &**it)));
                known.follow(earlier, (cluster, hosts.map(|it| &**it)), now);
            } else {
                deferred.remove(name);
            }
        }
        drop((upstreams, deferred));
        self.table.replace(Arc::new(table));
        self.swapped.set(now);
    }

    fn create(
        &self,
        cluster: &Arc<Cluster>,
        hosts: Option<&Arc<Assignment>>,
        deferred: &Deferred,
    ) -> Rc<Upstream> {
        let ends = self.named.ends(&cluster.name);
        let upstream = Upstream::new(&self.env, self.from, ends, cluster, deferred.since);
        let upstream = Rc::new(upstream);
        upstream.update(cluster, hosts, deferred.since);
        upstream.begin(deferred);
        upstream
    }
}

#[cfg(test)]
mod tests;
