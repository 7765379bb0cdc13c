//! The parts of VirtualServices that loads and calls depend on: the hosts that are routed, and the possible
//! destinations of requests.

use std::collections::BTreeSet;

use shakedown_istio::registry::Hostname;
use shakedown_istio::{
    Document, HttpMatch, HttpRoute, Resource, Rewrite, StringMatch, VirtualService,
};

/// The reserved gateway name for all sidecars, which is also the default of `gateways`.
const SIDECARS: &str = "mesh";

/// The VirtualServices of a scenario: those in force at 0 s, and those that chaos items apply.
#[derive(Debug, Default)]
pub(super) struct ScenarioRoutes {
    at_0_s: Vec<Resource<VirtualService>>,
    applied: Vec<Resource<VirtualService>>,
}

/// The service and the path with which a request may arrive.
pub(super) type RouteArrival = (Hostname, String);

impl ScenarioRoutes {
    pub(super) fn new<'a>(
        at_0_s: impl Iterator<Item = &'a Document>,
        applied: impl Iterator<Item = &'a Document>,
    ) -> ScenarioRoutes {
        let routes = |document: &Document| match document {
            Document::VirtualService(routes) => Some(routes.clone()),
            _ => None,
        };
        ScenarioRoutes {
            at_0_s: at_0_s.filter_map(routes).collect(),
            applied: applied.filter_map(routes).collect(),
        }
    }

    /// Returns true if a route applies to requests for a host at any time of the run.
    pub(super) fn may_apply(&self, host: &Hostname) -> bool {
        self.all().any(|routes| takes(routes, host))
    }

    /// The services that routes may send requests for a host to, at any time of the run. Mirrors are not included.
    pub(super) fn destinations(&self, host: &Hostname) -> BTreeSet<Hostname> {
        let roots = self.all().filter(|routes| takes(routes, host));
        let routes = roots.flat_map(|root| self.routes_of(root));
        let destinations = routes.flat_map(|(document, route)| hosts_of(document, route));
        destinations.collect()
    }

    /// The possible arrivals of requests for a host and path, regardless of method and headers. `None` if they cannot
    /// be determined.
    pub(super) fn arrivals(&self, host: &Hostname, path: &str) -> Option<Vec<RouteArrival>> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let mut arrivals = Vec::new();
        if !self.at_0_s.iter().any(|routes| takes(routes, host)) {
            arrivals.push((host.clone(), path.to_owned()));
        }
        for root in self.all().filter(|routes| takes(routes, host)) {
            for (document, route) in self.routes_of(root) {
                arrivals.extend(arrivals_of(document, route, path)?);
                // The requests that reach a delegate's route also depend on the delegating route.
                if std::ptr::eq(document, root) && takes_all_of(route, path) {
                    break;
                }
            }
        }
        Some(arrivals)
    }

    fn all(&self) -> impl Iterator<Item = &Resource<VirtualService>> {
        self.at_0_s.iter().chain(&self.applied)
    }

    /// The routes of a document with its delegates' routes in place of delegations. Each is paired with its own
    /// document.
    fn routes_of<'a>(
        &'a self,
        root: &'a Resource<VirtualService>,
    ) -> Vec<(&'a Resource<VirtualService>, &'a HttpRoute)> {
        let mut routes = Vec::new();
        for route in &root.spec.http {
            let Some(delegate) = &route.delegate else {
                routes.push((root, &route.value));
                continue;
            };
            let own = &root.meta.namespace;
            let namespace = delegate.namespace.as_ref().unwrap_or(own);
            let delegates = self.all().filter(|known| {
                known.meta.name == delegate.name.value && known.meta.namespace == *namespace
            });
            // Istio does not allow a delegate to delegate.
            for known in delegates {
                routes.extend(known.spec.http.iter().map(|route| (known, &route.value)));
            }
        }
        routes
    }
}

/// Returns true if a document routes the requests of sidecars for a host.
fn takes(routes: &Resource<VirtualService>, host: &Hostname) -> bool {
    let gateways = &routes.spec.gateways;
    let of_sidecars = gateways.is_empty() || gateways.iter().any(|name| name.value == SIDECARS);
    let mut hosts = routes.spec.hosts.iter();
    of_sidecars && hosts.any(|known| Hostname::resolve(known, &routes.meta.namespace).covers(host))
}

fn hosts_of(
    document: &Resource<VirtualService>,
    route: &HttpRoute,
) -> impl Iterator<Item = Hostname> {
    let namespace = document.meta.namespace.clone();
    let destinations = route.route.iter();
    destinations.map(move |to| Hostname::resolve(&to.destination.host, &namespace))
}

/// The arrivals of requests with a path through a route. Empty if the route does not match or the proxy responds
/// itself. `None` if they cannot be determined.
fn arrivals_of(
    document: &Resource<VirtualService>,
    route: &HttpRoute,
    path: &str,
) -> Option<Vec<RouteArrival>> {
    if route.redirect.is_some() || route.direct_response.is_some() {
        return Some(Vec::new());
    }
    let rewrite = route.rewrite.as_ref().map(|rewrite| &rewrite.value);
    let anything = [HttpMatch::default()];
    let written = route.r#match.iter().map(|condition| &condition.value);
    let conditions = anything.iter().filter(|_| route.r#match.is_empty());
    let mut arrivals = Vec::new();
    for condition in written.chain(conditions) {
        let uri = condition.uri.as_ref().map(|uri| &uri.value);
        let is_met = match uri {
            None | Some(StringMatch::Present) => true,
            Some(StringMatch::Regex(_)) => return None,
            Some(_) if condition.ignore_uri_case => return None,
            Some(StringMatch::Exact(text)) => path == text,
            Some(StringMatch::Prefix(text)) => path.starts_with(text.as_str()),
        };
        if is_met {
            let path = rewritten(rewrite, path, uri)?;
            arrivals.extend(hosts_of(document, route).map(|host| (host, path.clone())));
        }
    }
    Some(arrivals)
}

/// Returns true if a route matches every request with a path, so that later routes are unreachable.
fn takes_all_of(route: &HttpRoute, path: &str) -> bool {
    let takes_all = |condition: &HttpMatch| {
        let is_met = match condition.uri.as_ref().map(|uri| &uri.value) {
            None | Some(StringMatch::Present) => true,
            Some(StringMatch::Exact(text)) => path == text,
            Some(StringMatch::Prefix(text)) => path.starts_with(text.as_str()),
            Some(StringMatch::Regex(_)) => false,
        };
        let others = HttpMatch {
            name: None,
            uri: None,
            stat_prefix: None,
            ..condition.clone()
        };
        is_met && others == HttpMatch::default()
    };
    route.r#match.is_empty() || route.r#match.iter().any(|known| takes_all(&known.value))
}

/// The path after a rewrite; `None` if it cannot be determined.
fn rewritten(
    rewrite: Option<&Rewrite>,
    path: &str,
    matched: Option<&StringMatch>,
) -> Option<String> {
    let Some(rewrite) = rewrite else {
        return Some(path.to_owned());
    };
    if rewrite.uri_regex_rewrite.is_some() {
        return None;
    }
    let Some(uri) = &rewrite.uri else {
        return Some(path.to_owned());
    };
    match matched {
        Some(StringMatch::Exact(_)) => Some(uri.value.clone()),
        Some(StringMatch::Prefix(prefix)) => {
            let rest = path.strip_prefix(prefix.as_str())?;
            Some(format!("{}{rest}", uri.value))
        }
        _ => None,
    }
}
