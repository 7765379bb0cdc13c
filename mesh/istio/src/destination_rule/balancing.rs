//! How an endpoint is chosen. Source: Istio, `LoadBalancerSettings`.

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

use crate::duration::{GoDuration, GoDurationOrZero};

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By one of the simple policies; none: LEAST_REQUEST.
    pub simple: Option<Spanned<SimpleLb>>,
    /// By a hash of the request. Not together with `simple`.
    pub consistent_hash: Option<Spanned<ConsistentHash>>,
    /// By where client and endpoints run.
    pub locality_lb_setting: Option<Spanned<LocalityLb>>,
    /// How long a new endpoint takes to its full share; the older form of `warmup`.
    pub warmup_duration_secs: Option<GoDuration>,
    /// How a new endpoint comes to its full share.
    pub warmup: Option<Spanned<Warmup>>,
}

/// A simple policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SimpleLb {
    /// Istio's default: LEAST_REQUEST.
    #[default]
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// The old name of LEAST_REQUEST.
    #[serde(rename = "LEAST_CONN")]
    LeastConn,
    /// Of two drawn at random the one with fewer active requests.
    #[serde(rename = "LEAST_REQUEST")]
    LeastRequest,
    /// One after another.
    #[serde(rename = "ROUND_ROBIN")]
    RoundRobin,
    /// Any.
    #[serde(rename = "RANDOM")]
    Random,
}

/// By a hash of the request: what is hashed (one of the first four), and how hosts are found by it (one of the others).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsistentHash {
    /// A header.
    pub http_header_name: Option<String>,
    /// A cookie, which the proxy makes where there is none.
    pub http_cookie: Option<HttpCookie>,
    /// The caller's address.
    pub use_source_ip: Option<bool>,
    /// A parameter of the query.
    pub http_query_parameter_name: Option<String>,
    /// On a ring. The default.
    pub ring_hash: Option<RingHash>,
    /// In a table.
    pub maglev: Option<Maglev>,
    /// The older form of `ringHash.minimumRingSize`.
    pub minimum_ring_size: Option<u64>,
}

impl ConsistentHash {
    /// How many of the four things to hash are given; one must be.
    pub fn keys(&self) -> usize {
        usize::from(self.http_header_name.is_some())
            + usize::from(self.http_cookie.is_some())
            + usize::from(self.use_source_ip.is_some())
            + usize::from(self.http_query_parameter_name.is_some())
    }
}

/// A cookie to hash.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpCookie {
    /// Its name.
    pub name: String,
    /// Its path.
    #[serde(default)]
    pub path: String,
    /// How long it is kept; `0s`: as long as the session; none: the proxy makes none.
    pub ttl: Option<GoDurationOrZero>,
    /// What else is said of it, where the proxy makes it: `SameSite`.
    #[serde(default)]
    pub attributes: Vec<CookieAttribute>,
}

/// What is said of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieAttribute {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value; none: the name alone.
    #[serde(default)]
    pub value: String,
}

/// A ring of hosts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingHash {
    /// At least so many places; none: 1024.
    pub minimum_ring_size: Option<u64>,
}

/// A table of hosts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Maglev {
    /// So many places, a prime; none: 65,537.
    pub table_size: Option<Spanned<u64>>,
}

/// How a new endpoint comes to its full share.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// How long it takes.
    pub duration: Option<GoDuration>,
    /// The share that it has at once, in percent; none: 10.
    pub minimum_percent: Option<f64>,
    /// 1: linear (the default); more: faster at first.
    pub aggression: Option<f64>,
}

/// By where client and endpoints run. Without it, and with outlier detection, endpoints further away are taken only when
/// nearer ones fail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalityLb {
    /// Whether it is done at all; none: yes.
    pub enabled: Option<bool>,
    /// Shares of localities, by the client's. Not together with the others.
    pub distribute: Option<Vec<Distribute>>,
    /// Where a region's requests go when it fails.
    pub failover: Option<Vec<Failover>>,
    /// Labels that client and endpoint must share, the most important first: `name` or `name=value`.
    pub failover_priority: Option<Vec<Spanned<String>>>,
}

/// Shares of localities for clients of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribute {
    /// The client's locality: `region/zone/subzone`, each may be `*` or left out.
    pub from: Spanned<String>,
    /// Localities and their share in percent.
    pub to: IndexMap<String, u32>,
}

/// Where a region's requests go when it fails.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// The client's region.
    pub from: Spanned<String>,
    /// The other region.
    pub to: String,
}
