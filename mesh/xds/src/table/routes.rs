//! From authority to virtual host, from request to route, from route to cluster.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use indexmap::IndexMap;

use super::balancing::Labels;
use super::filters::{Mirror, RouteFilters, TargetHeaders};
use super::hashing::HashPolicy;
use super::headers::HeaderOps;
use super::manager::{StreamDuration, Upgrades};
use super::matching::{RequestView, RouteMatcher};
use super::policy::{HedgePolicy, Priority, RetryPolicy};
use super::rewrite::{Redirect, Rewrite};

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
    /// Whether callers are told how many tries it took, by the same name.
    pub include_attempt_count_in_response: bool,
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
    /// What is done to the headers of its requests: the route's own, its virtual host's, the whole configuration's, in the
    /// order in which it is done; none is empty.
    pub request_headers: Vec<Arc<HeaderOps>>,
    /// The same, of responses.
    pub response_headers: Vec<Arc<HeaderOps>>,
    /// What it says of filters.
    pub filters: RouteFilters,
}

impl Route {
    /// A route that does nothing beside its action.
    pub fn new(name: &str, matcher: RouteMatcher, action: Action) -> Self {
        Route {
            name: Arc::from(name),
            matcher,
            action,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            filters: RouteFilters::default(),
        }
    }

    /// How its requests are sent on, if they are.
    pub fn forward(&self) -> Option<&RouteAction> {
        match &self.action {
            Action::Forward(action) => Some(action),
            Action::Respond(_) | Action::Redirect(_) => None,
        }
    }
}

/// What a route does.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every route sends on, and none of those should pay for an indirection"
)]
pub enum Action {
    /// Sends the request on.
    Forward(RouteAction),
    /// Answers it.
    Respond(DirectResponse),
    /// Sends its caller elsewhere.
    Redirect(Redirect),
}

/// An answer given by the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Arc<[u8]>,
}

/// How a request is sent on.
#[derive(Clone, Debug)]
pub struct RouteAction {
    targets: Vec<WeightedCluster>,
    total_weight: u64,
    /// The header that holds the number to split by, where there is one that is a number.
    pub random_header: Option<Box<HeaderName>>,
    /// How path and host change.
    pub rewrite: Option<Box<Rewrite>>,
    /// Where copies go.
    pub mirrors: Vec<Arc<Mirror>>,
    /// What is hashed of requests, for clusters that balance by it, in order.
    pub hash: Vec<HashPolicy>,
    /// The labels that hosts must have, of clusters that tell hosts apart by them; `None`: any.
    pub labels: Option<Labels>,
    /// How long all tries together may take; `None`: no bound.
    pub timeout: Option<Duration>,
    /// How long it may go without a sign of either side; `None`: the listener's; zero: as long as it takes.
    pub idle_timeout: Option<Duration>,
    /// What a gRPC caller's own timeout does; `None`: nothing.
    pub grpc_timeout: Option<GrpcTimeout>,
    /// How long it and its answer may take together; `None`: as the listener says.
    pub stream_duration: Option<StreamDuration>,
    /// What its connections may be upgraded to, before what the listener says.
    pub upgrades: Upgrades,
    /// When it is tried again; `None`: never.
    pub retry: Option<Arc<RetryPolicy>>,
    /// When it is sent again while a try is still open.
    pub hedge: HedgePolicy,
    /// Which of the cluster's limits it counts against.
    pub priority: Priority,
    /// The status if the cluster does not exist.
    pub cluster_not_found: u16,
}

/// What the `grpc-timeout` of a request does: it takes the place of the route's timeout. Source: Envoy, `max_grpc_timeout`
/// and `grpc_timeout_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcTimeout {
    /// The longest that counts, also for a caller without one; zero: any.
    pub max: Duration,
    /// Taken off, so that the proxy gives up before its caller does.
    pub offset: Duration,
}

/// A cluster and its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// Its share of the total.
    pub weight: u32,
    /// What is done to headers of messages to and from it alone.
    pub headers: Option<Box<TargetHeaders>>,
    /// The header whose first value is the cluster's name, where the request says it; a request without has no cluster.
    pub from_header: Option<Box<HeaderName>>,
}

impl WeightedCluster {
    /// A cluster and its share.
    pub fn new(cluster: &str, weight: u32) -> Self {
        WeightedCluster {
            cluster: Arc::from(cluster),
            weight,
            headers: None,
            from_header: None,
        }
    }

    /// A cluster that requests name in a header, and its share.
    pub fn named_by(header: HeaderName, weight: u32) -> Self {
        WeightedCluster {
            from_header: Some(Box::new(header)),
            ..WeightedCluster::new("", weight)
        }
    }

    /// The cluster that a request names, where it is asked.
    pub fn named<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let value = headers.get(self.from_header.as_deref()?)?;
        value.to_str().ok()
    }
}

impl RouteAction {
    /// A way to clusters of which at least one has weight; `None` otherwise.
    pub fn new(targets: Vec<WeightedCluster>) -> Option<Self> {
        let total_weight = targets.iter().map(|target| u64::from(target.weight)).sum();
        let action = RouteAction {
            targets,
            total_weight,
            random_header: None,
            rewrite: None,
            mirrors: Vec::new(),
            hash: Vec::new(),
            labels: None,
            timeout: None,
            idle_timeout: None,
            grpc_timeout: None,
            stream_duration: None,
            upgrades: Upgrades::default(),
            retry: None,
            hedge: HedgePolicy::default(),
            priority: Priority::default(),
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

    /// Whether there is something to choose: whether [`RouteAction::target`] looks at its random number.
    pub fn is_split(&self) -> bool {
        self.targets.len() > 1
    }

    /// The number to split by that a request brings itself. Source: Envoy, `WeightedCluster.header_name`.
    pub fn number_of(&self, headers: &HeaderMap) -> Option<u64> {
        let value = headers.get(self.random_header.as_deref()?)?;
        value.to_str().ok()?.trim().parse().ok()
    }

    /// The cluster for a random number, as [`RouteAction::target`] has it.
    pub fn pick(&self, random: u64) -> &Arc<str> {
        &self.target(random).cluster
    }

    /// The destination for a random number: the number modulo the total, in a cumulative scan, as Envoy does.
    pub fn target(&self, random: u64) -> &WeightedCluster {
        let mut left = random % self.total_weight;
        for target in &self.targets {
            let weight = u64::from(target.weight);
            if left < weight {
                return target;
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
        // What follows the last colon of an IPv6 address in brackets is a port only behind the bracket. Whether it is a
        // number is not asked, as in Envoy.
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    }
}
