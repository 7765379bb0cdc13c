//! Settings that stages of the request path act on: balancing, limits, retries.

use std::fmt;
use std::time::Duration;

/// How a host of a cluster is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LbPolicy {
    /// Of two drawn at random the one with fewer active requests. Istio's default.
    LeastRequest,
    /// One after another.
    RoundRobin,
    /// Any.
    Random,
}

/// How much of a cluster may be in hand at once, in one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests on connections.
    pub requests: u32,
    /// Retries.
    pub retries: u32,
}

impl Limits {
    /// Envoy's, where nothing is set. Source: Envoy, `CircuitBreakers.Thresholds`.
    pub const ENVOY: Limits = Limits {
        connections: 1024,
        pending: 1024,
        requests: 1024,
        retries: 3,
    };
    /// None to speak of: what Istio sets. Source: Istio, `getDefaultCircuitBreakerThresholds`.
    pub const UNLIMITED: Limits = Limits {
        connections: u32::MAX,
        pending: u32::MAX,
        requests: u32::MAX,
        retries: u32::MAX,
    };
}

/// When and how often a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After what.
    pub on: RetryOn,
    /// The statuses that [`RetryOn::RETRIABLE_STATUS_CODES`] means.
    pub codes: Vec<u16>,
    /// Tries after the first.
    pub times: u32,
    /// How long each try may take, the first, too; `None`: no bound of its own.
    pub per_try_timeout: Option<Duration>,
    /// The wait before retry N is uniform in [0, (2^N - 1) * this), at most `max_interval`.
    pub base_interval: Duration,
    /// The longest wait.
    pub max_interval: Duration,
    /// Whether a retry looks for a host that this request has not tried.
    pub avoid_previous_hosts: bool,
    /// How often it looks before it takes what it finds.
    pub host_selection_attempts: u32,
}

impl RetryPolicy {
    /// Envoy's default wait. Source: Envoy, `RetryPolicy.retry_back_off`.
    pub const BASE_INTERVAL: Duration = Duration::from_millis(25);
}

/// A set of conditions to retry after: Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryOn(u32);

/// Each condition, its bit and its name.
macro_rules! conditions {
    ($($bit:literal $name:ident $text:literal $doc:literal;)*) => {
        impl RetryOn {
            $(#[doc = $doc] pub const $name: RetryOn = RetryOn(1 << $bit);)*

            /// Every condition with its name.
            pub const ALL: &'static [(&'static str, RetryOn)] = &[$(($text, RetryOn::$name)),*];
        }
    };
}

conditions! {
    0 SERVER_ERROR "5xx" "Any 5xx answer, or none at all (reset, connect failure, per-try timeout).";
    1 GATEWAY_ERROR "gateway-error" "502, 503, 504, or none at all.";
    2 RESET "reset" "No answer at all.";
    3 RESET_BEFORE_REQUEST "reset-before-request" "No answer, and the request had not been sent.";
    4 CONNECT_FAILURE "connect-failure" "The connection could not be made.";
    5 ENVOY_RATELIMITED "envoy-ratelimited" "An answer that says that it was rate limited.";
    6 RETRIABLE_4XX "retriable-4xx" "409.";
    7 REFUSED_STREAM "refused-stream" "The stream was refused (HTTP/2 `REFUSED_STREAM`).";
    8 RETRIABLE_STATUS_CODES "retriable-status-codes" "One of the policy's codes.";
    9 RETRIABLE_HEADERS "retriable-headers" "An answer with a header that the policy names.";
    10 CANCELLED "cancelled" "gRPC status 1, in the answer's headers.";
    11 DEADLINE_EXCEEDED "deadline-exceeded" "gRPC status 4, in the answer's headers.";
    12 INTERNAL "internal" "gRPC status 13, in the answer's headers.";
    13 RESOURCE_EXHAUSTED "resource-exhausted" "gRPC status 8, in the answer's headers.";
    14 UNAVAILABLE "unavailable" "gRPC status 14, in the answer's headers.";
}

impl RetryOn {
    /// No condition.
    pub const NONE: RetryOn = RetryOn(0);

    /// The condition of a name.
    pub fn named(name: &str) -> Option<RetryOn> {
        RetryOn::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, condition)| *condition)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: RetryOn) -> RetryOn {
        RetryOn(self.0 | other.0)
    }

    /// Whether it has all of another set's conditions.
    pub const fn contains(self, other: RetryOn) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it has one of another set's conditions.
    pub const fn intersects(self, other: RetryOn) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = RetryOn::ALL
            .iter()
            .filter(|(_, condition)| self.contains(*condition))
            .map(|(name, _)| *name);
        f.debug_set().entries(names).finish()
    }
}
