//! Routes: a virtual host for each port of each service, and what its VirtualService says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::index::Index;
use super::{OUTBOUND_ROUTES, PASSTHROUGH, outbound_cluster, retries, wrapped};
use crate::api::{HttpMatch, HttpRoute, Resource, RouteDestination, StringMatch, VirtualService};
use crate::decode::Spanned;
use crate::registry::{DOMAIN, Hostname, Mesh, Port, Service};
use crate::xds::matcher::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};
use crate::xds::route::{
    self, HeaderMatcher, QueryParameterMatcher, Route, RouteAction, RouteConfiguration, RouteMatch,
    VirtualHost, header_matcher::HeaderMatchSpecifier,
    query_parameter_matcher::QueryParameterMatchSpecifier, route::Action,
    route_action::ClusterSpecifier, route_match::PathSpecifier, weighted_cluster::ClusterWeight,
};
use crate::xds::{self, protobuf};

/// The port of a host that stands in a VirtualService alone.
const HTTP_PORT: u16 = 80;

/// The route configuration of all outbound listeners.
pub(super) fn outbound(mesh: &Mesh, index: &Index<'_>) -> RouteConfiguration {
    let shorts = short_names(mesh);
    let mut hosts = Vec::new();
    for service in mesh.registry.services.values() {
        for port in &service.ports {
            let routes = match index.virtual_service(&service.hostname) {
                Some(document) => virtual_routes(mesh, document, port.number),
                None => vec![default_route(&service.hostname, port.number)],
            };
            // A VirtualService of which nothing is for this port leaves nothing: no host, as in Istio.
            if !routes.is_empty() {
                let name = format!("{}:{}", service.hostname, port.number);
                hosts.push(virtual_host(name, domains(service, port, &shorts), routes));
            }
        }
    }
    for (host, document) in index.virtual_hosts() {
        let routes = virtual_routes(mesh, document, HTTP_PORT);
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

pub(super) fn any_path() -> RouteMatch {
    RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".into())),
        ..Default::default()
    }
}

fn default_route(host: &Hostname, port: u16) -> Route {
    let mut action = to(ClusterSpecifier::Cluster(outbound_cluster(
        port,
        "",
        host.as_str(),
    )));
    action.retry_policy = retries::outbound(None);
    Route {
        name: "default".into(),
        r#match: Some(any_path()),
        action: Some(Action::Route(action)),
        ..Default::default()
    }
}

/// The routes of a VirtualService for a port. What stands behind one that takes everything can never be reached, and is
/// left out.
fn virtual_routes(mesh: &Mesh, document: &Resource<VirtualService>, port: u16) -> Vec<Route> {
    let namespace = &document.meta.namespace;
    let mut routes = Vec::new();
    for written in &document.spec.http {
        let action = Action::Route(action(mesh, written, namespace, port));
        let named = |matched: Option<&String>| match (&written.name, matched) {
            (Some(route), Some(matched)) => format!("{route}.{matched}"),
            (route, matched) => route.as_ref().or(matched).cloned().unwrap_or_default(),
        };
        if written.r#match.is_empty() {
            routes.push(route(named(None), any_path(), action));
            return routes;
        }
        for condition in &written.r#match {
            if condition.port.is_some_and(|wanted| wanted != port) {
                continue;
            }
            routes.push(route(
                named(condition.name.as_ref()),
                route_match(condition),
                action.clone(),
            ));
            if takes_everything(condition) {
                return routes;
            }
        }
    }
    routes
}

fn route(name: String, condition: RouteMatch, action: Action) -> Route {
    Route {
        name,
        r#match: Some(condition),
        action: Some(action),
        ..Default::default()
    }
}

fn takes_everything(condition: &HttpMatch) -> bool {
    let any_uri = match condition.uri.as_deref() {
        None | Some(StringMatch::Present) => true,
        Some(StringMatch::Prefix(prefix)) => prefix == "/" || prefix.is_empty(),
        _ => false,
    };
    any_uri
        && condition.scheme.is_none()
        && condition.method.is_none()
        && condition.authority.is_none()
        && condition.headers.is_empty()
        && condition.without_headers.is_empty()
        && condition.query_params.is_empty()
}

fn action(mesh: &Mesh, written: &HttpRoute, namespace: &str, port: u16) -> RouteAction {
    let name = |to: &RouteDestination| destination_cluster(mesh, to, namespace, port);
    let cluster = match written.route.as_slice() {
        [only] => ClusterSpecifier::Cluster(name(only)),
        several => {
            let weight = |to: &Spanned<RouteDestination>| {
                to.weight.as_ref().map_or(0, |weight| weight.value)
            };
            let weighted = several
                .iter()
                .filter(|to| weight(to) > 0)
                .map(|to| ClusterWeight {
                    name: name(to),
                    weight: Some(wrapped(u32::try_from(weight(to)).unwrap_or(u32::MAX))),
                    ..Default::default()
                });
            let clusters = weighted.collect();
            ClusterSpecifier::WeightedClusters(route::WeightedCluster {
                clusters,
                ..Default::default()
            })
        }
    };
    let mut action = to(cluster);
    if let Some(timeout) = &written.timeout {
        action.timeout = Some(xds::duration(timeout.0));
    }
    action.retry_policy = retries::outbound(written.retries.as_deref());
    action
}

/// The destination's port is the one that it names, else its service's only one, else the one asked for.
fn destination_cluster(mesh: &Mesh, to: &RouteDestination, namespace: &str, port: u16) -> String {
    let host = Hostname::resolve(&to.destination.host, namespace);
    let ports = mesh
        .registry
        .service(host.as_str())
        .map_or(&[][..], |service| &service.ports);
    let number = match (&to.destination.port, ports) {
        (Some(selector), _) => selector.number.value,
        (None, [only]) => only.number,
        (None, _) => port,
    };
    let subset = to
        .destination
        .subset
        .as_ref()
        .map_or("", |subset| subset.as_str());
    outbound_cluster(number, subset, host.as_str())
}

fn route_match(condition: &HttpMatch) -> RouteMatch {
    let path = match condition.uri.as_deref() {
        None | Some(StringMatch::Present) => PathSpecifier::Prefix("/".into()),
        Some(StringMatch::Exact(path)) => PathSpecifier::Path(path.clone()),
        Some(StringMatch::Prefix(path)) => PathSpecifier::Prefix(path.clone()),
        Some(StringMatch::Regex(regex)) => PathSpecifier::SafeRegex(regex_matcher(regex)),
    };
    let mut headers = Vec::new();
    for (name, wanted) in [
        (":method", &condition.method),
        (":authority", &condition.authority),
        (":scheme", &condition.scheme),
    ] {
        headers.extend(wanted.as_ref().map(|wanted| header(name, wanted)));
    }
    headers.extend(
        condition
            .headers
            .iter()
            .map(|(name, wanted)| header(name, wanted)),
    );
    for (name, unwanted) in &condition.without_headers {
        let mut matcher = header(name, unwanted);
        matcher.invert_match = true;
        // A header that is not there is not such, either; asked for presence, Envoy knows that itself.
        matcher.treat_missing_header_as_empty = **unwanted != StringMatch::Present;
        headers.push(matcher);
    }
    let query = condition
        .query_params
        .iter()
        .map(|(name, wanted)| QueryParameterMatcher {
            name: name.value.clone(),
            query_parameter_match_specifier: Some(match string_matcher(wanted) {
                None => QueryParameterMatchSpecifier::PresentMatch(true),
                Some(matcher) => QueryParameterMatchSpecifier::StringMatch(matcher),
            }),
        });
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: condition
            .ignore_uri_case
            .then_some(protobuf::BoolValue { value: false }),
        headers,
        query_parameters: query.collect(),
        ..Default::default()
    }
}

fn header(name: &str, wanted: &StringMatch) -> HeaderMatcher {
    HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(match string_matcher(wanted) {
            None => HeaderMatchSpecifier::PresentMatch(true),
            Some(matcher) => HeaderMatchSpecifier::StringMatch(matcher),
        }),
        ..Default::default()
    }
}

/// `None` asks for presence.
fn string_matcher(wanted: &StringMatch) -> Option<StringMatcher> {
    let pattern = match wanted {
        StringMatch::Present => return None,
        StringMatch::Exact(text) => MatchPattern::Exact(text.clone()),
        // Every value begins with nothing; Envoy refuses an empty prefix.
        StringMatch::Prefix(text) if text.is_empty() => return None,
        StringMatch::Prefix(text) => MatchPattern::Prefix(text.clone()),
        StringMatch::Regex(regex) => MatchPattern::SafeRegex(regex_matcher(regex)),
    };
    Some(StringMatcher {
        match_pattern: Some(pattern),
        ignore_case: false,
    })
}

fn regex_matcher(regex: &str) -> RegexMatcher {
    RegexMatcher {
        regex: regex.into(),
        ..Default::default()
    }
}
