//! From what was sent to what is executed, resource by resource: one that is in error sinks no other.
//!
//! What the proxy does not have and what would change what it does or tells is refused with its field's path, never
//! ignored. Ignored is only what cannot be seen from outside: statistics' names, buffer sizes, other people's metadata.
//! Where a field is not set, Envoy's default holds (a route without a timeout has 15 s), with one exception: without
//! `stream_idle_timeout` a stream may be idle for ever, not for 5 m.

mod action;
mod balancing;
mod cluster;
mod cors;
mod endpoints;
mod fault;
mod filters;
mod hashing;
mod headers;
mod limits;
mod listener;
mod manager;
mod matching;
mod outlier;
mod overload;
mod policies;
mod problem;
mod rate_limit;
mod retries;
mod rewrite;
mod routes;
mod sharing;
mod subsets;

pub use balancing::is_prime;

use thiserror::Error;

use crate::proto::{self, Kind};
use crate::table::{Assignment, Cluster, Listener, RouteTable};

/// Why a resource cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} {name}: {path}: {problem}")]
pub struct CompileError {
    /// The resource's kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The field, as in `virtual_hosts[0].routes[2].route.timeout`.
    pub path: String,
    /// What is wrong with it, and what would be accepted.
    pub problem: String,
}

/// A cluster, ready to use.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_cluster(message: &proto::cluster::Cluster) -> Result<Cluster, CompileError> {
    cluster::compile(message).map_err(|problem| problem.of(Kind::Cluster, &message.name))
}

/// Endpoints, ready to use.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_endpoints(
    message: &proto::endpoint::ClusterLoadAssignment,
) -> Result<Assignment, CompileError> {
    endpoints::compile(message)
        .map_err(|problem| problem.of(Kind::Endpoints, &message.cluster_name))
}

/// A route configuration, ready to use.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_routes(
    message: &proto::route::RouteConfiguration,
) -> Result<RouteTable, CompileError> {
    routes::compile(message).map_err(|problem| problem.of(Kind::Routes, &message.name))
}

/// A listener, ready to use.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_listener(message: &proto::listener::Listener) -> Result<Listener, CompileError> {
    listener::compile(message).map_err(|problem| problem.of(Kind::Listener, &message.name))
}

#[cfg(test)]
mod tests;
