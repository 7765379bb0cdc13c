//! Options of a pool's connections.

use std::sync::Arc;
use std::time::Duration;

use shakedown_env::TaskName;

use super::quota::{Permit, Quota, QuotaBound, QuotaExceeded};
use super::watch::Traffic;
use crate::SharedTlsClient;

/// The protocol of a pool's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolProtocol {
    #[default]
    Http1,
    /// HTTP/2, without an upgrade from HTTP/1.1.
    Http2,
}

/// Options of a pool's connections. The defaults are Envoy's.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub protocol: PoolProtocol,
    /// The maximum number of concurrent streams on one HTTP/2 connection. The peer may allow fewer. Source: Envoy,
    /// `Http2ProtocolOptions.max_concurrent_streams`, default 1024.
    pub max_concurrent_streams: u32,
    /// The maximum time for opening a connection. Istio's default, 10 s.
    pub connect_timeout: Duration,
    /// The time without a request after which a connection is closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// The number of requests after which a connection is closed. `None`: unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// The age at which a connection takes no more requests, and closes once it has none. `None`: unlimited. Source:
    /// Envoy, `HttpProtocolOptions.max_connection_duration`.
    pub max_connection_duration: Option<Duration>,
    /// True if a connection may serve more than one request.
    pub reuse: bool,
    /// The TLS client for each connection, whose handshake counts towards `connect_timeout`. `None`: plaintext.
    pub tls: Option<SharedTlsClient>,
    /// The quota that limits the pool's connections and requests. `None`: unlimited.
    pub quota: Option<Quota>,
    /// Counters of the connections' bytes, which also enable [`Pool::send_traced`](super::Pool::send_traced). `None`:
    /// no measurements.
    pub traffic: Option<Arc<Traffic>>,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            protocol: PoolProtocol::Http1,
            max_concurrent_streams: 1024,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(3600)),
            max_requests_per_connection: None,
            max_connection_duration: None,
            reuse: true,
            tls: None,
            quota: None,
            traffic: None,
        }
    }
}

impl PoolOptions {
    /// Returns the maximum number of requests over a connection's lifetime.
    pub(super) fn requests_per_connection(&self) -> Option<u32> {
        if self.reuse {
            self.max_requests_per_connection
        } else {
            Some(1)
        }
    }

    /// Returns the number of concurrent requests for which a connection that is being opened will have room.
    pub(super) fn room(&self) -> usize {
        let most = match self.protocol {
            PoolProtocol::Http1 => 1,
            PoolProtocol::Http2 => self.max_concurrent_streams,
        };
        let most = most.min(self.requests_per_connection().unwrap_or(most));
        most.max(1) as usize
    }

    pub(super) fn task_name(&self) -> TaskName {
        match self.protocol {
            PoolProtocol::Http1 => "http1-client",
            PoolProtocol::Http2 => "http2-client",
        }
    }

    /// Takes a permit of the quota. `None`: no quota is configured.
    pub(super) fn take(&self, bound: QuotaBound) -> Result<Option<Permit>, QuotaExceeded> {
        let Some(quota) = &self.quota else {
            return Ok(None);
        };
        quota.take(bound).map(Some).ok_or(QuotaExceeded(bound))
    }

    pub(super) fn take_despite_limit(&self, bound: QuotaBound) -> Option<Permit> {
        self.quota
            .as_ref()
            .map(|quota| quota.take_despite_limit(bound))
    }
}
