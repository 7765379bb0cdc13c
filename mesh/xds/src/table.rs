//! The configuration as a proxy executes it: immutable parts behind [`Arc`]s, in which lookups do not allocate.
//!
//! Each new configuration is a new [`Table`] (four maps of pointers) that replaces the old one as a whole. Two tables
//! can share equal content: the parts themselves, and the chunks of the large maps ([`NameMap`]). State that must
//! survive a replacement (connection pools, active requests) is kept outside the table, under the cluster's name.

mod balancing;
mod cors;
mod filters;
mod hashing;
mod headers;
mod identity;
mod locality;
mod manager;
mod matching;
mod names;
mod overload;
mod path;
mod policy;
mod protocol;
mod rate_limit;
pub mod re2;
mod rewrite;
mod routes;
mod share;
mod tls;

pub use balancing::{
    Fallback, Label, Labels, LbOptions, LbPolicy, LeastRequest, Maglev, PeakEwma, RingFunction,
    RingHash, RoundRobin, Selector, SelectorFallback, SlowStart, Subsets,
};
pub use cors::{Cors, origin, preflight_method};
pub use filters::{Abort, Fault, Filter, Mirror, RouteFilters, TargetHeaders};
pub use hashing::{HashBy, HashCookie, HashPolicy, cookie_value};
pub use headers::{AppendAction, HeaderOp, HeaderOps, HeaderPart, Template, TemplatePart};
pub use identity::Identity;
pub use locality::Locality;
pub use manager::{AddressRange, ClientAddressSource, Manager, StreamDuration, Upgrades};
pub use matching::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, RequestView, RouteMatcher, StringMatcher,
    ValueMatcher, query_value,
};
pub use names::{ChunkStore, NameMap, NamedValue};
pub use overload::{AdaptiveConcurrency, AdaptiveThrottle, Shed, UpstreamPolicy};
pub use path::{InvalidPath, normalize_path};
pub use policy::{
    Enforcing, FailurePercentage, HedgePolicy, Limits, OutlierDetection, Priority, PriorityLimits,
    RateLimitedBackOff, ResetFormat, ResetHeader, RetryBudget, RetryOn, RetryPolicy, SuccessRate,
    never_ejects,
};
pub use protocol::UpstreamProtocol;
pub use rate_limit::{
    Bucket, DescriptorAction, DescriptorRule, HostRules, LimitDescriptor, RateLimit,
};
pub use rewrite::{PathRedirect, PathRewrite, Redirect, Rewrite, Substitution};
pub use routes::{
    DirectResponse, GrpcTimeout, Route, RouteAction, RouteActionKind, RouteTable, VirtualHost,
    WeightedCluster,
};
pub use share::RequestShare;
pub use tls::{
    ClientCertificateHeader, ClientCertificates, DownstreamTls, ForwardClientCert, ListenerTls,
    UpstreamTls, UpstreamTransport, UpstreamTrust,
};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The complete configuration that a proxy executes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    pub routes: BTreeMap<Arc<str>, Arc<RouteTable>>,
    pub clusters: NameMap<Cluster>,
    /// Endpoints, by the service name that clusters refer to ([`ClusterKind::Eds`]).
    pub endpoints: NameMap<Assignment>,
}

impl Table {
    /// The endpoints of a cluster. `None` if none have been received yet, and for a cluster whose hosts are named by
    /// the request.
    pub fn assignment<'t>(&'t self, cluster: &'t Cluster) -> Option<&'t Arc<Assignment>> {
        match &cluster.kind {
            ClusterKind::Eds(name) => self.endpoints.get(name),
            ClusterKind::Static(assignment) => Some(assignment),
            ClusterKind::OriginalDst => None,
        }
    }
}

/// A socket that accepts connections, and the processing of their requests.
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub address: SocketAddr,
    pub direction: Direction,
    pub tls: ListenerTls,
    pub routes: Routes,
    /// The maximum time a request may spend without activity on either side, unless its route sets another. `None`:
    /// unlimited.
    pub stream_idle_timeout: Option<Duration>,
    /// The HTTP filters that requests pass before they are routed upstream, in this order.
    pub filters: Vec<Filter>,
    /// The other settings of the HTTP connection manager.
    pub manager: Manager,
}

/// The direction of a listener's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the network to the application.
    Inbound,
    /// From the application to the network.
    Outbound,
}

/// The source of a listener's routes.
#[derive(Clone, Debug)]
pub enum Routes {
    /// In [`Table::routes`], under this name.
    Named(Arc<str>),
    /// In the listener itself.
    Inline(Arc<RouteTable>),
}

/// A group of interchangeable hosts, and the settings for reaching them.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The cluster name, such as `outbound|9080|v2|reviews.default.svc.cluster.local`.
    pub name: Arc<str>,
    pub kind: ClusterKind,
    /// The protocol of upstream connections.
    pub protocol: UpstreamProtocol,
    pub transport: UpstreamTransport,
    /// The timeout for establishing a connection.
    pub connect_timeout: Duration,
    pub lb: LbPolicy,
    /// The balancing settings that apply to every policy.
    pub lb_options: LbOptions,
    /// The circuit breaker limits of this proxy, per priority.
    pub limits: PriorityLimits,
    /// The caller policies that have no Envoy field.
    pub policy: UpstreamPolicy,
    /// Outlier detection. `None`: hosts are never ejected.
    pub outlier: Option<Box<OutlierDetection>>,
    /// The time for which health changes are held back after the latest one, so that they are applied together. Zero:
    /// each is applied at once.
    pub update_merge_window: Duration,
    /// The time after which an idle connection is closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// The number of requests after which a connection is closed. `None`: unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// The age at which a connection is closed, as soon as it has no active request. `None`: unlimited.
    pub max_connection_duration: Option<Duration>,
}

impl Host {
    /// A healthy host of weight 1 with an unknown locality and workload.
    pub fn new(address: SocketAddr) -> Host {
        Host {
            address,
            healthy: true,
            locality: Arc::default(),
            locality_weight: 0,
            priority: 0,
            weight: 1,
            hash_key: None,
            labels: Labels::new(),
            workload: Identity::new(""),
            mesh_tls: false,
        }
    }
}

impl NamedValue for Cluster {
    fn name(&self) -> &str {
        &self.name
    }
}

impl NamedValue for Assignment {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Cluster {
    /// Envoy's default. Source: Envoy, `Cluster.CommonLbConfig.update_merge_window`.
    pub const UPDATE_MERGE_WINDOW: Duration = Duration::from_secs(1);
}

/// The source of a cluster's hosts.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterKind {
    /// EDS, under this name in [`Table::endpoints`].
    Eds(Arc<str>),
    /// The cluster itself. Without hosts, every request fails (`BlackHoleCluster`).
    Static(Arc<Assignment>),
    /// The request: its authority names the host (`PassthroughCluster`).
    OriginalDst,
}

/// The hosts of a cluster, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The name of the `ClusterLoadAssignment` resource.
    pub name: Arc<str>,
    pub hosts: Vec<Host>,
    /// The overprovisioning factor, in percent. A priority takes all its traffic as long as its share of healthy
    /// hosts times this factor is at least 100%.
    pub overprovisioning: u32,
    /// True if hosts count by weight in the health of their priority.
    pub weigh_health: bool,
}

impl Assignment {
    /// Envoy's default. Source: Envoy, `ClusterLoadAssignment.Policy.overprovisioning_factor`.
    pub const OVERPROVISIONING: u32 = 140;

    /// An assignment with Envoy's default policy.
    pub fn new(name: &str, hosts: Vec<Host>) -> Assignment {
        Assignment {
            name: Arc::from(name),
            hosts,
            overprovisioning: Assignment::OVERPROVISIONING,
            weigh_health: false,
        }
    }

    /// The hosts that the control plane marks as healthy.
    pub fn healthy(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.healthy)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub address: SocketAddr,
    /// True if the control plane marks the host as able to take traffic.
    pub healthy: bool,
    pub locality: Arc<Locality>,
    /// The weight of the host's locality among those of the same priority. 0: no weight.
    pub locality_weight: u32,
    /// The priority. Hosts of priority n + 1 are used as those of priority n become unhealthy. The first is 0.
    pub priority: u32,
    /// The load balancing weight, at least 1.
    pub weight: u32,
    /// The key for consistent hashing, if it is not the address.
    pub hash_key: Option<Arc<str>>,
    /// The labels that subsets are selected by.
    pub labels: Labels,
    /// The workload that the host belongs to.
    pub workload: Identity,
    /// True if the host accepts the mesh's mutual TLS: metadata `envoy.transport_socket_match`, `tlsMode: istio`.
    pub mesh_tls: bool,
}

#[cfg(test)]
mod tests;
