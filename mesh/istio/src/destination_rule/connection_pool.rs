//! `connectionPool`: bounds on connections and requests, in each proxy. Source: Istio, networking/v1.

use serde::Deserialize;

use crate::GoDuration;

/// Bounds on connections and requests, in each proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPool {
    /// Of connections.
    pub tcp: Option<TcpPool>,
    /// Of requests.
    pub http: Option<HttpPool>,
}

/// Bounds on connections.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpPool {
    /// The most connections to the service; none or 0: as many as it takes.
    pub max_connections: Option<u32>,
    /// How long one may take to come up; none: 10 s.
    pub connect_timeout: Option<GoDuration>,
    /// After so long one is closed, when it has no request; none: never.
    pub max_connection_duration: Option<GoDuration>,
    /// How long one may be idle, where `http` does not say.
    pub idle_timeout: Option<GoDuration>,
}

/// Bounds on requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPool {
    /// The most requests that wait for a connection; none or 0: as many as it takes.
    pub http1_max_pending_requests: Option<u32>,
    /// The most requests in hand, whatever the protocol; none or 0: as many as it takes.
    pub http2_max_requests: Option<u32>,
    /// After so many requests a connection is closed; 0: never.
    pub max_requests_per_connection: Option<u32>,
    /// The most retries in hand; none or 0: as many as it takes.
    pub max_retries: Option<u32>,
    /// How long a connection may be idle; none: an hour; `0s`: for ever.
    pub idle_timeout: Option<GoDuration>,
    /// Whether requests of HTTP/1.1 go on as HTTP/2.
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// The most streams of one HTTP/2 connection; none or 0: Envoy's default.
    pub max_concurrent_streams: Option<u32>,
    /// Whether requests go on as what they came as.
    #[serde(default)]
    pub use_client_protocol: bool,
}

/// Whether requests of HTTP/1.1 go on as HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum H2UpgradePolicy {
    /// As the mesh has it: no.
    #[default]
    #[serde(rename = "DEFAULT")]
    Default,
    /// No.
    #[serde(rename = "DO_NOT_UPGRADE")]
    DoNotUpgrade,
    /// Yes.
    #[serde(rename = "UPGRADE")]
    Upgrade,
}
