//! `loadBalancer`: the choice of an endpoint. Source: Istio, `LoadBalancerSettings`.

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

use crate::duration::{GoDuration, GoDurationOrZero};

/// The load balancing policy of a service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// A simple policy. `None`: LEAST_REQUEST.
    pub simple: Option<Spanned<SimpleLb>>,
    /// A hash of the request. Not together with `simple`.
    pub consistent_hash: Option<Spanned<ConsistentHash>>,
    /// Preferences by the localities of client and endpoints.
    pub locality_lb_setting: Option<Spanned<LocalityLb>>,
    /// The time until a new endpoint has its full share. The older form of `warmup`.
    pub warmup_duration_secs: Option<GoDuration>,
    /// The warm-up of new endpoints.
    pub warmup: Option<Spanned<Warmup>>,
}

/// A load balancing policy without parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SimpleLb {
    /// Istio's default: LEAST_REQUEST.
    #[default]
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// The old name of LEAST_REQUEST.
    #[serde(rename = "LEAST_CONN")]
    LeastConn,
    /// The endpoint with fewer active requests, out of two random ones.
    #[serde(rename = "LEAST_REQUEST")]
    LeastRequest,
    /// The endpoints in turn.
    #[serde(rename = "ROUND_ROBIN")]
    RoundRobin,
    /// A random endpoint.
    #[serde(rename = "RANDOM")]
    Random,
}

/// Load balancing by a hash of the request: the hashed value (one of the first four fields), and the algorithm (one of
/// the others).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsistentHash {
    /// The name of a header.
    pub http_header_name: Option<String>,
    /// A cookie, which the proxy sets if it is missing.
    pub http_cookie: Option<HttpCookie>,
    pub use_source_ip: Option<bool>,
    /// The name of a query parameter.
    pub http_query_parameter_name: Option<String>,
    /// A ring of hosts. The default.
    pub ring_hash: Option<RingHash>,
    /// A Maglev table.
    pub maglev: Option<Maglev>,
    /// The older form of `ringHash.minimumRingSize`.
    pub minimum_ring_size: Option<u64>,
}

impl ConsistentHash {
    /// Returns the number of hashed values that are given, which must be 1.
    pub fn keys(&self) -> usize {
        usize::from(self.http_header_name.is_some())
            + usize::from(self.http_cookie.is_some())
            + usize::from(self.use_source_ip.is_some())
            + usize::from(self.http_query_parameter_name.is_some())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpCookie {
    pub name: String,
    #[serde(default)]
    pub path: String,
    /// The lifetime. `0s`: a session cookie. `None`: the proxy does not set the cookie.
    pub ttl: Option<GoDurationOrZero>,
    /// Further attributes of a cookie set by the proxy, for example `SameSite`.
    #[serde(default)]
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieAttribute {
    pub name: Spanned<String>,
    /// The value. Empty: the attribute has only a name.
    #[serde(default)]
    pub value: String,
}

/// Parameters of a hash ring.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingHash {
    /// The minimum number of entries of the ring. `None`: 1024.
    pub minimum_ring_size: Option<u64>,
}

/// Parameters of a Maglev table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Maglev {
    /// The number of entries of the table, a prime. `None`: 65,537.
    pub table_size: Option<Spanned<u64>>,
}

/// The warm-up of a new endpoint, until it has its full share.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// The time until the full share.
    pub duration: Option<GoDuration>,
    /// The initial share in percent. `None`: 10.
    pub minimum_percent: Option<f64>,
    /// The shape of the increase. 1, the default, is linear. Higher values increase faster at first.
    pub aggression: Option<f64>,
}

/// Load balancing by the localities of client and endpoints. With outlier detection and no such setting, more distant
/// endpoints are used only if nearer ones fail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalityLb {
    /// False disables it. `None`: enabled.
    pub enabled: Option<bool>,
    /// The shares of localities, by the client's locality. Not together with the other settings.
    pub distribute: Option<Vec<Distribute>>,
    /// The failover region of each region.
    pub failover: Option<Vec<Failover>>,
    /// Labels that client and endpoint must share, in order of priority: `name` or `name=value`.
    pub failover_priority: Option<Vec<Spanned<String>>>,
}

/// The shares of localities for the clients of one locality.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribute {
    /// The client's locality, `region/zone/subzone`. Each part may be `*` or omitted.
    pub from: Spanned<String>,
    /// Localities with their shares in percent.
    pub to: IndexMap<String, u32>,
}

/// The region that receives a region's requests if that fails.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    pub from: Spanned<String>,
    pub to: String,
}
