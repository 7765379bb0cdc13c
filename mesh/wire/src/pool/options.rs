//! How a pool treats its connections.

use std::sync::Arc;
use std::time::Duration;

use shakedown_env::TaskName;

use super::{Bound, Permit, Quota, Traffic};
use crate::TlsClient;

/// What a pool's connections speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
}

/// How a pool treats its connections. The defaults are Envoy's.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// What its connections speak.
    pub protocol: Protocol,
    /// The most streams at a time on one connection of HTTP/2; the peer may allow fewer.
    /// Source: Envoy, `Http2ProtocolOptions.max_concurrent_streams`, default 1024.
    pub max_concurrent_streams: u32,
    /// The longest that opening a connection may take. Istio's default, 10 s.
    pub connect_timeout: Duration,
    /// A connection without a request for this long is closed.
    pub idle_timeout: Option<Duration>,
    /// A connection is closed after this many requests.
    pub max_requests_per_connection: Option<u32>,
    /// A connection of this age takes no more requests, and closes when it has none.
    /// Source: Envoy, `HttpProtocolOptions.max_connection_duration`.
    pub max_connection_duration: Option<Duration>,
    /// Whether a connection serves more than one request.
    pub reuse: bool,
    /// Speaks TLS inside each connection; its handshake counts into `connect_timeout`. Where none, plaintext.
    pub tls: Option<TlsClient>,
    /// What the pool's connections and requests count against; no limit where none.
    pub quota: Option<Quota>,
    /// Counts what its connections carry, and makes [`Pool::send_traced`](super::Pool::send_traced) tell of its requests.
    pub traffic: Option<Arc<Traffic>>,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            protocol: Protocol::Http1,
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
    /// How many requests a connection may have had in the end.
    pub(super) fn requests_per_connection(&self) -> Option<u32> {
        if self.reuse {
            self.max_requests_per_connection
        } else {
            Some(1)
        }
    }

    /// How many requests a connection that is being opened will have room for.
    pub(super) fn room(&self) -> usize {
        let most = match self.protocol {
            Protocol::Http1 => 1,
            Protocol::Http2 => self.max_concurrent_streams,
        };
        let most = most.min(self.requests_per_connection().unwrap_or(most));
        most.max(1) as usize
    }

    pub(super) fn task_name(&self) -> TaskName {
        match self.protocol {
            Protocol::Http1 => "http1-client",
            Protocol::Http2 => "http2-client",
        }
    }

    /// A permit of the quota. Without a quota there is one without end.
    pub(super) fn take(&self, bound: Bound) -> Option<Option<Permit>> {
        match &self.quota {
            Some(quota) => quota.take(bound).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn take_anyway(&self, bound: Bound) -> Option<Permit> {
        self.quota.as_ref().map(|quota| quota.take_anyway(bound))
    }
}
