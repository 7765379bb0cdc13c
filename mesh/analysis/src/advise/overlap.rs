//! Overlap of two VirtualServices for the same host. Sidecars use the first document that has a route for the caller
//! and port, so a later one is superseded only for these.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use shakedown_istio::gateways::include_sidecars;
use shakedown_istio::registry::Hostname;
use shakedown_istio::{HttpMatch, HttpRoute, Resource, VirtualService};
use shakedown_translate::delegate;
use shakedown_translate::index::Index;

/// The part of a document's routes for a host that earlier documents make unreachable.
pub(super) enum Overlap<'a> {
    None,
    /// The routes for some callers or ports. Contains the first document that supersedes any.
    Partial(&'a Resource<VirtualService>),
    /// All routes.
    Full(&'a Resource<VirtualService>),
}

/// A set of callers and ports for which a document has a route.
struct RouteScope {
    port: Option<u16>,
    labels: IndexMap<String, String>,
    namespace: Option<String>,
}

/// Returns the part of a document's routes for a host that earlier documents supersede, for callers of a namespace.
/// `ports`: the ports of the host, empty if unknown.
pub(super) fn find<'a>(
    index: &Index<'a>,
    resource: &Resource<VirtualService>,
    host: &Hostname,
    ports: &[u16],
    namespace: &str,
) -> Overlap<'a> {
    let all = index.virtual_services_of(host);
    let is_it = |other: &&Resource<VirtualService>| std::ptr::eq(*other, resource);
    let Some(at) = all.iter().position(is_it) else {
        return Overlap::None;
    };
    let (before, document) = (&all[..at], all[at]);
    let earlier: Vec<(Vec<RouteScope>, &'a Resource<VirtualService>)> = before
        .iter()
        .map(|document| (scopes(index, document), *document))
        .collect();
    let own = scopes(index, document);
    let numbers = numbers(
        earlier.iter().flat_map(|(scopes, _)| scopes).chain(&own),
        ports,
    );
    let (mut first, mut is_full) = (None, true);
    for scope in own.iter().filter(|scope| scope.is_of(namespace)) {
        for port in numbers.iter().filter(|port| scope.is_at(**port)) {
            let finds = |takes: &dyn Fn(&RouteScope) -> bool| {
                let found = earlier.iter().find(|(scopes, _)| scopes.iter().any(takes));
                found.map(|(_, by)| *by)
            };
            let all = finds(&|other| other.is_at(*port) && other.covers(scope, namespace));
            let some = || finds(&|other| other.is_at(*port) && other.meets(scope, namespace));
            is_full &= all.is_some();
            first = first.or(all).or_else(some);
        }
    }
    match first {
        None => Overlap::None,
        Some(by) if is_full => Overlap::Full(by),
        Some(by) => Overlap::Partial(by),
    }
}

impl RouteScope {
    fn from_condition(condition: &HttpMatch) -> Option<RouteScope> {
        let gateways = &condition.gateways;
        if gateways.is_empty() {
            return Some(RouteScope {
                port: condition.port,
                labels: condition.source_labels.clone(),
                namespace: condition
                    .source_namespace
                    .clone()
                    .filter(|name| !name.is_empty()),
            });
        }
        // Callers are not checked by a condition that names gateways.
        let is_for_sidecars = include_sidecars(gateways);
        is_for_sidecars.then(|| RouteScope {
            port: condition.port,
            ..RouteScope::any()
        })
    }

    fn any() -> RouteScope {
        RouteScope {
            port: None,
            labels: IndexMap::new(),
            namespace: None,
        }
    }

    fn is_at(&self, port: u16) -> bool {
        self.port.is_none_or(|wanted| wanted == port)
    }

    /// Returns true if callers of a namespace match. The empty namespace represents all namespaces that appear in no
    /// document.
    fn is_of(&self, namespace: &str) -> bool {
        let own = self.namespace.as_ref();
        own.is_none_or(|own| namespace.is_empty() || own == namespace)
    }

    /// Returns true if all callers in `other` match this scope, regardless of port.
    fn covers(&self, other: &RouteScope, namespace: &str) -> bool {
        let labelled = |(name, value): (&String, &String)| other.labels.get(name) == Some(value);
        let of = other.namespace.as_deref().unwrap_or(namespace);
        self.labels.iter().all(labelled) && self.namespace.as_ref().is_none_or(|own| own == of)
    }

    /// Returns true if some caller in `other` may match this scope, regardless of port.
    fn meets(&self, other: &RouteScope, namespace: &str) -> bool {
        let agrees = |(name, value): (&String, &String)| {
            other.labels.get(name).is_none_or(|label| label == value)
        };
        let of = other.namespace.as_deref().unwrap_or(namespace);
        self.labels.iter().all(agrees) && self.is_of(of)
    }
}

fn scopes(index: &Index<'_>, document: &Resource<VirtualService>) -> Vec<RouteScope> {
    let of_route = |route: &HttpRoute| {
        if route.r#match.is_empty() {
            vec![RouteScope::any()]
        } else {
            route
                .r#match
                .iter()
                .filter_map(|condition| RouteScope::from_condition(condition))
                .collect()
        }
    };
    let routes = delegate::routes(document, index);
    routes
        .iter()
        .flat_map(|merged| of_route(&merged.route))
        .collect()
}

/// Returns the ports to compare: those of the host, or if they are unknown, those that any document names and one
/// that none does.
fn numbers<'s>(scopes: impl Iterator<Item = &'s RouteScope>, ports: &[u16]) -> BTreeSet<u16> {
    if !ports.is_empty() {
        return ports.iter().copied().collect();
    }
    let named = scopes.filter_map(|scope| scope.port);
    named.chain([0]).collect()
}
