//! From authority to virtual host, from request to route, from route to cluster.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::matching::{RequestView, RouteMatcher};
use super::policy::RetryPolicy;

/// A route configuration: virtual hosts and how they are found.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Its name.
    pub name: Arc<str>,
    hosts: Vec<VirtualHost>,
    /// Domains without a wildcard, in lower case.
    exact: IndexMap<Box<str>, usize>,
    /// `*suffix`, longest first, one map a length.
    suffixes: Vec<(usize, IndexMap<Box<str>, usize>)>,
    /// `prefix*`, longest first, one map a length.
    prefixes: Vec<(usize, IndexMap<Box<str>, usize>)>,
    /// `*`.
    any: Option<usize>,
    ignore_port: bool,
}

/// Hosts that share a list of routes.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    /// Its name: `reviews.default.svc.cluster.local:9080`.
    pub name: Arc<str>,
    /// The routes; the first that matches counts.
    pub routes: Vec<Route>,
    /// Whether upstreams are told the number of the try (`x-envoy-attempt-count`).
    pub include_attempt_count: bool,
}

/// A route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name; may be empty.
    pub name: Arc<str>,
    /// What it takes.
    pub matcher: RouteMatcher,
    /// What it does.
    pub action: Action,
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends the request on.
    Forward(RouteAction),
    /// Answers it.
    Respond(DirectResponse),
}

/// An answer given by the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Arc<str>,
}

/// How a request is sent on.
#[derive(Clone, Debug)]
pub struct RouteAction {
    targets: Vec<WeightedCluster>,
    total_weight: u64,
    /// How long all tries together may take; `None`: no bound.
    pub timeout: Option<Duration>,
    /// When it is tried again; `None`: never.
    pub retry: Option<RetryPolicy>,
    /// The status if the cluster does not exist.
    pub cluster_not_found: u16,
}

/// A cluster and its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// Its share of the total.
    pub weight: u32,
}

impl RouteAction {
    /// A way to clusters of which at least one has weight; `None` otherwise.
    pub fn new(targets: Vec<WeightedCluster>) -> Option<Self> {
        let total_weight = targets.iter().map(|target| u64::from(target.weight)).sum();
        let action = RouteAction {
            targets,
            total_weight,
            timeout: None,
            retry: None,
            cluster_not_found: 503,
        };
        (total_weight > 0).then_some(action)
    }

    /// The clusters.
    pub fn targets(&self) -> &[WeightedCluster] {
        &self.targets
    }

    /// The sum of their weights; more than 0.
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// Whether there is something to choose: whether [`RouteAction::pick`] looks at its random number.
    pub fn is_split(&self) -> bool {
        self.targets.len() > 1
    }

    /// The cluster for a random number: the number modulo the total, in a cumulative scan, as Envoy does.
    pub fn pick(&self, random: u64) -> &Arc<str> {
        let mut left = random % self.total_weight;
        for target in &self.targets {
            let weight = u64::from(target.weight);
            if left < weight {
                return &target.cluster;
            }
            left -= weight;
        }
        unreachable!("the weights sum to the total, and what was left was below it")
    }
}

impl VirtualHost {
    /// The first route that takes the request.
    pub fn route(&self, request: &RequestView<'_>) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| route.matcher.matches(request))
    }
}

impl RouteTable {
    /// A table of virtual hosts, each with its domains: a name, `*suffix`, `prefix*` or `*`. `ignore_port`: whether an
    /// authority's port is cut off before it is looked up.
    ///
    /// # Errors
    /// The domain that stands twice.
    pub fn new(
        name: &str,
        hosts: Vec<(VirtualHost, Vec<String>)>,
        ignore_port: bool,
    ) -> Result<Self, String> {
        let mut table = RouteTable {
            name: Arc::from(name),
            hosts: Vec::with_capacity(hosts.len()),
            exact: IndexMap::new(),
            suffixes: Vec::new(),
            prefixes: Vec::new(),
            any: None,
            ignore_port,
        };
        for (index, (host, domains)) in hosts.into_iter().enumerate() {
            table.hosts.push(host);
            for domain in domains {
                let lower = domain.to_ascii_lowercase();
                let taken = if lower == "*" {
                    table.any.replace(index).is_some()
                } else if let Some(suffix) = lower.strip_prefix('*') {
                    insert(&mut table.suffixes, suffix, index)
                } else if let Some(prefix) = lower.strip_suffix('*') {
                    insert(&mut table.prefixes, prefix, index)
                } else {
                    table.exact.insert(lower.into(), index).is_some()
                };
                if taken {
                    return Err(domain);
                }
            }
        }
        Ok(table)
    }

    /// All virtual hosts.
    pub fn hosts(&self) -> &[VirtualHost] {
        &self.hosts
    }

    /// The virtual host of an authority: its exact name, else the longest suffix wildcard, else the longest prefix
    /// wildcard, else `*`. Case is ignored; an authority in lower case is looked up without allocating.
    pub fn find_host(&self, authority: &str) -> Option<&VirtualHost> {
        let host = if self.ignore_port {
            without_port(authority)
        } else {
            authority
        };
        let index = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.find(&host.to_ascii_lowercase())
        } else {
            self.find(host)
        };
        index.map(|index| &self.hosts[index])
    }

    fn find(&self, host: &str) -> Option<usize> {
        if let Some(index) = self.exact.get(host) {
            return Some(*index);
        }
        // A wildcard stands for at least one character.
        let suffix = self
            .suffixes
            .iter()
            .filter(|(length, _)| *length < host.len())
            .find_map(|(length, map)| map.get(host.get(host.len() - length..)?));
        let prefix = || {
            let shorter = self
                .prefixes
                .iter()
                .filter(|(length, _)| *length < host.len());
            shorter
                .into_iter()
                .find_map(|(length, map)| map.get(host.get(..*length)?))
        };
        suffix.or_else(prefix).copied().or(self.any)
    }
}

/// Adds a wildcard to its length's map; whether it was there.
fn insert(lengths: &mut Vec<(usize, IndexMap<Box<str>, usize>)>, text: &str, index: usize) -> bool {
    let at = match lengths.binary_search_by(|(length, _)| text.len().cmp(length)) {
        Ok(at) => at,
        Err(at) => {
            lengths.insert(at, (text.len(), IndexMap::new()));
            at
        }
    };
    lengths[at].1.insert(text.into(), index).is_some()
}

/// The authority without its port.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // What follows the last colon of an IPv6 address in brackets is a port only behind the bracket.
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() =>
        {
            host
        }
        _ => authority,
    }
}
