//! The HTTP filters before the router, and what routes say of them: fault, CORS, local rate limit.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

use super::cors::Cors;
use super::headers::HeaderOps;
use super::matching::HeaderMatcher;
use super::overload::{AdaptiveConcurrency, Shed};
use super::rate_limit::{DescriptorRule, RateLimit};
use super::share::Share;

/// A filter of a listener, with what holds where a route says nothing of its own.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Delays and aborts.
    Fault(Option<Arc<Fault>>),
    /// Cross-origin requests; only routes say what is allowed.
    Cors,
    /// The local rate limit.
    RateLimit(Option<Arc<RateLimit>>),
    /// A limit on requests in hand that follows how long they take.
    AdaptiveConcurrency(Arc<AdaptiveConcurrency>),
    /// A queue that gives up in time. Not Envoy's.
    Shed(Arc<Shed>),
}

/// What a route says of filters; what it leaves out its virtual host has said, or else the whole route configuration.
#[derive(Clone, Debug, Default)]
pub struct RouteFilters {
    /// Of delays and aborts.
    pub fault: Option<Arc<Fault>>,
    /// Of cross-origin requests.
    pub cors: Option<Arc<Cors>>,
    /// Of the local rate limit.
    pub rate_limit: Option<Arc<RateLimit>>,
    /// How requests are described to the rate limit, by the route.
    pub descriptors: Vec<DescriptorRule>,
    /// The same, by the virtual host.
    pub host_descriptors: Arc<[DescriptorRule]>,
    /// Whether the virtual host's count beside the route's own, whatever the limit says.
    pub include_host_descriptors: bool,
}

/// What is done to requests on purpose. Source: Envoy, `HTTPFault`.
#[derive(Clone, Debug)]
pub struct Fault {
    /// How long a share of them is held back; in whole milliseconds, more than 0.
    pub delay: Option<(Duration, Share)>,
    /// What a share of them is answered.
    pub abort: Option<(Abort, Share)>,
    /// Only requests to this cluster, where it is given.
    pub upstream_cluster: Option<Arc<str>>,
    /// Only requests with all of these headers.
    pub headers: Vec<HeaderMatcher>,
}

/// The answer of an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// This status.
    Http(u16),
    /// This status of gRPC; who does not speak gRPC sees 200.
    Grpc(u32),
}

/// A copy of requests, whose answers nobody reads.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where it goes.
    pub action: super::RouteAction,
    /// Of what share of requests.
    pub share: Share,
    /// Whether its host ends in `-shadow`.
    pub suffix: bool,
}

/// What the headers of messages to and from one of several destinations meet before all other changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHeaders {
    /// On the way there.
    pub request: HeaderOps,
    /// On the way back.
    pub response: HeaderOps,
    /// The host that it is told.
    pub host: Option<HeaderValue>,
}
