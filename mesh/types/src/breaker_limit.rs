//! The limits of a circuit breaker.

use crate::named_enum::named_enum;

named_enum! {
    /// A limit of a circuit breaker. Source: Envoy, `CircuitBreakers.Thresholds`.
    pub enum BreakerLimit {
        /// Connections to the cluster.
        Connections = "connections",
        /// Requests that wait for a connection.
        Pending = "pending",
        /// Active requests.
        Requests = "requests",
        /// Active retries, those that wait for their backoff included.
        Retries = "retries",
    }
    expected "a limit of a circuit breaker"
}
