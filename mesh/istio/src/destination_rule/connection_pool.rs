//! `connectionPool`: limits on connections and requests, for each proxy. Source: Istio, networking/v1.

use serde::Deserialize;

use crate::GoDuration;

/// Limits on connections and requests, for each proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPool {
    pub tcp: Option<TcpPool>,
    pub http: Option<HttpPool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpPool {
    /// The maximum number of connections to the service. `None` or 0: unlimited.
    pub max_connections: Option<u32>,
    /// The maximum time for opening a connection. `None`: 10 s.
    pub connect_timeout: Option<GoDuration>,
    /// The age at which a connection is closed once it has no request. `None`: unlimited.
    pub max_connection_duration: Option<GoDuration>,
    /// The maximum idle time of a connection, if `http` does not set one.
    pub idle_timeout: Option<GoDuration>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPool {
    /// The maximum number of requests that wait for a connection. `None` or 0: unlimited.
    pub http1_max_pending_requests: Option<u32>,
    /// The maximum number of active requests, for every protocol. `None` or 0: unlimited.
    pub http2_max_requests: Option<u32>,
    /// The number of requests after which a connection is closed. `None` or 0: unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// The maximum number of concurrent retries. `None` or 0: unlimited.
    pub max_retries: Option<u32>,
    /// The maximum idle time of a connection. `None`: `tcp.idleTimeout`, or else one hour.
    pub idle_timeout: Option<GoDuration>,
    /// The upgrade of HTTP/1.1 requests to HTTP/2.
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// The maximum number of concurrent streams on an HTTP/2 connection. `None` or 0: Envoy's default.
    pub max_concurrent_streams: Option<u32>,
    /// True if requests are forwarded with the client's protocol.
    #[serde(default)]
    pub use_client_protocol: bool,
}

/// The upgrade of HTTP/1.1 requests to HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum H2UpgradePolicy {
    /// The mesh's default: no upgrade.
    #[default]
    #[serde(rename = "DEFAULT")]
    Default,
    #[serde(rename = "DO_NOT_UPGRADE")]
    DoNotUpgrade,
    #[serde(rename = "UPGRADE")]
    Upgrade,
}
