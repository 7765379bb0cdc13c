//! One upstream cluster: its hosts, their connections and active requests, and where its balancer stands.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rand_core::Rng as _;
use shakedown_config::table::{Assignment, Cluster, ClusterKind};
use shakedown_env::{Env, Rng};
use shakedown_wire::{Pool, PoolOptions};

use crate::balance::{Balancer, avoiding};
use crate::record::{Edge, Ends};

/// How many hosts outside the mesh are remembered by one cluster; idle ones make room for new ones.
const OUTSIDE_HOSTS_MAX: usize = 1024;

/// The state of one cluster. It lives under the cluster's name, through any number of configurations.
#[derive(Debug)]
pub(crate) struct Upstream {
    env: Env,
    from: IpAddr,
    cluster: RefCell<Arc<Cluster>>,
    /// The hosts that take traffic, in the order of the configuration.
    hosts: RefCell<Vec<Rc<Host>>>,
    /// Hosts that requests named, of a cluster that has none of its own.
    outside: RefCell<BTreeMap<SocketAddr, Rc<Host>>>,
    balancer: RefCell<Balancer>,
    random: RefCell<Rng>,
    ends: Ends,
    /// The edge to each workload; the empty name is that of requests which reached no host.
    edges: RefCell<BTreeMap<Arc<str>, Rc<Edge>>>,
    unreached: Rc<Edge>,
}

/// One host of a cluster.
#[derive(Debug)]
pub(crate) struct Host {
    address: SocketAddr,
    workload: Arc<str>,
    pool: RefCell<Pool>,
    active: Cell<u32>,
    edge: Rc<Edge>,
}

impl Upstream {
    /// A cluster without hosts as yet.
    pub(crate) fn new(env: &Env, from: IpAddr, ends: Ends, cluster: &Arc<Cluster>) -> Upstream {
        // A stream of its own, so that another cluster's requests do not shift this one's choices.
        let mut random = env.rng(&format!("proxy/balance/{}", cluster.name));
        Upstream {
            env: env.clone(),
            from,
            cluster: RefCell::new(Arc::clone(cluster)),
            hosts: RefCell::default(),
            outside: RefCell::default(),
            balancer: RefCell::new(Balancer::new(random.next_u64())),
            random: RefCell::new(random),
            unreached: Rc::new(Edge::new(ends.clone())),
            ends,
            edges: RefCell::default(),
        }
    }

    /// The cluster as configured.
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster.borrow())
    }

    /// Whether its requests name their host themselves.
    pub(crate) fn is_original_dst(&self) -> bool {
        matches!(self.cluster.borrow().kind, ClusterKind::OriginalDst)
    }

    /// The hosts that take traffic.
    pub(crate) fn hosts(&self) -> Ref<'_, Vec<Rc<Host>>> {
        self.hosts.borrow()
    }

    /// The edge of requests that reached no host.
    pub(crate) fn unreached(&self) -> &Rc<Edge> {
        &self.unreached
    }

    /// Takes in a configuration. A host that stays keeps its connections, unless these are to be made otherwise, and its
    /// active requests; one that goes finishes what it has.
    pub(crate) fn update(&self, cluster: &Arc<Cluster>, assignment: Option<&Arc<Assignment>>) {
        let before = self.cluster.replace(Arc::clone(cluster));
        if pool_changed(&before, cluster) {
            for host in self.hosts.borrow().iter() {
                host.pool.replace(self.pool(host.address, cluster));
            }
            self.outside.borrow_mut().clear();
        }
        let mut known: BTreeMap<SocketAddr, Rc<Host>> = self
            .hosts
            .take()
            .into_iter()
            .map(|host| (host.address, host))
            .collect();
        let healthy = assignment
            .into_iter()
            .flat_map(|assignment| assignment.healthy());
        let hosts = healthy.map(|host| match known.remove(&host.address) {
            Some(known) if known.workload == host.workload => known,
            _ => Rc::new(self.host(host.address, &host.workload, cluster)),
        });
        let hosts = hosts.collect();
        self.hosts.replace(hosts);
    }

    /// Chooses a host, avoiding those already `tried` for `attempts` more draws.
    pub(crate) fn pick(&self, tried: &[SocketAddr], attempts: u32) -> Option<Rc<Host>> {
        let hosts = self.hosts.borrow();
        let policy = self.cluster.borrow().lb;
        let mut balancer = self.balancer.borrow_mut();
        let mut random = self.random.borrow_mut();
        let index = avoiding(
            attempts,
            |host| tried.contains(&hosts[host].address),
            || {
                balancer.pick(
                    policy,
                    hosts.len(),
                    |host| hosts[host].active.get(),
                    &mut *random,
                )
            },
        )?;
        Some(Rc::clone(&hosts[index]))
    }

    /// The host of an address that the request named.
    pub(crate) fn outside(&self, address: SocketAddr) -> Rc<Host> {
        let mut outside = self.outside.borrow_mut();
        if let Some(host) = outside.get(&address) {
            return Rc::clone(host);
        }
        if outside.len() >= OUTSIDE_HOSTS_MAX {
            outside.retain(|_, host| host.active.get() > 0);
        }
        let host = Rc::new(self.host(address, &Arc::from(""), &self.cluster.borrow()));
        outside.insert(address, Rc::clone(&host));
        host
    }

    fn host(&self, address: SocketAddr, workload: &Arc<str>, cluster: &Cluster) -> Host {
        Host {
            address,
            workload: Arc::clone(workload),
            pool: RefCell::new(self.pool(address, cluster)),
            active: Cell::new(0),
            edge: self.edge(workload),
        }
    }

    fn pool(&self, address: SocketAddr, cluster: &Cluster) -> Pool {
        let options = PoolOptions {
            connect_timeout: cluster.connect_timeout,
            idle_timeout: cluster.idle_timeout,
            max_requests_per_connection: cluster.max_requests_per_connection,
            ..PoolOptions::default()
        };
        // An address of another family cannot be dialled from ours.
        let from = (self.from.is_ipv4() == address.is_ipv4()).then_some(self.from);
        Pool::new(self.env.clone(), address, from, options)
    }

    fn edge(&self, workload: &Arc<str>) -> Rc<Edge> {
        if workload.is_empty() {
            return Rc::clone(&self.unreached);
        }
        let mut edges = self.edges.borrow_mut();
        let edge = edges.entry(Arc::clone(workload));
        Rc::clone(edge.or_insert_with(|| Rc::new(Edge::new(self.ends.clone().reaching(workload)))))
    }
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

    /// Its connections.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.borrow().clone()
    }

    /// What its requests count under.
    pub(crate) fn edge(&self) -> &Rc<Edge> {
        &self.edge
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

/// Whether connections made for one configuration do not fit the other.
fn pool_changed(before: &Cluster, after: &Cluster) -> bool {
    before.connect_timeout != after.connect_timeout
        || before.idle_timeout != after.idle_timeout
        || before.max_requests_per_connection != after.max_requests_per_connection
}
