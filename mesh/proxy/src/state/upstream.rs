//! The state of one upstream cluster: its hosts, their pools and active requests, the load balancer, and circuit
//! breakers.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rand::Rng as _;
use shakedown_env::{Env, Rng, Time};
use shakedown_types::MeshEvent;
use shakedown_wire::{Pool, PoolOptions, PoolProtocol};
use shakedown_xds::table::{
    Assignment, Cluster, ClusterKind, HedgePolicy, Identity, Labels, Priority, UpstreamProtocol,
    UpstreamTransport,
};

use super::health::ClusterHealth;
use super::host::{PoolKind, UpstreamHost};
use super::host_health::HostHealth;
use super::transport::ClusterTls;
use crate::balance::peak_ewma::Ewma;
use crate::balance::{Balancer, LbHost, LbSettings, Request};
use crate::breaker::CircuitBreaker;
use crate::budget::HedgeBudget;
use crate::secrets::Secrets;
use crate::telemetry::{EdgeLabels, EdgeSeries};
use crate::throttle::Throttle;

/// The most hosts outside the mesh that a cluster keeps. Beyond this, idle ones are dropped.
const OUTSIDE_HOSTS_MAX: usize = 1024;

/// The state of one cluster. It is kept under the cluster's name across configurations.
#[derive(Debug)]
pub(crate) struct Upstream {
    env: Env,
    from: IpAddr,
    cluster: RefCell<Arc<Cluster>>,
    tls: ClusterTls,
    /// The endpoints of the hosts.
    assignment: RefCell<Option<Arc<Assignment>>>,
    /// All hosts in the order of the assignment, including those that take no traffic.
    hosts: RefCell<Vec<Rc<UpstreamHost>>>,
    /// Hosts named by requests, for an `ORIGINAL_DST` cluster.
    outside: RefCell<BTreeMap<SocketAddr, Rc<UpstreamHost>>>,
    balancer: RefCell<Balancer>,
    random: RefCell<Rng>,
    health: ClusterHealth,
    /// The circuit breakers, by priority.
    breakers: [CircuitBreaker; 2],
    hedges: RefCell<HedgeBudget>,
    /// The client-side throttle, if configured.
    throttle: RefCell<Option<Throttle>>,
    labels: EdgeLabels,
    /// The edges, by workload.
    edges: RefCell<BTreeMap<Identity, Rc<EdgeSeries>>>,
    unreached: Rc<EdgeSeries>,
}

/// The parts of a proxy that all its clusters share.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamInputs<'a> {
    pub(super) env: &'a Env,
    /// The address from which connections leave.
    pub(super) from: IpAddr,
    pub(super) secrets: &'a Secrets,
}

/// The inputs of a pick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PickContext<'a> {
    /// The request's hash, if there is one.
    pub(crate) hash: Option<u64>,
    /// The labels that the route requires of the host.
    pub(crate) labels: Option<&'a Labels>,
    /// Hosts that were tried already.
    pub(crate) tried: &'a [SocketAddr],
    /// The number of further picks if an already tried host is picked.
    pub(crate) attempts: u32,
}

impl Upstream {
    /// A cluster without hosts, configured since `since`.
    pub(super) fn new(
        UpstreamInputs { env, from, secrets }: UpstreamInputs<'_>,
        labels: EdgeLabels,
        cluster: &Arc<Cluster>,
        since: Time,
    ) -> Upstream {
        // A random stream per cluster, so that another cluster's requests do not shift this one's picks.
        let mut random = env.rng(&format!("proxy/balance/{}", cluster.name));
        Upstream {
            env: env.clone(),
            from,
            cluster: RefCell::new(Arc::clone(cluster)),
            tls: ClusterTls::new(secrets),
            assignment: RefCell::default(),
            hosts: RefCell::default(),
            outside: RefCell::default(),
            balancer: RefCell::new(Balancer::new(random.next_u64(), since)),
            random: RefCell::new(random),
            health: ClusterHealth::new(env, &cluster.name),
            breakers: Priority::ALL.map(|priority| breaker(env, cluster, priority)),
            hedges: RefCell::default(),
            throttle: RefCell::new(cluster.policy.throttle.map(Throttle::new)),
            unreached: Rc::new(EdgeSeries::new(labels.clone())),
            labels,
            edges: RefCell::default(),
        }
    }

    /// The configuration in force.
    #[cfg(test)]
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster.borrow())
    }

    /// True if requests name their host themselves.
    pub(crate) fn is_original_dst(&self) -> bool {
        matches!(self.cluster.borrow().kind, ClusterKind::OriginalDst)
    }

    /// All hosts, including those that take no traffic.
    pub(crate) fn hosts(&self) -> Ref<'_, Vec<Rc<UpstreamHost>>> {
        self.hosts.borrow()
    }

    /// The edge of requests that have reached no host.
    pub(crate) fn unreached(&self) -> &Rc<EdgeSeries> {
        &self.unreached
    }

    /// Applies a configuration that is in force since `since`. A host that remains keeps its active requests, and its
    /// connections unless their options changed. A removed host completes its requests.
    pub(super) fn update(
        &self,
        cluster: &Arc<Cluster>,
        assignment: Option<&Arc<Assignment>>,
        since: Time,
    ) {
        let before = self.cluster.replace(Arc::clone(cluster));
        for priority in Priority::ALL {
            self.breaker(priority)
                .set_limits(cluster.limits.for_priority(priority));
        }
        if before.policy.throttle != cluster.policy.throttle {
            self.throttle
                .replace(cluster.policy.throttle.map(Throttle::new));
        }
        self.tls.configure(&cluster.transport);
        if pool_changed(&before, cluster) {
            for host in self.hosts.borrow().iter() {
                host.pool.replace(self.pool(
                    host.address,
                    host.mesh_tls,
                    cluster,
                    PoolKind::default(),
                ));
                host.others.take();
            }
            self.outside.borrow_mut().clear();
        }
        let mut known: BTreeMap<SocketAddr, Rc<UpstreamHost>> = self
            .hosts
            .take()
            .into_iter()
            .map(|host| (host.address, host))
            .collect();
        let specs = assignment.map_or(&[][..], |assignment| &assignment.hosts);
        let hosts = specs.iter().map(|host| match known.remove(&host.address) {
            Some(known) if known.workload == host.workload && known.mesh_tls == host.mesh_tls => {
                known
            }
            _ => Rc::new(self.host(host.address, &host.workload, host.mesh_tls, cluster)),
        });
        let hosts: Vec<Rc<UpstreamHost>> = hosts.collect();
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

    /// Uses the current secrets for new connections.
    pub(super) fn follow_secrets(&self) {
        self.tls.follow_secrets();
    }

    /// True if the throttle admits a request, or none is configured.
    pub(crate) fn may_send(&self) -> bool {
        let mut throttle = self.throttle.borrow_mut();
        let Some(throttle) = throttle.as_mut() else {
            return true;
        };
        throttle.admit(self.env.now(), &mut *self.random.borrow_mut())
    }

    /// Notes a response that signals no overload.
    pub(crate) fn accepted(&self) {
        if let Some(throttle) = self.throttle.borrow_mut().as_mut() {
            throttle.accepted(self.env.now());
        }
    }

    /// The cluster's default hedge policy.
    pub(crate) fn hedge(&self) -> Option<HedgePolicy> {
        self.cluster.borrow().policy.hedge
    }

    /// Updates the load balancer after a change by outlier detection.
    pub(super) fn health_changed(&self) {
        self.take_in_health();
        self.rebuild(self.env.now());
    }

    fn take_in_health(&self) {
        for host in self.hosts.borrow().iter() {
            host.health.take_in();
        }
    }

    /// Rebuilds the load balancer from the current hosts and their health.
    fn rebuild(&self, now: Time) {
        let (cluster, assignment) = (self.cluster.borrow(), self.assignment.borrow());
        let hosts = self.hosts.borrow();
        let specs = assignment.iter().flat_map(|assignment| &assignment.hosts);
        let members: Vec<LbHost<'_>> = hosts
            .iter()
            .zip(specs)
            .map(|(host, spec)| host.member(spec, now))
            .collect();
        let setting = LbSettings::new(cluster.lb, &cluster.lb_options, assignment.as_deref());
        let mut balancer = self.balancer.borrow_mut();
        balancer.rebuild(&setting, &members, now);
    }

    /// The circuit breaker of a priority.
    pub(crate) fn breaker(&self, priority: Priority) -> &CircuitBreaker {
        &self.breakers[priority as usize]
    }

    /// The pool of a host for requests of a kind.
    pub(crate) fn pool_of(&self, host: &UpstreamHost, mut kind: PoolKind) -> Pool {
        let cluster = self.cluster.borrow();
        kind.over_http2 &= matches!(cluster.protocol, UpstreamProtocol::Downstream { .. });
        if kind == PoolKind::default() {
            return host.pool();
        }
        let mut others = host.others.borrow_mut();
        if let Some((_, pool)) = others.iter().find(|(known, _)| *known == kind) {
            return pool.clone();
        }
        let pool = self.pool(host.address, host.mesh_tls, &cluster, kind);
        others.push((kind, pool.clone()));
        pool
    }

    /// Counts a request for the hedge budget.
    pub(crate) fn count_request(&self, now: Time) {
        self.hedges.borrow_mut().request(now);
    }

    /// Returns true if the hedge budget allows a hedge now, and counts it.
    pub(crate) fn may_hedge(&self, now: Time, share_ppm: Option<u32>) -> bool {
        self.hedges.borrow_mut().hedge(now, share_ppm)
    }

    /// The driver of outlier detection.
    pub(super) fn health(&self) -> &ClusterHealth {
        &self.health
    }

    /// A host by address.
    pub(super) fn host_at(&self, address: SocketAddr) -> Option<Rc<UpstreamHost>> {
        let hosts = self.hosts.borrow();
        hosts.iter().find(|host| host.address == address).cloned()
    }

    /// Picks a host for an attempt; `None` if none is available.
    pub(crate) fn pick(&self, wanted: &PickContext<'_>) -> Option<Rc<UpstreamHost>> {
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

    /// True if the load balancer uses the request's hash.
    pub(crate) fn is_hashing(&self) -> bool {
        self.cluster.borrow().lb.is_hashing()
    }

    /// The host at an address that the request named.
    pub(crate) fn outside(&self, address: SocketAddr) -> Rc<UpstreamHost> {
        let mut outside = self.outside.borrow_mut();
        if let Some(host) = outside.get(&address) {
            return Rc::clone(host);
        }
        if outside.len() >= OUTSIDE_HOSTS_MAX {
            outside.retain(|_, host| host.active.get() > 0);
        }
        let host = Rc::new(self.host(address, &Identity::new(""), false, &self.cluster.borrow()));
        outside.insert(address, Rc::clone(&host));
        host
    }

    fn host(
        &self,
        address: SocketAddr,
        workload: &Identity,
        mesh_tls: bool,
        cluster: &Cluster,
    ) -> UpstreamHost {
        UpstreamHost {
            address,
            mesh_tls,
            workload: workload.clone(),
            pool: RefCell::new(self.pool(address, mesh_tls, cluster, PoolKind::default())),
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

    /// A pool of connections to a host. `mesh_tls`: the host accepts the mesh's mutual TLS.
    fn pool(&self, address: SocketAddr, mesh_tls: bool, cluster: &Cluster, kind: PoolKind) -> Pool {
        let streams = cluster.protocol.streams(kind.over_http2);
        let protocol = streams.map_or(PoolProtocol::Http1, |_| PoolProtocol::Http2);
        let encrypted = mesh_tls || !matches!(cluster.transport, UpstreamTransport::MeshOnly(_));
        let options = PoolOptions {
            protocol,
            tls: encrypted.then(|| self.tls.client(protocol)).flatten(),
            max_concurrent_streams: streams.unwrap_or(UpstreamProtocol::MAX_CONCURRENT_STREAMS),
            connect_timeout: cluster.connect_timeout,
            idle_timeout: cluster.idle_timeout,
            max_requests_per_connection: cluster.max_requests_per_connection,
            max_connection_duration: cluster.max_connection_duration,
            quota: Some(self.breaker(kind.priority).quota().clone()),
            ..PoolOptions::default()
        };
        // A socket cannot connect from an address of the other family.
        let from = (self.from.is_ipv4() == address.is_ipv4()).then_some(self.from);
        Pool::new(self.env.clone(), address, from, options)
    }

    fn edge(&self, workload: &Identity) -> Rc<EdgeSeries> {
        if workload.is_unknown() {
            return Rc::clone(&self.unreached);
        }
        let mut edges = self.edges.borrow_mut();
        let edge = edges.entry(workload.clone());
        Rc::clone(
            edge.or_insert_with(|| {
                Rc::new(EdgeSeries::new(self.labels.clone().reaching(workload)))
            }),
        )
    }
}

/// Creates the circuit breaker of a priority. Both priorities emit the same events when they open or close.
fn breaker(env: &Env, cluster: &Cluster, priority: Priority) -> CircuitBreaker {
    let breaker = CircuitBreaker::new(cluster.limits.for_priority(priority));
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

/// True if connections made for one configuration do not fit the other.
fn pool_changed(before: &Cluster, after: &Cluster) -> bool {
    before.connect_timeout != after.connect_timeout
        || before.idle_timeout != after.idle_timeout
        || before.max_requests_per_connection != after.max_requests_per_connection
        || before.protocol != after.protocol
        || before.transport != after.transport
        || before.max_connection_duration != after.max_connection_duration
}
