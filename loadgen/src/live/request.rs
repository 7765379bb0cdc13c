//! A request of a load: its times, and its end.

use std::time::Duration;

use shakedown_env::Time;
use shakedown_results::Root;

use super::failure::{FailureKind, FailurePhase};

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueRequest {
    pub(super) root: Root,
    pub(super) intended: Time,
    /// The time at which the dispatcher took it from the schedule.
    pub(super) taken: Time,
    /// The time at which a worker received it.
    pub(super) given: Time,
    pub(super) deadline: Time,
}

/// The timestamps of a request that a worker processed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimes {
    /// The time at which the worker started to send it.
    pub(super) began: Time,
    /// The time at which it had a connection.
    pub(super) connected: Option<Time>,
    /// The time at which its head was written.
    pub(super) written: Option<Time>,
}

/// The end of a request.
#[derive(Debug)]
pub(super) enum RequestEnd {
    /// A complete response with this status.
    Answered(u16),
    /// No complete response. The status is 0 if no head was received.
    Failed(u16, FailureKind),
    /// The request timed out.
    TimedOut(FailurePhase),
}

/// Signed nanoseconds since `zero`.
pub(super) fn nanos_from(zero: Time, at: Time) -> i64 {
    let span = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    span(at.since(zero)) - span(zero.since(at))
}
