//! The HTTP filters before the router, and their per-route configuration: fault, CORS, local rate limit.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

use super::cors::Cors;
use super::headers::HeaderOps;
use super::matching::HeaderMatcher;
use super::overload::{AdaptiveConcurrency, Shed};
use super::rate_limit::{DescriptorRule, RateLimit};
use super::share::RequestShare;

/// An HTTP filter of a listener, with its default configuration for routes without their own.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Delays and aborts. `None`: only routes configure faults.
    Fault(Option<Arc<Fault>>),
    /// CORS. Only routes configure the policy.
    Cors,
    /// The local rate limit. `None`: only routes configure limits.
    RateLimit(Option<Arc<RateLimit>>),
    /// A limit on concurrent requests, adjusted to the measured latency.
    AdaptiveConcurrency(Arc<AdaptiveConcurrency>),
    /// A request queue with load shedding. An extension, not part of Envoy.
    Shed(Arc<Shed>),
}

/// The filter configuration of a route. A filter that the route does not configure is configured by its virtual host,
/// else by the route configuration.
#[derive(Clone, Debug, Default)]
pub struct RouteFilters {
    pub fault: Option<Arc<Fault>>,
    pub cors: Option<Arc<Cors>>,
    pub rate_limit: Option<Arc<RateLimit>>,
    /// The route's descriptor rules of the local rate limit.
    pub descriptors: Vec<DescriptorRule>,
    /// The virtual host's descriptor rules.
    pub host_descriptors: Arc<[DescriptorRule]>,
    /// True if the virtual host's rules apply in addition to the route's, regardless of [`RateLimit::host_rules`].
    pub include_host_descriptors: bool,
}

/// Faults injected into requests. Source: Envoy, `HTTPFault`.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The delay, in whole milliseconds and more than 0, and the share of requests delayed.
    pub delay: Option<(Duration, RequestShare)>,
    /// The local reply, and the share of requests that get it.
    pub abort: Option<(Abort, RequestShare)>,
    /// If set, only requests to this cluster are affected.
    pub upstream_cluster: Option<Arc<str>>,
    /// Only requests that match all of these are affected.
    pub headers: Vec<HeaderMatcher>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// An HTTP status.
    Http(u16),
    /// A gRPC status. Clients that do not use gRPC receive HTTP status 200.
    Grpc(u32),
}

/// A mirror policy: copies of requests are sent to another cluster, and the responses are discarded.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub action: super::RouteAction,
    /// The share of requests that are mirrored.
    pub share: RequestShare,
    /// True if `-shadow` is appended to the host of the copy.
    pub suffix: bool,
}

/// Header changes of one weighted cluster, applied before all other header changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHeaders {
    pub request: HeaderOps,
    pub response: HeaderOps,
    /// The replacement of the request's Host header; `None` leaves it unchanged.
    pub host: Option<HeaderValue>,
}
