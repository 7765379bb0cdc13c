//! Configuration as it is executed by the proxy: immutable parts behind [`Arc`]s, looked up without allocating.
//!
//! A new configuration is another [`Table`] (four maps of pointers), swapped in whole. What is equal in two tables may be
//! shared by them: the parts, and the chunks of the great maps ([`NameMap`]).
//! State that must survive a swap (pools, active requests) lives elsewhere, under the cluster's name.

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

pub use balancing::{
    Fallback, Label, Labels, LbOptions, LbPolicy, LeastRequest, Maglev, PeakEwma, RingFunction,
    RingHash, RoundRobin, Selector, SelectorFallback, SlowStart, Subsets,
};
pub use cors::{Cors, origin, preflight_method};
pub use filters::{Abort, Fault, Filter, Mirror, RouteFilters, Share, TargetHeaders};
pub use hashing::{HashBy, HashCookie, HashPolicy, cookie_value};
pub use headers::{AppendAction, HeaderOp, HeaderOps, HeaderPart, Part, Template};
pub use identity::Identity;
pub use locality::Locality;
pub use manager::{Manager, Network, Origin, StreamDuration, Upgrades};
pub use matching::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, RequestView, RouteMatcher, StringMatcher,
    ValueMatcher, query_value,
};
pub use names::{Chunks, NameMap, Named};
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
    Action, DirectResponse, GrpcTimeout, Route, RouteAction, RouteTable, VirtualHost,
    WeightedCluster,
};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// All that a proxy executes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Listeners by name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// Route tables by name.
    pub routes: BTreeMap<Arc<str>, Arc<RouteTable>>,
    /// Clusters by name.
    pub clusters: NameMap<Cluster>,
    /// Endpoints by the name that clusters know them by ([`ClusterKind::Eds`]).
    pub endpoints: NameMap<Assignment>,
}

impl Table {
    /// The endpoints of a cluster; `None` while none are known, and for a cluster that finds them by the request.
    pub fn assignment<'t>(&'t self, cluster: &'t Cluster) -> Option<&'t Arc<Assignment>> {
        match &cluster.kind {
            ClusterKind::Eds(name) => self.endpoints.get(name),
            ClusterKind::Static(assignment) => Some(assignment),
            ClusterKind::OriginalDst => None,
        }
    }
}

/// Where connections are taken, and how their requests are routed.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which way its requests go.
    pub direction: Direction,
    /// How they are routed.
    pub routes: Routes,
    /// How long a request may go without a sign of either side, where its route does not say; `None`: as long as it takes.
    pub stream_idle_timeout: Option<Duration>,
    /// What requests pass before they are sent on, in this order.
    pub filters: Vec<Filter>,
    /// What else it does with requests.
    pub manager: Manager,
}

/// Which way a listener's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the network to the app.
    Inbound,
    /// From the app to the network.
    Outbound,
}

/// Where a listener's routes are.
#[derive(Clone, Debug)]
pub enum Routes {
    /// Under this name in [`Table::routes`].
    Named(Arc<str>),
    /// Here.
    Inline(Arc<RouteTable>),
}

/// A group of hosts that serve the same, and how to reach them.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its name: `outbound|9080|v2|reviews.default.svc.cluster.local`.
    pub name: Arc<str>,
    /// Where its hosts come from.
    pub kind: ClusterKind,
    /// What its connections speak.
    pub protocol: UpstreamProtocol,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How a host is chosen.
    pub lb: LbPolicy,
    /// What holds whatever the policy.
    pub lb_options: LbOptions,
    /// How much may be in hand at once, in this proxy.
    pub limits: PriorityLimits,
    /// What its callers do that Envoy has no field for.
    pub policy: UpstreamPolicy,
    /// When a host is taken out; `None`: never.
    pub outlier: Option<Box<OutlierDetection>>,
    /// How long changes of hosts' health are held back after the last one, so that they are taken in together; zero: not
    /// at all.
    pub update_merge_window: Duration,
    /// How long a connection may be idle before it is closed; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// After so many requests a connection is closed; `None`: never.
    pub max_requests_per_connection: Option<u32>,
    /// After so long a connection is closed, once it has no request; `None`: never.
    pub max_connection_duration: Option<Duration>,
}

impl Host {
    /// A healthy host of weight 1, of which no more is known.
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
        }
    }
}

impl Named for Cluster {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Assignment {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Cluster {
    /// Envoy's, where it is not set. Source: Envoy, `Cluster.CommonLbConfig.update_merge_window`.
    pub const UPDATE_MERGE_WINDOW: Duration = Duration::from_secs(1);
}

/// Where a cluster's hosts come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterKind {
    /// From EDS, under this name in [`Table::endpoints`].
    Eds(Arc<str>),
    /// From the cluster itself; without any, nothing can be reached through it (`BlackHoleCluster`).
    Static(Arc<Assignment>),
    /// From the request: whatever its authority names (`PassthroughCluster`).
    OriginalDst,
}

/// The hosts of a cluster, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The name it was sent under.
    pub name: Arc<str>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// A priority takes all its traffic as long as this percentage of its healthy hosts' share is 100 or more.
    pub overprovisioning: u32,
    /// Whether hosts count by their weight for the health of their priority.
    pub weigh_health: bool,
}

impl Assignment {
    /// Envoy's. Source: Envoy, `ClusterLoadAssignment.Policy.overprovisioning_factor`.
    pub const OVERPROVISIONING: u32 = 140;

    /// Hosts as Envoy takes them by default.
    pub fn new(name: &str, hosts: Vec<Host>) -> Assignment {
        Assignment {
            name: Arc::from(name),
            hosts,
            overprovisioning: Assignment::OVERPROVISIONING,
            weigh_health: false,
        }
    }

    /// The hosts that take traffic.
    pub fn healthy(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.healthy)
    }
}

/// A host of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether the control plane says that it takes traffic.
    pub healthy: bool,
    /// Where it runs.
    pub locality: Arc<Locality>,
    /// The weight of its locality among those of its priority; 0: none.
    pub locality_weight: u32,
    /// Its priority; hosts of the next are used as those of the one before fail. 0 is the first.
    pub priority: u32,
    /// Its weight; 1 or more.
    pub weight: u32,
    /// What it is known by to consistent hashing, where that is not its address.
    pub hash_key: Option<Arc<str>>,
    /// What subsets are told apart by.
    pub labels: Labels,
    /// The workload that it belongs to.
    pub workload: Identity,
}

#[cfg(test)]
mod tests;
