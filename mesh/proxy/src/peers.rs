//! Workload discovery: the calling workload, found by the address of its connection.
//!
//! Every proxy knows the endpoints of the mesh, and a sidecar connects from its pod's address. The destination's proxy
//! can therefore label its metrics without a header from the caller. A caller that is not an endpoint of a service
//! stays unknown. Source: Istio, `peer_metadata`, `workload_discovery`. Istio's alternative, a header on each request,
//! would cost each request an allocation.
//!
//! Bound: one entry for each workload that has called, one for each of its addresses, and [`UNKNOWN_MAX`] other
//! addresses.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_xds::table::{Assignment, Identity, Table};

use crate::bootstrap::MetricWorkload;

/// A calling workload.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The number of the workload in the order of first calls, from 1.
    pub(crate) number: u32,
    pub(crate) workload: MetricWorkload,
}

/// The workloads that have called a proxy.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    known: RefCell<BTreeMap<Identity, Rc<Peer>>>,
    /// The assignment in which an address was last found. It is searched first after a configuration change.
    assignments: RefCell<BTreeMap<IpAddr, Arc<str>>>,
    /// Addresses without a workload in this version of the configuration. Kept because each new connection from one
    /// would otherwise search every endpoint of the mesh.
    unknown: RefCell<(u64, BTreeSet<IpAddr>)>,
}

/// The most unknown addresses that are kept.
const UNKNOWN_MAX: usize = 1024;

impl Peers {
    /// The workload with an endpoint at this address in the table, whose version is `version`.
    pub(crate) fn find(&self, version: u64, table: &Table, address: IpAddr) -> Option<Rc<Peer>> {
        let address = address.to_canonical();
        let mut unknown = self.unknown.borrow_mut();
        if unknown.0 != version || unknown.1.len() > UNKNOWN_MAX {
            *unknown = (version, BTreeSet::new());
        }
        if unknown.1.contains(&address) {
            return None;
        }
        let known = self.assignments.borrow().get(&address).cloned();
        let cached = known.and_then(|name| table.endpoints.get(&name));
        let found = cached
            .into_iter()
            .chain(table.endpoints.values())
            .find_map(|assignment| Some((assignment, identity(assignment, address)?)));
        let Some((assignment, identity)) = found else {
            self.assignments.borrow_mut().remove(&address);
            unknown.1.insert(address);
            return None;
        };
        let mut assignments = self.assignments.borrow_mut();
        assignments.insert(address, Arc::clone(&assignment.name));
        let mut known = self.known.borrow_mut();
        let number =
            u32::try_from(known.len() + 1).expect("there are fewer workloads than addresses");
        let peer = known.entry(identity.clone()).or_insert_with(|| {
            let workload = MetricWorkload::unknown().named(identity);
            Rc::new(Peer { number, workload })
        });
        Some(Rc::clone(peer))
    }
}

fn identity(assignment: &Assignment, address: IpAddr) -> Option<&Identity> {
    let mut hosts = assignment.hosts.iter();
    let host = hosts.find(|host| host.address.ip() == address && !host.workload.is_unknown());
    host.map(|host| &host.workload)
}

/// The calling workload of one connection, according to the configuration in force.
#[derive(Debug, Default)]
pub(crate) struct PeerOfConnection {
    found: RefCell<Option<Rc<Peer>>>,
    /// The version of the configuration in which the peer was looked up.
    version: Cell<u64>,
}

impl PeerOfConnection {
    /// The peer. `find` looks it up again if the version has changed since the last request.
    pub(crate) fn at(
        &self,
        version: u64,
        find: impl FnOnce() -> Option<Rc<Peer>>,
    ) -> Option<Rc<Peer>> {
        if self.version.replace(version) != version {
            self.found.replace(find());
        }
        self.found.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use shakedown_xds::table::Host;

    use super::*;

    fn table(endpoints: &[(&str, &str, &str)]) -> Table {
        let mut table = Table::default();
        for (name, address, identity) in endpoints {
            let mut host = Host::new(address.parse().unwrap());
            host.workload = Identity::new(identity);
            table
                .endpoints
                .put(Arc::new(Assignment::new(name, vec![host])));
        }
        table
    }

    fn name(
        peers: &Peers,
        (version, table): (u64, &Table),
        address: &str,
    ) -> Option<(u32, String)> {
        let peer = peers.find(version, table, address.parse().unwrap())?;
        Some((peer.number, peer.workload.name.to_string()))
    }

    #[test]
    fn an_address_is_the_workload_that_has_an_endpoint_there() {
        let peers = Peers::default();
        let a = "a-v1;default;a;v1;";
        let table_of_first = table(&[
            ("a", "10.0.0.1:80", a),
            ("b", "10.0.0.2:80", "b-v1"),
            ("c", "10.0.0.3:80", ""),
        ]);
        let first = (1, &table_of_first);
        assert_eq!(name(&peers, first, "10.0.0.1"), Some((1, "a-v1".into())));
        assert_eq!(
            name(&peers, first, "::ffff:10.0.0.2"),
            Some((2, "b-v1".into()))
        );
        assert_eq!(name(&peers, first, "10.0.0.3"), None);
        assert_eq!(name(&peers, first, "10.0.0.4"), None);
        // The address belongs to another workload now, and the first workload has another address.
        let table_of_second = table(&[("a", "10.0.0.4:80", a), ("b", "10.0.0.1:80", "b-v1")]);
        let second = (2, &table_of_second);
        assert_eq!(name(&peers, second, "10.0.0.1"), Some((2, "b-v1".into())));
        assert_eq!(name(&peers, second, "10.0.0.4"), Some((1, "a-v1".into())));
        assert_eq!(name(&peers, second, "10.0.0.2"), None);
    }

    #[test]
    fn an_unknown_address_is_looked_for_once_a_configuration() {
        let peers = Peers::default();
        let later = table(&[("a", "10.0.0.9:80", "a-v1")]);
        assert_eq!(name(&peers, (1, &Table::default()), "10.0.0.9"), None);
        // The cached negative result applies, even if the table contains an endpoint now.
        assert_eq!(name(&peers, (1, &later), "10.0.0.9"), None);
        assert_eq!(
            name(&peers, (2, &later), "10.0.0.9"),
            Some((1, "a-v1".into()))
        );
        for number in 0..3 * UNKNOWN_MAX {
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            let address = format!("10.1.{high}.{low}");
            assert_eq!(name(&peers, (2, &later), &address), None);
            assert!(peers.unknown.borrow().1.len() <= UNKNOWN_MAX + 1);
        }
    }

    #[test]
    fn a_connections_peer_is_looked_for_once_a_configuration() {
        let (peer, looked) = (PeerOfConnection::default(), Cell::new(0));
        let find = || {
            looked.set(looked.get() + 1);
            None
        };
        for version in [1, 1, 1, 2, 2, 1] {
            assert!(peer.at(version, find).is_none());
        }
        assert_eq!(looked.get(), 3);
    }
}
