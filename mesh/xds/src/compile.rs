//! Compiles xDS resources into executable configuration. Each resource is compiled on its own, so an invalid one does
//! not affect the others.
//!
//! A field that the proxy does not support is refused with its path if it would change the proxy's behaviour or
//! output. Fields are ignored only if they have no externally visible effect: names of statistics, buffer sizes,
//! unknown metadata. Unset fields have Envoy's defaults (a route without a timeout has 15 s), with one exception:
//! without `stream_idle_timeout`, a stream may be idle for an unlimited time instead of 5 minutes.

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
mod share;
mod sharing;
mod subsets;
mod tls;

pub use balancing::is_prime;
pub use problem::CompileError;

use crate::proto::{self, ResourceKind};
use crate::table::{Assignment, Cluster, Listener, RouteTable};

/// Compiles a cluster.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_cluster(message: &proto::cluster::Cluster) -> Result<Cluster, CompileError> {
    cluster::compile(message)
        .map_err(|problem| problem.in_resource(ResourceKind::Cluster, &message.name))
}

/// Compiles a cluster's endpoints.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_endpoints(
    message: &proto::endpoint::ClusterLoadAssignment,
) -> Result<Assignment, CompileError> {
    endpoints::compile(message)
        .map_err(|problem| problem.in_resource(ResourceKind::Endpoints, &message.cluster_name))
}

/// Compiles a route configuration.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_routes(
    message: &proto::route::RouteConfiguration,
) -> Result<RouteTable, CompileError> {
    routes::compile(message)
        .map_err(|problem| problem.in_resource(ResourceKind::Routes, &message.name))
}

/// Compiles a listener.
///
/// # Errors
/// The first field that cannot be executed.
pub fn compile_listener(message: &proto::listener::Listener) -> Result<Listener, CompileError> {
    listener::compile(message)
        .map_err(|problem| problem.in_resource(ResourceKind::Listener, &message.name))
}

#[cfg(test)]
mod tests;
