//! What the requests of one connection share.

use shakedown_wire::KeptBudget;

use crate::filter::rate_limit::ConnectionLimit;
use crate::peers::PeerOfConnection;

/// The most bytes of bodies that are kept for another try at a time. Envoy bounds those of each request only, and a
/// connection of HTTP/2 may have a thousand.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What one connection has.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its buckets of the rate limit.
    pub(crate) limit: ConnectionLimit,
    /// What may be kept of its requests' bodies.
    pub(crate) kept: KeptBudget,
    /// The workload at its other end.
    pub(crate) peer: PeerOfConnection,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            limit: ConnectionLimit::default(),
            kept: KeptBudget::new(KEPT_BYTES_MAX),
            peer: PeerOfConnection::default(),
        }
    }
}
