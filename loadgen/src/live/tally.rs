//! Figures of a load besides its records: kinds of failures, connections, bytes, and the generator's own latency.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure::{Cause, FailureKind};
use super::generator::GeneratorLatency;

/// The maximum number of distinct kinds of failure. Further ones count as `other` of their phase.
const FAILURES_MAX: usize = 24;

/// Figures of a load besides its records. Requests count if they are due after the warm-up. Connections and bytes are
/// those of the whole load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests without a complete response, including timeouts, by the kind of failure.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Counted requests that were never written, so that the server did not see them.
    pub unsent: u64,
    /// Unsent requests that timed out in the queue, or while their connection was being opened.
    pub timed_out_unsent: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// The maximum number of connections open at the same time.
    pub open_max: u64,
    /// Bytes of HTTP that were written.
    pub bytes_sent: u64,
    /// Bytes of HTTP that were read.
    pub bytes_received: u64,
    /// The generator's own latency.
    pub own: GeneratorLatency,
    /// The time at which the load was cut short, since 0 s.
    pub cut: Option<Duration>,
}

impl Tally {
    pub(super) fn failed(&mut self, failure: FailureKind) {
        let known = self.failures.contains_key(&failure) || self.failures.len() < FAILURES_MAX;
        let failure = if known {
            failure
        } else {
            FailureKind {
                cause: Cause::Other,
                detail: String::new(),
                ..failure
            }
        };
        *self.failures.entry(failure).or_default() += 1;
    }

    /// The number of requests that failed by a cause.
    pub fn failed_by(&self, cause: Cause) -> u64 {
        let of_cause = self.failures.iter().filter(|(kind, _)| kind.cause == cause);
        of_cause.map(|(_, count)| count).sum()
    }
}
