//! The state that the requests of one downstream connection share.

use std::rc::Rc;

use shakedown_wire::{KeptBudget, SessionClient};

use crate::limit::limiters::ConnectionLimiter;
use crate::peers::PeerOfConnection;

/// The most bytes of request bodies that a connection's requests keep for retries, together. Envoy bounds each request only,
/// and an HTTP/2 connection may have a thousand of them.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The state of one downstream connection.
#[derive(Debug)]
pub(crate) struct DownstreamConnection {
    /// The buckets of rate limits that count each connection by itself.
    pub(crate) limiter: ConnectionLimiter,
    /// The bytes of request bodies that may still be kept for retries.
    pub(crate) kept: KeptBudget,
    /// The calling workload.
    pub(crate) peer: PeerOfConnection,
    /// The TLS session. `None`: plain text.
    pub(crate) session: Option<DownstreamSession>,
}

/// The TLS session of a downstream connection.
#[derive(Debug)]
pub(crate) struct DownstreamSession {
    pub(crate) client: SessionClient,
    /// The URIs among the subject alternative names of the proxy's own certificate.
    pub(crate) own_uris: Rc<[Box<str>]>,
}

impl Default for DownstreamConnection {
    fn default() -> DownstreamConnection {
        DownstreamConnection {
            limiter: ConnectionLimiter::default(),
            kept: KeptBudget::new(KEPT_BYTES_MAX),
            peer: PeerOfConnection::default(),
            session: None,
        }
    }
}
