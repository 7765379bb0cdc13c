//! One upstream cluster: its hosts, their connections and active requests, and where its balancer stands.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rand_core::Rng as _;
use shakedown_env::{Env, Rng, Time};
use shakedown_types::MeshEvent;
use shakedown_wire::{Pool, PoolOptions, Protocol};
use shakedown_xds::table::{
    Assignment, Cluster, ClusterKind, HedgePolicy, Identity, Labels, Priority, UpstreamProtocol,
};

use super::health::{Health, HostHealth};
use super::host::Host;
use crate::balance::peak_ewma::Ewma;
use crate::balance::{Balancer, Member, Request, Setting};
use crate::breaker::Breaker;
use crate::budget::HedgeBudget;
use crate::telemetry::{Edge, EdgeLabels};
use crate::throttle::Throttle;

/// How many hosts outside the mesh are remembered by one cluster; idle ones make room for new ones.
const OUTSIDE_HOSTS_MAX: usize = 1024;

/// The state of one cluster. It lives under the cluster's name, through any number of configurations.
#[derive(Debug)]
pub(crate) struct Upstream {
    env: Env,
    from: IpAddr,
    cluster: RefCell<Arc<Cluster>>,
    /// What the hosts are made of.
    assignment: RefCell<Option<Arc<Assignment>>>,
    /// All hosts, those that take no traffic included, in the order of the assignment.
    hosts: RefCell<Vec<Rc<Host>>>,
    /// Hosts that requests named, of a cluster that has none of its own.
    outside: RefCell<BTreeMap<SocketAddr, Rc<Host>>>,
    balancer: RefCell<Balancer>,
    random: RefCell<Rng>,
    health: Health,
    /// What is in hand, by priority.
    breakers: [Breaker; 2],
    hedges: RefCell<HedgeBudget>,
    /// Holds requests back where that is asked for.
    throttle: RefCell<Option<Throttle>>,
    labels: EdgeLabels,
    /// The edge to each workload.
    edges: RefCell<BTreeMap<Identity, Rc<Edge>>>,
    unreached: Rc<Edge>,
}

/// Which requests share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolKind {
    /// Each has limits of its own.
    pub(crate) priority: Priority,
    /// Whether they came over HTTP/2.
    pub(crate) over_http2: bool,
}

/// What a host is wanted for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PickContext<'a> {
    /// The request's hash, if it has one.
    pub(crate) hash: Option<u64>,
    /// The labels that its route asks for of the host.
    pub(crate) labels: Option<&'a Labels>,
    /// Hosts to avoid.
    pub(crate) tried: &'a [SocketAddr],
    /// How often more is chosen for that.
    pub(crate) attempts: u32,
}

impl Upstream {
    /// A cluster without hosts as yet, that is there since a time.
    pub(super) fn new(
        env: &Env,
        from: IpAddr,
        labels: EdgeLabels,
        cluster: &Arc<Cluster>,
        since: Time,
    ) -> Upstream {
        // A stream of its own, so that another cluster's requests do not shift this one's choices.
        let mut random = env.rng(&format!("proxy/balance/{}", cluster.name));
        Upstream {
            env: env.clone(),
            from,
            cluster: RefCell::new(Arc::clone(cluster)),
            assignment: RefCell::default(),
            hosts: RefCell::default(),
            outside: RefCell::default(),
            balancer: RefCell::new(Balancer::new(random.next_u64(), since)),
            random: RefCell::new(random),
            health: Health::new(env, &cluster.name),
            breakers: Priority::ALL.map(|priority| breaker(env, cluster, priority)),
            hedges: RefCell::default(),
            throttle: RefCell::new(cluster.policy.throttle.map(Throttle::new)),
            unreached: Rc::new(Edge::new(labels.clone())),
            labels,
            edges: RefCell::default(),
        }
    }

    /// The cluster as configured.
    #[cfg(test)]
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster.borrow())
    }

    /// Whether its requests name their host themselves.
    pub(crate) fn is_original_dst(&self) -> bool {
        matches!(self.cluster.borrow().kind, ClusterKind::OriginalDst)
    }

    /// All hosts, those that take no traffic included.
    pub(crate) fn hosts(&self) -> Ref<'_, Vec<Rc<Host>>> {
        self.hosts.borrow()
    }

    /// The edge of requests that reached no host.
    pub(crate) fn unreached(&self) -> &Rc<Edge> {
        &self.unreached
    }

    /// Takes in a configuration, which is in force since a time. A host that stays keeps its connections, unless these are to
    /// be made otherwise, and its active requests; one that goes finishes what it has.
    pub(super) fn update(
        &self,
        cluster: &Arc<Cluster>,
        assignment: Option<&Arc<Assignment>>,
        since: Time,
    ) {
        let before = self.cluster.replace(Arc::clone(cluster));
        for priority in Priority::ALL {
            self.breaker(priority)
                .set_limits(cluster.limits.of(priority));
        }
        if before.policy.throttle != cluster.policy.throttle {
            self.throttle
                .replace(cluster.policy.throttle.map(Throttle::new));
        }
        if pool_changed(&before, cluster) {
            for host in self.hosts.borrow().iter() {
                host.pool
                    .replace(self.pool(host.address, cluster, PoolKind::default()));
                host.others.take();
            }
            self.outside.borrow_mut().clear();
        }
        let mut known: BTreeMap<SocketAddr, Rc<Host>> = self
            .hosts
            .take()
            .into_iter()
            .map(|host| (host.address, host))
            .collect();
        let specs = assignment.map_or(&[][..], |assignment| &assignment.hosts);
        let hosts = specs.iter().map(|host| match known.remove(&host.address) {
            Some(known) if known.workload == host.workload => known,
            _ => Rc::new(self.host(host.address, &host.workload, cluster)),
        });
        let hosts: Vec<Rc<Host>> = hosts.collect();
        for (host, spec) in hosts.iter().zip(specs) {
            host.follow(spec, cluster);
        }
        self.health.configure(cluster, since);
        let mut moved = !known.is_empty();
        for gone in known.values() {
            self.health.leave(&gone.health);
        }
        for host in &hosts {
            moved |= self.health.join(&host.health, host.address);
        }
        self.hosts.replace(hosts);
        let assigned = self.assignment.replace(assignment.cloned());
        if moved {
            self.health.taken_in(since);
            self.take_in_health();
            self.rebuild(since);
        } else if before.lb != cluster.lb
            || before.lb_options != cluster.lb_options
            || assigned.as_ref().map(Arc::as_ptr) != assignment.map(Arc::as_ptr)
        {
            self.rebuild(since);
        }
    }

    /// Whether a request may be sent, or is held back since the upstream refuses so many.
    pub(crate) fn may_send(&self) -> bool {
        let mut throttle = self.throttle.borrow_mut();
        let Some(throttle) = throttle.as_mut() else {
            return true;
        };
        throttle.admit(self.env.now(), self.random.borrow_mut().next_u64())
    }

    /// The upstream has taken a request on: its answer does not tell of overload.
    pub(crate) fn accepted(&self) {
        if let Some(throttle) = self.throttle.borrow_mut().as_mut() {
            throttle.accepted(self.env.now());
        }
    }

    /// When a request is sent again while its first try is open, as the cluster says.
    pub(crate) fn hedge(&self) -> Option<HedgePolicy> {
        self.cluster.borrow().policy.hedge
    }

    /// The balancer hears of what outlier detection has done.
    pub(super) fn health_changed(&self) {
        self.take_in_health();
        self.rebuild(self.env.now());
    }

    fn take_in_health(&self) {
        for host in self.hosts.borrow().iter() {
            host.health.take_in();
        }
    }

    /// The balancer takes in hosts and their health as they are.
    fn rebuild(&self, now: Time) {
        let (cluster, assignment) = (self.cluster.borrow(), self.assignment.borrow());
        let hosts = self.hosts.borrow();
        let specs = assignment.iter().flat_map(|assignment| &assignment.hosts);
        let members: Vec<Member<'_>> = hosts
            .iter()
            .zip(specs)
            .map(|(host, spec)| host.member(spec, now))
            .collect();
        let setting = Setting::of(cluster.lb, &cluster.lb_options, assignment.as_deref());
        let mut balancer = self.balancer.borrow_mut();
        balancer.rebuild(&setting, &members, now);
    }

    /// What of one priority is in hand, and may be.
    pub(crate) fn breaker(&self, priority: Priority) -> &Breaker {
        &self.breakers[priority as usize]
    }

    /// The connections of a host for requests of one kind.
    pub(crate) fn pool_of(&self, host: &Host, mut kind: PoolKind) -> Pool {
        let cluster = self.cluster.borrow();
        kind.over_http2 &= matches!(cluster.protocol, UpstreamProtocol::Downstream { .. });
        if kind == PoolKind::default() {
            return host.pool();
        }
        let mut others = host.others.borrow_mut();
        if let Some((_, pool)) = others.iter().find(|(known, _)| *known == kind) {
            return pool.clone();
        }
        let pool = self.pool(host.address, &cluster, kind);
        others.push((kind, pool.clone()));
        pool
    }

    /// Counts a request, for the budget of those that are hedged.
    pub(crate) fn count_request(&self, now: Time) {
        self.hedges.borrow_mut().request(now);
    }

    /// Whether a request may be hedged now; counts the hedge if so.
    pub(crate) fn may_hedge(&self, now: Time, share_ppm: Option<u32>) -> bool {
        self.hedges.borrow_mut().hedge(now, share_ppm)
    }

    /// The state of its outlier detection.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// One of its hosts.
    pub(super) fn host_at(&self, address: SocketAddr) -> Option<Rc<Host>> {
        let hosts = self.hosts.borrow();
        hosts.iter().find(|host| host.address == address).cloned()
    }

    /// Chooses a host for a try.
    pub(crate) fn pick(&self, wanted: &PickContext<'_>) -> Option<Rc<Host>> {
        let hosts = self.hosts.borrow();
        let request = Request {
            hash: wanted.hash,
            labels: wanted.labels,
            attempts: wanted.attempts,
            now: self.env.now(),
        };
        let index = self.balancer.borrow_mut().pick(
            &request,
            |host| wanted.tried.contains(&hosts[host].address),
            &**hosts,
            &mut *self.random.borrow_mut(),
        )?;
        Some(Rc::clone(&hosts[index]))
    }

    /// Whether it looks at the hash of requests.
    pub(crate) fn is_hashing(&self) -> bool {
        self.cluster.borrow().lb.is_hashing()
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
        let host = Rc::new(self.host(address, &Identity::new(""), &self.cluster.borrow()));
        outside.insert(address, Rc::clone(&host));
        host
    }

    fn host(&self, address: SocketAddr, workload: &Identity, cluster: &Cluster) -> Host {
        Host {
            address,
            workload: workload.clone(),
            pool: RefCell::new(self.pool(address, cluster, PoolKind::default())),
            others: RefCell::default(),
            active: Cell::new(0),
            serves: Cell::new(true),
            since: Cell::new(None),
            latency: Cell::new(Ewma::default()),
            decay: Cell::new(None),
            health: HostHealth::default(),
            edge: self.edge(workload),
        }
    }

    fn pool(&self, address: SocketAddr, cluster: &Cluster, kind: PoolKind) -> Pool {
        let streams = cluster.protocol.streams(kind.over_http2);
        let options = PoolOptions {
            protocol: streams.map_or(Protocol::Http1, |_| Protocol::Http2),
            max_concurrent_streams: streams.unwrap_or(UpstreamProtocol::MAX_CONCURRENT_STREAMS),
            connect_timeout: cluster.connect_timeout,
            idle_timeout: cluster.idle_timeout,
            max_requests_per_connection: cluster.max_requests_per_connection,
            max_connection_duration: cluster.max_connection_duration,
            quota: Some(self.breaker(kind.priority).quota().clone()),
            ..PoolOptions::default()
        };
        // An address of another family cannot be dialled from ours.
        let from = (self.from.is_ipv4() == address.is_ipv4()).then_some(self.from);
        Pool::new(self.env.clone(), address, from, options)
    }

    fn edge(&self, workload: &Identity) -> Rc<Edge> {
        if workload.is_unknown() {
            return Rc::clone(&self.unreached);
        }
        let mut edges = self.edges.borrow_mut();
        let edge = edges.entry(workload.clone());
        Rc::clone(
            edge.or_insert_with(|| Rc::new(Edge::new(self.labels.clone().reaching(workload)))),
        )
    }
}

/// The breaker of one priority, which tells when it opens and closes. Both priorities are told of alike.
fn breaker(env: &Env, cluster: &Cluster, priority: Priority) -> Breaker {
    let breaker = Breaker::new(cluster.limits.of(priority));
    let (env, name) = (env.clone(), Arc::clone(&cluster.name));
    breaker.on_change(move |limit, open| {
        env.emit(MeshEvent::Breaker {
            cluster: Arc::clone(&name),
            limit,
            open,
        });
    });
    breaker
}

/// Whether connections made for one configuration do not fit the other.
fn pool_changed(before: &Cluster, after: &Cluster) -> bool {
    before.connect_timeout != after.connect_timeout
        || before.idle_timeout != after.idle_timeout
        || before.max_requests_per_connection != after.max_requests_per_connection
        || before.protocol != after.protocol
        || before.max_connection_duration != after.max_connection_duration
}
