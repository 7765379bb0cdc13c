//! The compiled local rate limit: a default token bucket, and one bucket per descriptor. Source: Envoy,
//! `LocalRateLimit`.

use std::time::Duration;

use super::headers::HeaderOps;
use super::matching::{HeaderMatcher, QueryMatcher};
use super::share::RequestShare;

/// A local rate limit. The buckets start full, and are discarded together with the limit.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// The default bucket, for requests that match no descriptor. With [`RateLimit::always_default`], requests that
    /// match one take from it as well. `None`: no limit on such requests.
    pub bucket: Option<Bucket>,
    pub descriptors: Vec<LimitDescriptor>,
    /// True if a request admitted by a descriptor's bucket must also get a token from the default bucket.
    pub always_default: bool,
    /// The HTTP status of the local reply to a rate-limited request.
    pub status: u16,
    /// The share of requests that the limit is evaluated for.
    pub enabled: RequestShare,
    /// The share of rate-limited requests that are rejected. The others are only counted and tagged.
    pub enforced: RequestShare,
    /// Headers added to the local reply to a rate-limited request.
    pub response_headers: HeaderOps,
    /// Headers added to a rate-limited request that is forwarded because the limit is not enforced for it.
    pub request_headers: HeaderOps,
    /// True if each downstream connection has separate buckets.
    pub per_connection: bool,
    /// True if responses report the state of the bucket (`x-ratelimit-limit`, `-remaining`, `-reset`).
    pub report_state: bool,
    /// The rules that compute the descriptors of a request. If empty, the `rate_limits` of the route are used.
    pub rules: Vec<DescriptorRule>,
    /// The stage of the limit. Only route rules with the same [`DescriptorRule::stage`] apply.
    pub stage: u32,
    pub host_rules: HostRules,
    /// True if gRPC clients receive the status RESOURCE_EXHAUSTED instead of UNAVAILABLE.
    pub resource_exhausted: bool,
    /// The maximum number of buckets of a descriptor with wildcard values. The least recently used bucket is evicted.
    pub dynamic_max: usize,
}

/// A token bucket of at most `max` tokens. In each `interval`, `per_fill` tokens are added, spread evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub max: u32,
    pub per_fill: u32,
    /// The fill interval, in whole milliseconds, at least 50 ms.
    pub interval: Duration,
}

/// A bucket for requests with a matching descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitDescriptor {
    /// Keys and values. An empty value is a wildcard: each value in a request gets a separate bucket.
    pub entries: Vec<(Box<str>, Box<str>)>,
    pub bucket: Bucket,
}

/// The use of a virtual host's rules beside those of its routes. Source: Envoy, `VhRateLimitsOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRules {
    /// The virtual host's rules apply only to routes without rules.
    Override,
    /// The virtual host's rules apply in addition to the route's.
    Include,
    /// The virtual host's rules are not used.
    Ignore,
}

/// A rule that computes a descriptor, one entry per action. If an action that is not optional yields no entry, the rule
/// yields no descriptor.
#[derive(Clone, Debug)]
pub struct DescriptorRule {
    /// The stage of the rate limits that use this rule.
    pub stage: u32,
    pub actions: Vec<DescriptorAction>,
}

/// The source of a descriptor's entry. Source: Envoy, `RateLimit.Action`.
#[derive(Clone, Debug)]
pub enum DescriptorAction {
    GenericKey {
        key: Box<str>,
        value: Box<str>,
    },
    Header {
        name: super::HeaderKey,
        key: Box<str>,
        /// True if a request without the value only lacks this entry. Otherwise, it gets no descriptor from the rule.
        optional: bool,
    },
    /// The value of a query parameter.
    Query {
        name: Box<str>,
        key: Box<str>,
        /// True if a request without the value only lacks this entry. Otherwise, it gets no descriptor from the rule.
        optional: bool,
    },
    /// A fixed value for requests whose headers match.
    HeaderMatch {
        key: Box<str>,
        value: Box<str>,
        /// All must match.
        headers: Vec<HeaderMatcher>,
        /// False inverts the condition: the entry is added if the matchers do not match.
        expect: bool,
    },
    /// A fixed value for requests whose query parameters match.
    QueryMatch {
        key: Box<str>,
        value: Box<str>,
        /// All must match.
        query: Vec<QueryMatcher>,
        /// False inverts the condition: the entry is added if the matchers do not match.
        expect: bool,
    },
}
