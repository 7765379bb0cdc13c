//! The context of a route, and the action that forwards a request to a cluster.

use std::time::Duration;

use shakedown_istio::registry::Mesh;
use shakedown_xds::proto;
use shakedown_xds::proto::route::RouteAction;
use shakedown_xds::proto::route::route_action::ClusterSpecifier;

use crate::index::Index;

/// The context of a route, which completes the names and ports of its destinations.
pub(super) struct RouteContext<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) index: &'a Index<'a>,
    /// The namespace in which short names are resolved.
    pub(super) namespace: &'a str,
    /// The port of the request.
    pub(super) port: u16,
}

/// Returns an action without a timeout, which is set explicitly because Envoy's default would be 15 s.
pub(crate) fn to(cluster: ClusterSpecifier) -> RouteAction {
    RouteAction {
        cluster_specifier: Some(cluster),
        timeout: Some(proto::duration(Duration::ZERO)),
        ..Default::default()
    }
}
