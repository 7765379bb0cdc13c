//! Routes: a virtual host for each port of each service, and what its VirtualService says.

mod action;
mod condition;
mod filters;
mod headers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::caller::Caller;
use super::delegate::{self, Merged};
use super::index::Index;
use super::{OUTBOUND_ROUTES, PASSTHROUGH, balancing, outbound_cluster, retries, wrapped};
use crate::api::{HttpRoute, Resource, VirtualService};
use crate::registry::{DOMAIN, Hostname, Mesh, Port, Service};
use crate::xds;
use crate::xds::route::{
    self, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route::Action,
    route_action::ClusterSpecifier,
};
pub(super) use condition::any_path;

/// The port of a host that stands in a VirtualService alone.
const HTTP_PORT: u16 = 80;
/// The longest body of a direct response. Source: Istio, `DefaultMaxDirectResponseBodySizeBytes`.
pub(crate) const DIRECT_BODY_MAX: u32 = 1024 * 1024;

/// Where a route stands: the names and the port that its destinations leave out.
struct Place<'a> {
    mesh: &'a Mesh,
    index: &'a Index<'a>,
    /// Whose short names it uses.
    namespace: &'a str,
    /// The port that is asked for.
    port: u16,
}

/// The route configuration of the outbound listeners of a caller.
pub(super) fn outbound(mesh: &Mesh, index: &Index<'_>, caller: &Caller) -> RouteConfiguration {
    let shorts = short_names(mesh);
    let mut hosts = Vec::new();
    for service in mesh.registry.services.values() {
        for port in &service.ports {
            let routes = match index.virtual_service(&service.hostname) {
                Some(document) => virtual_routes(mesh, index, caller, document, port.number),
                None => vec![default_route(mesh, index, &service.hostname, port.number)],
            };
            // A VirtualService of which nothing is for this port leaves nothing: no host, as in Istio.
            if !routes.is_empty() {
                let name = format!("{}:{}", service.hostname, port.number);
                hosts.push(virtual_host(name, domains(service, port, &shorts), routes));
            }
        }
    }
    for (host, document) in index.virtual_hosts() {
        let routes = virtual_routes(mesh, index, caller, document, HTTP_PORT);
        if mesh.registry.service(host.as_str()).is_none() && !routes.is_empty() {
            let name = format!("{host}:{HTTP_PORT}");
            hosts.push(virtual_host(
                name.clone(),
                vec![host.to_string(), name],
                routes,
            ));
        }
    }
    hosts.push(catch_all(mesh.options.outbound_allow_any));
    RouteConfiguration {
        name: OUTBOUND_ROUTES.into(),
        virtual_hosts: hosts,
        max_direct_response_body_size_bytes: Some(wrapped(DIRECT_BODY_MAX)),
        ..Default::default()
    }
}

fn virtual_host(name: String, domains: Vec<String>, routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name,
        domains,
        routes,
        include_request_attempt_count: true,
        ..Default::default()
    }
}

/// Which service a short name alone means: the only one of that name, or the one in `default`.
fn short_names(mesh: &Mesh) -> BTreeMap<&str, &Hostname> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for service in mesh.registry.services.values() {
        *count.entry(&service.name).or_default() += 1;
    }
    let services = mesh.registry.services.values();
    let meant = services
        .filter(|service| count[service.name.as_str()] == 1 || service.namespace == "default");
    meant
        .map(|service| (service.name.as_str(), &service.hostname))
        .collect()
}

/// All the authorities that mean a service's port: with the port always, without it where no other is meant.
fn domains(service: &Service, port: &Port, shorts: &BTreeMap<&str, &Hostname>) -> Vec<String> {
    let full = service.hostname.as_str();
    let mut names = vec![full.to_owned()];
    if service.hostname == Hostname::of(&service.name, &service.namespace) {
        if shorts.get(service.name.as_str()) == Some(&&service.hostname) {
            names.push(service.name.to_ascii_lowercase());
        }
        let local = DOMAIN.split_once('.').map_or(DOMAIN, |(local, _)| local);
        let namespaced = format!("{}.{}", service.name, service.namespace).to_ascii_lowercase();
        names.push(format!("{namespaced}.{local}"));
        names.push(namespaced);
    }
    let alone = service.ports.len() == 1 || port.number == HTTP_PORT;
    let mut seen = BTreeSet::new();
    let all = names.into_iter().flat_map(|name| {
        let with_port = format!("{name}:{}", port.number);
        alone.then_some(name).into_iter().chain([with_port])
    });
    all.filter(|name| seen.insert(name.clone())).collect()
}

/// What happens to requests for hosts that nobody has.
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
    virtual_host(name.into(), vec!["*".into()], vec![route])
}

/// A way to clusters without a bound on time: Envoy's default would be 15 s, so it is always said.
pub(super) fn to(cluster: ClusterSpecifier) -> RouteAction {
    RouteAction {
        cluster_specifier: Some(cluster),
        timeout: Some(xds::duration(Duration::ZERO)),
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

/// The routes of a VirtualService for a caller and a port. What stands behind one that takes everything can never be
/// reached, and is left out.
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
    } in delegate::routes(document, index)
    {
        let place = Place {
            mesh,
            index,
            namespace,
            port,
        };
        let named = |matched: Option<&String>| match (&written.name, matched) {
            (Some(route), Some(matched)) => format!("{route}.{matched}"),
            (route, matched) => route.as_ref().or(matched).cloned().unwrap_or_default(),
        };
        if written.r#match.is_empty() {
            routes.push(route(named(None), any_path(), &written, &place));
            return routes;
        }
        for condition in &written.r#match {
            let wrong_port = condition.port.is_some_and(|wanted| wanted != port);
            if wrong_port || !condition::is_for(condition, caller) {
                continue;
            }
            let name = named(condition.name.as_ref());
            let matched = condition::route_match(condition);
            let mut route = route(name, matched, &written, &place);
            route.stat_prefix = condition.stat_prefix.clone().unwrap_or_default();
            routes.push(route);
            if condition::takes_everything(condition) {
                return routes;
            }
        }
    }
    routes
}

fn route(name: String, condition: RouteMatch, written: &HttpRoute, place: &Place<'_>) -> Route {
    let mut route = Route {
        name,
        r#match: Some(condition),
        typed_per_filter_config: xds::in_order(&filters::of_route(written)),
        ..Default::default()
    };
    action::fill(&mut route, written, place);
    route
}
