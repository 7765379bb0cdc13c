//! Translation of routes: a virtual host for each port of each service, with the routes of its VirtualService.

mod action;
mod condition;
mod context;
mod filters;
mod headers;
mod hosts;

use shakedown_istio::registry::{Hostname, Mesh};
use shakedown_istio::{DIRECT_BODY_MAX, HttpMatch, HttpRoute, Resource, VirtualService};
use shakedown_xds::proto;
use shakedown_xds::proto::route::route::Action;
use shakedown_xds::proto::route::route_action::ClusterSpecifier;
use shakedown_xds::proto::route::{self, Route, RouteConfiguration, VirtualHost};
use shakedown_yaml::diagnostic;

use super::caller::Caller;
use super::delegate::{self, Merged};
use super::index::Index;
use super::messages::wrapped;
use super::names::{OUTBOUND_ROUTES, PASSTHROUGH, outbound_cluster};
use super::{balancing, retries};
use context::RouteContext;

pub(super) use condition::any_path;
pub(super) use context::to;

/// The port of requests that name none, and of hosts that only a VirtualService names.
const HTTP_PORT: u16 = 80;

/// Returns the route configuration of a caller's outbound listener.
pub(super) fn outbound(mesh: &Mesh, index: &Index<'_>, caller: &Caller) -> RouteConfiguration {
    let mut hosts = hosts::of_caller(mesh, index, caller);
    hosts.push(catch_all(mesh.options.outbound_allow_any));
    configuration(hosts)
}

/// Returns a route configuration for outbound listeners with these virtual hosts.
pub(super) fn configuration(virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name: OUTBOUND_ROUTES.into(),
        virtual_hosts,
        max_direct_response_body_size_bytes: Some(wrapped(DIRECT_BODY_MAX)),
        ..Default::default()
    }
}

/// Returns the virtual host for requests that match no other one.
fn catch_all(allow_any: bool) -> VirtualHost {
    let (name, action) = if allow_any {
        (
            "allow_any",
            Action::Route(to(ClusterSpecifier::Cluster(PASSTHROUGH.into()))),
        )
    } else {
        (
            "block_all",
            Action::DirectResponse(route::DirectResponseAction {
                status: 502,
                ..Default::default()
            }),
        )
    };
    let route = Route {
        name: name.into(),
        r#match: Some(any_path()),
        action: Some(action),
        ..Default::default()
    };
    VirtualHost {
        name: name.into(),
        domains: vec!["*".into()],
        routes: vec![route],
        include_request_attempt_count: true,
        ..Default::default()
    }
}

fn default_route(mesh: &Mesh, index: &Index<'_>, host: &Hostname, port: u16) -> Route {
    let cluster = outbound_cluster(port, "", host.as_str());
    let retries = retries::outbound(None, balancing::is_hashed(&cluster, mesh, index));
    let mut action = to(ClusterSpecifier::Cluster(cluster));
    action.retry_policy = retries;
    Route {
        name: "default".into(),
        r#match: Some(any_path()),
        action: Some(Action::Route(action)),
        ..Default::default()
    }
}

/// Returns the routes of a VirtualService for a caller and a port. Routes after one that matches everything are
/// unreachable, and are omitted.
fn virtual_routes(
    mesh: &Mesh,
    index: &Index<'_>,
    caller: &Caller,
    document: &Resource<VirtualService>,
    port: u16,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for Merged {
        route: written,
        namespace,
        ..
    } in delegate::routes(document, index)
    {
        let context = RouteContext {
            mesh,
            index,
            namespace,
            port,
        };
        if written.r#match.is_empty() {
            routes.push(route(None, &written, &context));
            return routes;
        }
        for condition in &written.r#match {
            let wrong_port = condition.port.is_some_and(|wanted| wanted != port);
            if wrong_port || !condition::is_for(condition, caller) {
                continue;
            }
            routes.push(route(Some(condition), &written, &context));
            if condition::takes_everything(condition) {
                return routes;
            }
        }
    }
    routes
}

/// Returns every route that a VirtualService may produce for any caller and port, each with its source position.
pub(super) fn all(
    mesh: &Mesh,
    index: &Index<'_>,
    document: &Resource<VirtualService>,
) -> Vec<(diagnostic::Location, Route)> {
    let mut routes = Vec::new();
    for merged in delegate::routes(document, index) {
        let context = |port: Option<u16>| RouteContext {
            mesh,
            index,
            namespace: merged.namespace,
            port: port.unwrap_or(HTTP_PORT),
        };
        let written = &merged.route;
        if written.r#match.is_empty() {
            let route = route(None, written, &context(None));
            routes.push((merged.place.clone(), route));
        }
        for condition in &written.r#match {
            let route = route(Some(condition), written, &context(condition.port));
            routes.push((condition.place.clone(), route));
        }
    }
    routes
}

/// Translates a route for one of its conditions, or without a condition.
fn route(condition: Option<&HttpMatch>, written: &HttpRoute, context: &RouteContext<'_>) -> Route {
    let matched = condition.and_then(|condition| condition.name.as_ref());
    let name = match (&written.name, matched) {
        (Some(route), Some(matched)) => format!("{route}.{matched}"),
        (route, matched) => route.as_ref().or(matched).cloned().unwrap_or_default(),
    };
    let stat_prefix = condition.and_then(|condition| condition.stat_prefix.clone());
    let mut route = Route {
        name,
        r#match: Some(condition.map_or_else(any_path, condition::route_match)),
        stat_prefix: stat_prefix.unwrap_or_default(),
        typed_per_filter_config: proto::in_order(&filters::of_route(written)),
        ..Default::default()
    };
    action::fill(&mut route, written, context);
    route
}
