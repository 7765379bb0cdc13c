//! What is in force: the table, swapped whole, and the state of each upstream cluster, which survives the swap under the
//! cluster's name.

mod health;
mod upstream;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_config::table::{Assignment, Cluster, ClusterKind, Table};
use shakedown_env::Env;

pub(crate) use upstream::{Busy, Host, PickContext, PoolKind, Upstream};

use crate::record::Named;

/// The configuration in force and the state that goes with it.
#[derive(Debug)]
pub(crate) struct State {
    env: Env,
    from: IpAddr,
    named: Named,
    table: RefCell<Arc<Table>>,
    upstreams: RefCell<BTreeMap<Arc<str>, Rc<Upstream>>>,
}

impl State {
    /// Nothing in force. Connections will leave from `from`; `named` tells what metrics call an upstream.
    pub(crate) fn new(env: Env, from: IpAddr, named: Named) -> State {
        State {
            env,
            from,
            named,
            table: RefCell::default(),
            upstreams: RefCell::default(),
        }
    }

    /// The table in force: a request keeps the one that it began with.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    /// The cluster of a name.
    pub(crate) fn upstream(&self, name: &str) -> Option<Rc<Upstream>> {
        self.upstreams.borrow().get(name).cloned()
    }

    /// All clusters, by name.
    pub(crate) fn upstreams(&self) -> Vec<Rc<Upstream>> {
        self.upstreams.borrow().values().cloned().collect()
    }

    /// Puts a table in force. Clusters that stay keep their state; those that go finish what they have.
    pub(crate) fn swap(&self, table: Table) {
        let mut upstreams = self.upstreams.borrow_mut();
        upstreams.retain(|name, _| table.clusters.contains_key(name));
        for (name, cluster) in &table.clusters {
            let assignment = assignment(&table, cluster);
            match upstreams.get(name) {
                Some(upstream) => upstream.update(cluster, assignment),
                None => {
                    let ends = self.named.ends(name);
                    let upstream = Rc::new(Upstream::new(&self.env, self.from, ends, cluster));
                    upstream.update(cluster, assignment);
                    upstream.begin();
                    upstreams.insert(Arc::clone(name), upstream);
                }
            }
        }
        drop(upstreams);
        self.table.replace(Arc::new(table));
    }
}

/// The endpoints of a cluster; `None` while none are known, and for a cluster that finds them by the request.
fn assignment<'t>(table: &'t Table, cluster: &'t Cluster) -> Option<&'t Arc<Assignment>> {
    match &cluster.kind {
        ClusterKind::Eds(name) => table.endpoints.get(name),
        ClusterKind::Static(assignment) => Some(assignment),
        ClusterKind::OriginalDst => None,
    }
}

#[cfg(test)]
mod tests;
