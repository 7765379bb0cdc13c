//! The local rate limit: token buckets, one for all requests and one for each description. Envoy's `LocalRateLimit`.

use std::time::Duration;

use super::headers::HeaderOps;
use super::matching::{HeaderMatcher, QueryMatcher};
use super::share::Share;

/// A local rate limit. Its buckets begin full, and live as long as it does.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// The bucket of requests that no descriptor takes, and unless [`RateLimit::always_default`] is false of all.
    pub bucket: Option<Bucket>,
    /// Buckets of their own, for requests that are described so.
    pub descriptors: Vec<LimitDescriptor>,
    /// Whether a request that a descriptor has let through takes from the common bucket, too.
    pub always_default: bool,
    /// The status of a request that is too many.
    pub status: u16,
    /// For what share of requests it is looked at.
    pub enabled: Share,
    /// For what share of those that are too many it holds.
    pub enforced: Share,
    /// Added to the response of one that is too many.
    pub response_headers: HeaderOps,
    /// Added to a request that is too many and let through.
    pub request_headers: HeaderOps,
    /// Whether each connection has buckets of its own.
    pub per_connection: bool,
    /// Whether responses tell the state of the bucket (`x-ratelimit-limit`, `-remaining`, `-reset`).
    pub tell: bool,
    /// How requests are described; if not at all, their routes say how.
    pub rules: Vec<DescriptorRule>,
    /// Which of a route's rules count.
    pub stage: u32,
    /// Whether those of a virtual host count.
    pub host_rules: HostRules,
    /// The status that gRPC callers are told is RESOURCE_EXHAUSTED instead of UNAVAILABLE.
    pub resource_exhausted: bool,
    /// How many values of a descriptor that takes any value have a bucket; those used last.
    pub dynamic_max: usize,
}

/// A token bucket: it holds at most `max` tokens, and `per_fill` come in each `interval`, evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The most tokens.
    pub max: u32,
    /// Tokens that come in.
    pub per_fill: u32,
    /// In this time; whole milliseconds, 50 or more.
    pub interval: Duration,
}

/// A bucket for requests that are described so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitDescriptor {
    /// Keys and values; an empty value is any, and each has a bucket of its own.
    pub entries: Vec<(Box<str>, Box<str>)>,
    /// The bucket.
    pub bucket: Bucket,
}

/// Whether the rules of a virtual host count beside those of its routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRules {
    /// For routes that have none.
    Override,
    /// Always.
    Include,
    /// Never.
    Ignore,
}

/// How a request is described: an entry each. If one has no entry to give, there is no description.
#[derive(Clone, Debug)]
pub struct DescriptorRule {
    /// Limits of this stage look at it.
    pub stage: u32,
    /// Where the entries come from.
    pub actions: Vec<DescriptorAction>,
}

/// Where an entry of a description comes from. Source: Envoy, `RateLimit.Action`.
#[derive(Clone, Debug)]
pub enum DescriptorAction {
    /// A fixed value.
    GenericKey {
        /// The entry's key.
        key: Box<str>,
        /// Its value.
        value: Box<str>,
    },
    /// The value of a header.
    Header {
        /// Which.
        name: super::HeaderKey,
        /// The entry's key.
        key: Box<str>,
        /// Whether a request without it is described without this entry, instead of not at all.
        optional: bool,
    },
    /// The value of a parameter of the query.
    Query {
        /// Which.
        name: Box<str>,
        /// The entry's key.
        key: Box<str>,
        /// Whether a request without it is described without this entry, instead of not at all.
        optional: bool,
    },
    /// A fixed value for requests with such headers.
    HeaderMatch {
        /// The entry's key.
        key: Box<str>,
        /// Its value.
        value: Box<str>,
        /// All of these.
        headers: Vec<HeaderMatcher>,
        /// Whether they must match, or must not.
        expect: bool,
    },
    /// A fixed value for requests with such parameters.
    QueryMatch {
        /// The entry's key.
        key: Box<str>,
        /// Its value.
        value: Box<str>,
        /// All of these.
        query: Vec<QueryMatcher>,
        /// Whether they must match, or must not.
        expect: bool,
    },
}
