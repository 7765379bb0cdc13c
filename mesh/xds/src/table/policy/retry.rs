//! Retry and hedging policies.

use std::fmt;
use std::time::Duration;

use http::HeaderName;

use crate::table::HeaderMatcher;

/// The conditions and limits of retries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    pub on: RetryOn,
    /// The statuses for [`RetryOn::RETRIABLE_STATUS_CODES`].
    pub codes: Vec<u16>,
    /// The response headers for [`RetryOn::RETRIABLE_HEADERS`]. One match is enough.
    pub headers: Vec<HeaderMatcher>,
    /// Restricts retries to requests that match at least one of these. Empty: all requests.
    pub request_headers: Vec<HeaderMatcher>,
    /// The maximum number of retries after the first attempt.
    pub times: u32,
    /// The timeout of each attempt, including the first. `None`: none of its own.
    pub per_try_timeout: Option<Duration>,
    /// The maximum time of an attempt without upstream activity. `None`: unlimited.
    pub per_try_idle_timeout: Option<Duration>,
    /// The base of the back-off. The wait before retry N is uniform in [0, 2^(N-1) * this), and at most
    /// `max_interval`.
    pub base_interval: Duration,
    pub max_interval: Duration,
    /// The back-off requested by an upstream in its response headers.
    pub rate_limited: Option<RateLimitedBackOff>,
    /// True if a retry prefers a host that this request has not used yet.
    pub avoid_previous_hosts: bool,
    /// The number of times a host is selected before a host already used is accepted.
    pub host_selection_attempts: u32,
}

impl RetryPolicy {
    /// Envoy's default back-off. Source: Envoy, `RetryPolicy.retry_back_off`.
    pub const BASE_INTERVAL: Duration = Duration::from_millis(25);
}

impl Default for RetryPolicy {
    /// Envoy's defaults for an empty message. Never retries, because no condition is set.
    fn default() -> Self {
        RetryPolicy {
            on: RetryOn::NONE,
            codes: Vec::new(),
            headers: Vec::new(),
            request_headers: Vec::new(),
            times: 1,
            per_try_timeout: None,
            per_try_idle_timeout: None,
            base_interval: RetryPolicy::BASE_INTERVAL,
            max_interval: RetryPolicy::BASE_INTERVAL * 10,
            rate_limited: None,
            avoid_previous_hosts: false,
            host_selection_attempts: 1,
        }
    }
}

/// A back-off that the upstream requests in its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitedBackOff {
    /// The response headers to read. The first one with a wait of at most `max_interval` is used.
    pub headers: Vec<ResetHeader>,
    /// The longest wait that is accepted.
    pub max_interval: Duration,
}

/// A response header that contains a reset time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    pub name: HeaderName,
    /// The meaning of its number.
    pub format: ResetFormat,
}

/// The meaning of the number in a [`ResetHeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetFormat {
    Seconds,
    /// A Unix timestamp, in seconds.
    UnixTimestamp,
}

/// The conditions for a further attempt while earlier ones are still open. The first good response wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgePolicy {
    /// True if an attempt continues after its per-try timeout while another one starts. Source: Envoy,
    /// `hedge_on_per_try_timeout`.
    pub on_per_try_timeout: bool,
    /// The time without a response after which another attempt starts. Not an Envoy setting.
    pub after: Option<Duration>,
    /// The maximum number of attempts started by `after`.
    pub times: u32,
    /// The maximum share of such attempts among the cluster's requests of the last 10 s, in parts per million. One
    /// per second is always allowed. `None`: unlimited.
    pub budget_ppm: Option<u32>,
}

/// A set of retry conditions: Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryOn(u32);

/// Defines each condition by its bit, its identifier, and its name in the header.
macro_rules! conditions {
    ($($bit:literal $name:ident $text:literal $doc:literal;)*) => {
        impl RetryOn {
            $(#[doc = $doc] pub const $name: RetryOn = RetryOn(1 << $bit);)*

            /// All conditions, with their names.
            pub const ALL: &'static [(&'static str, RetryOn)] = &[$(($text, RetryOn::$name)),*];
        }
    };
}

conditions! {
    0 SERVER_ERROR "5xx" "Any 5xx response, or no response (reset, connect failure, per-try timeout).";
    1 GATEWAY_ERROR "gateway-error" "502, 503, 504, or no response.";
    2 RESET "reset" "No response.";
    3 RESET_BEFORE_REQUEST "reset-before-request" "No response, and the request had not been sent.";
    4 CONNECT_FAILURE "connect-failure" "The connection could not be made.";
    5 ENVOY_RATELIMITED "envoy-ratelimited" "A response with the header `x-envoy-ratelimited`.";
    6 RETRIABLE_4XX "retriable-4xx" "409.";
    7 REFUSED_STREAM "refused-stream" "The stream was refused (HTTP/2 `REFUSED_STREAM`).";
    8 RETRIABLE_STATUS_CODES "retriable-status-codes" "One of the policy's codes.";
    9 RETRIABLE_HEADERS "retriable-headers" "A response with a header that the policy names.";
    10 CANCELLED "cancelled" "gRPC status 1, in the response's headers.";
    11 DEADLINE_EXCEEDED "deadline-exceeded" "gRPC status 4, in the response's headers.";
    12 INTERNAL "internal" "gRPC status 13, in the response's headers.";
    13 RESOURCE_EXHAUSTED "resource-exhausted" "gRPC status 8, in the response's headers.";
    14 UNAVAILABLE "unavailable" "gRPC status 14, in the response's headers.";
}

impl RetryOn {
    pub const NONE: RetryOn = RetryOn(0);

    /// The gRPC conditions of `x-envoy-retry-grpc-on`. All others are conditions of `x-envoy-retry-on`.
    pub const GRPC: RetryOn = RetryOn::CANCELLED
        .with(RetryOn::DEADLINE_EXCEEDED)
        .with(RetryOn::INTERNAL)
        .with(RetryOn::RESOURCE_EXHAUSTED)
        .with(RetryOn::UNAVAILABLE);

    /// Returns the condition with this name.
    pub fn named(name: &str) -> Option<RetryOn> {
        RetryOn::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, condition)| *condition)
    }

    /// The union of both sets.
    #[must_use]
    pub const fn with(self, other: RetryOn) -> RetryOn {
        RetryOn(self.0 | other.0)
    }

    /// Returns true if all conditions of `other` are in this set.
    pub const fn contains(self, other: RetryOn) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns true if at least one condition of `other` is in this set.
    pub const fn intersects(self, other: RetryOn) -> bool {
        self.0 & other.0 != 0
    }

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
