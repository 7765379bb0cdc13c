//! When a request is tried again, or sent twice.

use std::fmt;
use std::time::Duration;

use http::HeaderName;

use crate::table::HeaderMatcher;

/// When and how often a request is tried again.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// After what.
    pub on: RetryOn,
    /// The statuses that [`RetryOn::RETRIABLE_STATUS_CODES`] means.
    pub codes: Vec<u16>,
    /// The headers of answers that [`RetryOn::RETRIABLE_HEADERS`] means: any of these.
    pub headers: Vec<HeaderMatcher>,
    /// Only requests that any of these matches are tried again; without any, all.
    pub request_headers: Vec<HeaderMatcher>,
    /// Tries after the first.
    pub times: u32,
    /// How long each try may take, the first, too; `None`: no bound of its own.
    pub per_try_timeout: Option<Duration>,
    /// How long a try may go without a sign of its upstream; `None`: as long as it takes.
    pub per_try_idle_timeout: Option<Duration>,
    /// The wait before retry N is uniform in [0, 2^(N-1) * this), at most `max_interval`.
    pub base_interval: Duration,
    /// The longest wait.
    pub max_interval: Duration,
    /// What an upstream may say about when to come back.
    pub rate_limited: Option<RateLimitedBackOff>,
    /// Whether a retry looks for a host that this request has not tried.
    pub avoid_previous_hosts: bool,
    /// How often it looks before it takes what it finds.
    pub host_selection_attempts: u32,
}

impl RetryPolicy {
    /// Envoy's default wait. Source: Envoy, `RetryPolicy.retry_back_off`.
    pub const BASE_INTERVAL: Duration = Duration::from_millis(25);
}

impl Default for RetryPolicy {
    /// Envoy's, for an empty message, which never tries again: no condition is set.
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

/// A wait that the upstream's answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitedBackOff {
    /// Where the answer says it; the first that does, and says no more than `max_interval`, counts.
    pub headers: Vec<ResetHeader>,
    /// The longest wait that is believed.
    pub max_interval: Duration,
}

/// A header that says when to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    /// Its name.
    pub name: HeaderName,
    /// What its number means.
    pub format: ResetFormat,
}

/// What a number in a [`ResetHeader`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetFormat {
    /// Seconds from now.
    Seconds,
    /// A Unix time, in seconds.
    UnixTimestamp,
}

/// When a request is sent again while the first try is still open; the first good answer wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgePolicy {
    /// A try that meets its per-try timeout goes on while another begins. Source: Envoy, `hedge_on_per_try_timeout`.
    pub on_per_try_timeout: bool,
    /// Another begins when none has answered for so long. Not Envoy's.
    pub after: Option<Duration>,
    /// The most that begin because of `after`.
    pub times: u32,
    /// The most of these as a share of the cluster's requests in the last 10 s, in millionths, though one a second is
    /// always allowed; `None`: any number.
    pub budget_ppm: Option<u32>,
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

    /// The conditions of gRPC: those of `x-envoy-retry-grpc-on`; all others are of `x-envoy-retry-on`.
    pub const GRPC: RetryOn = RetryOn::CANCELLED
        .with(RetryOn::DEADLINE_EXCEEDED)
        .with(RetryOn::INTERNAL)
        .with(RetryOn::RESOURCE_EXHAUSTED)
        .with(RetryOn::UNAVAILABLE);

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
