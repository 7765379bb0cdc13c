//! Whether a try that failed is tried again, and after how long: Envoy's retry state of one request.
//!
//! A plain state machine over the route's policy; it sees what happened and a random number, no clock and no stream.
//! Source: Envoy, `source/common/router/retry_state_impl.cc`.

use std::time::Duration;

use http::HeaderMap;
use shakedown_config::table::{RetryOn, RetryPolicy};

use crate::respond::ResetReason;

/// How a try ended, as far as retries care.
#[derive(Clone, Copy, Debug)]
pub enum Failure<'a> {
    /// Response headers came. Most of these are no failure at all.
    Response {
        /// The status.
        status: u16,
        /// The headers, for gRPC's status.
        headers: &'a HeaderMap,
    },
    /// The try ended without response headers.
    Reset {
        /// How.
        reason: ResetReason,
        /// Whether any of the request may have reached the wire.
        on_wire: bool,
    },
    /// The try's own timeout.
    PerTryTimeout,
}

/// What to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, after this.
    Again(Duration),
    /// It would have been tried again, had there been tries left: URX.
    Exhausted,
    /// It is what the caller gets.
    Stands,
}

/// The retries of one request.
#[derive(Debug)]
pub struct Retries<'a> {
    policy: &'a RetryPolicy,
    done: u32,
}

impl<'a> Retries<'a> {
    /// A request under this policy, not tried yet.
    pub fn new(policy: &'a RetryPolicy) -> Retries<'a> {
        Retries { policy, done: 0 }
    }

    /// Whether another try may follow at all, so that the request must be kept.
    pub fn may_follow(&self) -> bool {
        self.done < self.policy.times
    }

    /// Judges a try. `random` is asked only for a backoff.
    pub fn judge(&mut self, failure: Failure<'_>, random: impl FnOnce() -> u64) -> Verdict {
        if !would_retry(self.policy, failure) {
            return Verdict::Stands;
        }
        if !self.may_follow() {
            return Verdict::Exhausted;
        }
        self.done += 1;
        Verdict::Again(backoff(self.policy, self.done, random()))
    }
}

/// The wait before retry `number` (1 for the first): uniform in [0, (2^number - 1) * base), capped at the policy's
/// maximum, in whole milliseconds as Envoy's timers are. Source: Envoy docs, "x-envoy-max-retries".
pub fn backoff(policy: &RetryPolicy, number: u32, random: u64) -> Duration {
    let base = millis(policy.base_interval).max(1);
    let most = millis(policy.max_interval).max(base);
    let factor = 1u64.checked_shl(number).map_or(u64::MAX, |power| power - 1);
    Duration::from_millis((random % base.saturating_mul(factor)).min(most))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn would_retry(policy: &RetryPolicy, failure: Failure<'_>) -> bool {
    match failure {
        Failure::Response { status, headers } => would_retry_response(policy, status, headers),
        Failure::Reset { reason, on_wire } => would_retry_reset(policy.on, Some(reason), on_wire),
        // Envoy resets the try locally, which is no connect failure; the request was on its way.
        Failure::PerTryTimeout => would_retry_reset(policy.on, None, true),
    }
}

fn would_retry_response(policy: &RetryPolicy, status: u16, headers: &HeaderMap) -> bool {
    let on = policy.on;
    if headers.contains_key("x-envoy-ratelimited") {
        return on.contains(RetryOn::ENVOY_RATELIMITED);
    }
    (on.contains(RetryOn::SERVER_ERROR) && (500..600).contains(&status))
        || (on.contains(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504))
        || (on.contains(RetryOn::RETRIABLE_4XX) && status == 409)
        || (on.contains(RetryOn::RETRIABLE_STATUS_CODES) && policy.codes.contains(&status))
        || would_retry_grpc(on, headers)
}

/// A gRPC status in the headers: a response without a message. One in the trailers comes too late.
fn would_retry_grpc(on: RetryOn, headers: &HeaderMap) -> bool {
    let Some(status) = headers.get("grpc-status") else {
        return false;
    };
    match status.as_bytes() {
        b"1" => on.contains(RetryOn::CANCELLED),
        b"4" => on.contains(RetryOn::DEADLINE_EXCEEDED),
        b"8" => on.contains(RetryOn::RESOURCE_EXHAUSTED),
        b"13" => on.contains(RetryOn::INTERNAL),
        b"14" => on.contains(RetryOn::UNAVAILABLE),
        _ => false,
    }
}

/// `None`: reset by the proxy itself.
fn would_retry_reset(on: RetryOn, reason: Option<ResetReason>, on_wire: bool) -> bool {
    let connect_failure = reason.is_some_and(ResetReason::is_connect_failure);
    (on.contains(RetryOn::CONNECT_FAILURE) && connect_failure)
        || (on.contains(RetryOn::RESET_BEFORE_REQUEST) && !on_wire)
        // Envoy counts a reset as the 5xx that it would become.
        || on.contains(RetryOn::RESET)
        || on.contains(RetryOn::SERVER_ERROR)
        || on.contains(RetryOn::GATEWAY_ERROR)
}

#[cfg(test)]
mod tests;
