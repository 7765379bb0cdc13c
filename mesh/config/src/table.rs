//! Configuration as it is executed by the proxy: immutable parts behind [`Arc`]s, looked up without allocating.
//!
//! A new configuration is a clone of the [`Table`] (four maps of pointers) with parts exchanged, swapped in whole.
//! State that must survive a swap (pools, active requests) lives elsewhere, under the cluster's name.

mod matching;
mod policy;
mod routes;

pub use matching::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, RequestView, RouteMatcher, StringMatcher,
    ValueMatcher, compile_regex,
};
pub use policy::{LbPolicy, Limits, RetryOn, RetryPolicy};
pub use routes::{
    Action, DirectResponse, Route, RouteAction, RouteTable, VirtualHost, WeightedCluster,
};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use crate::registry::Locality;

/// All that a proxy executes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Listeners by name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// Route tables by name.
    pub routes: BTreeMap<Arc<str>, Arc<RouteTable>>,
    /// Clusters by name.
    pub clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
    /// Endpoints by the name that clusters know them by ([`ClusterKind::Eds`]).
    pub endpoints: BTreeMap<Arc<str>, Arc<Assignment>>,
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
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How a host is chosen.
    pub lb: LbPolicy,
    /// How much may be in hand at once, in this proxy.
    pub limits: Limits,
    /// How long a connection may be idle before it is closed; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// After so many requests a connection is closed; `None`: never.
    pub max_requests_per_connection: Option<u32>,
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
    /// The hosts, all of one weight.
    pub hosts: Vec<Host>,
}

impl Assignment {
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
    /// The workload that it belongs to (`reviews-v2`); empty if unknown.
    pub workload: Arc<str>,
}

#[cfg(test)]
mod tests;
