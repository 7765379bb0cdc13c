//! The retry policy of one request: decides if a failed attempt is retried, and after which backoff.
//!
//! A plain state machine over the route's policy. Its inputs are the result of an attempt, a random number and the wall
//! clock, and it asks if the cluster admits another retry. It does not depend on streams.
//! Source: Envoy, `source/common/router/retry_state_impl.cc`.

mod backoff;

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use shakedown_env::UnixTime;
use shakedown_types::GrpcStatus;
use shakedown_xds::table::{RequestView, RetryOn, RetryPolicy};

pub use backoff::{RetryBackoff, rate_limited};

use crate::respond::{ResetReason, grpc_status};

const RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// The result of an attempt as an input of the retry policy.
#[derive(Clone, Copy, Debug)]
pub enum AttemptFailure<'a> {
    /// Response headers arrived. Most responses are not failures.
    Response {
        /// The response status.
        status: u16,
        /// The headers, which may contain a gRPC status or headers named by the policy.
        headers: &'a HeaderMap,
    },
    /// The attempt ended without response headers.
    Reset {
        /// The reason of the reset.
        reason: ResetReason,
        /// True if any part of the request may have been written.
        on_wire: bool,
    },
    /// The attempt reached its timeout or idle timeout, and the proxy reset it.
    PerTryTimeout,
}

/// The decision after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Retry after this backoff.
    Again(Duration),
    /// Retriable, but no retries are left: URX.
    Exhausted,
    /// Retriable, but the cluster does not admit a retry: UO.
    Overflow,
    /// Not retriable: the result is returned to the caller.
    Stands,
}

/// The external inputs of a decision.
pub trait RetryChance {
    /// Returns true and counts a retry if the cluster admits one.
    fn admit(&mut self) -> bool;
    /// Returns a random number.
    fn random(&mut self) -> u64;
    /// The wall clock, for responses that name a time.
    fn unix_time(&self) -> UnixTime;
}

/// The retry state of one request.
#[derive(Debug)]
pub struct RetryState<'a> {
    policy: &'a RetryPolicy,
    on: RetryOn,
    left: u32,
    backoff: RetryBackoff,
}

impl<'a> RetryState<'a> {
    /// Creates the state before the first attempt. A `request` that does not match the policy's request headers is
    /// never retried.
    pub fn new<'r>(
        policy: &'a RetryPolicy,
        request: impl FnOnce() -> RequestView<'r>,
    ) -> RetryState<'a> {
        let wanted = &policy.request_headers;
        let matches = wanted.is_empty() || {
            let request = request();
            wanted.iter().any(|header| header.matches(&request))
        };
        RetryState {
            policy,
            on: if matches { policy.on } else { RetryOn::NONE },
            left: policy.times,
            backoff: RetryBackoff::new(policy),
        }
    }

    /// Returns true if another attempt is possible, so that the request must be kept.
    pub fn may_follow(&self) -> bool {
        self.left > 0 && !self.on.is_empty()
    }

    /// Decides about a completed attempt.
    pub fn judge(
        &mut self,
        failure: AttemptFailure<'_>,
        chance: &mut impl RetryChance,
    ) -> RetryDecision {
        let Some(wish) = self.wish(failure) else {
            return RetryDecision::Stands;
        };
        let named = match (wish, failure) {
            (RetryWish::Backoff, AttemptFailure::Response { headers, .. }) => self
                .policy
                .rate_limited
                .as_ref()
                .and_then(|policy| rate_limited(policy, headers, chance.unix_time())),
            _ => None,
        };
        self.grant(chance, |backoff, chance| match (wish, named) {
            (RetryWish::AtOnce, _) => Duration::ZERO,
            (RetryWish::Backoff, Some(span)) => backoff::jittered(span, chance.random()),
            (RetryWish::Backoff, None) => backoff.next(chance.random()),
        })
    }

    /// Decides about another attempt beside one that reached its timeout and continues. Conditions do not matter as
    /// long as retries are left.
    /// Source: Envoy, `shouldHedgeRetryPerTryTimeout`.
    pub fn judge_hedge(&mut self, chance: &mut impl RetryChance) -> RetryDecision {
        if self.on.is_empty() {
            return RetryDecision::Stands;
        }
        self.grant(chance, |backoff, chance| backoff.next(chance.random()))
    }

    /// Returns true if the result is retriable, regardless of the remaining retries.
    pub fn would_retry(&self, failure: AttemptFailure<'_>) -> bool {
        self.wish(failure).is_some()
    }

    /// Grants a retry. A retry that the cluster does not admit is also deducted, as in Envoy.
    fn grant<C: RetryChance>(
        &mut self,
        chance: &mut C,
        wait: impl FnOnce(&mut RetryBackoff, &mut C) -> Duration,
    ) -> RetryDecision {
        if self.left == 0 {
            return RetryDecision::Exhausted;
        }
        self.left -= 1;
        if !chance.admit() {
            return RetryDecision::Overflow;
        }
        RetryDecision::Again(wait(&mut self.backoff, chance))
    }

    fn wish(&self, failure: AttemptFailure<'_>) -> Option<RetryWish> {
        match failure {
            AttemptFailure::Response { status, headers } => {
                self.wish_after_response(status, headers)
            }
            AttemptFailure::Reset { reason, on_wire } => {
                would_retry_reset(self.on, Some(reason), on_wire).then_some(RetryWish::Backoff)
            }
            // Envoy resets the attempt locally, which is not a connect failure, and the request was already sent.
            AttemptFailure::PerTryTimeout => {
                would_retry_reset(self.on, None, true).then_some(RetryWish::Backoff)
            }
        }
    }

    /// Decides about a response. A response of a rate limiter is retried only under `envoy-ratelimited`.
    fn wish_after_response(&self, status: u16, headers: &HeaderMap) -> Option<RetryWish> {
        let limited = self.on.contains(RetryOn::ENVOY_RATELIMITED);
        let wish = self.wish_by_answer(status, headers);
        // The header is read only if it makes a difference.
        if (limited || wish.is_some()) && headers.contains_key(&RATE_LIMITED) {
            return limited.then_some(RetryWish::Backoff);
        }
        wish
    }

    fn wish_by_answer(&self, status: u16, headers: &HeaderMap) -> Option<RetryWish> {
        let on = self.on;
        let by_status = (on.contains(RetryOn::SERVER_ERROR) && (500..600).contains(&status))
            || (on.contains(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504))
            || (on.contains(RetryOn::RETRIABLE_4XX) && status == 409);
        if by_status {
            return Some(RetryWish::Backoff);
        }
        if on.contains(RetryOn::RETRIABLE_STATUS_CODES) && self.policy.codes.contains(&status) {
            // A 425 (Too Early) is retried without backoff. Source: Envoy, `wouldRetryFromHeaders`.
            return Some(if status == 425 {
                RetryWish::AtOnce
            } else {
                RetryWish::Backoff
            });
        }
        let by_header = on.contains(RetryOn::RETRIABLE_HEADERS) && self.names_a_header(headers);
        (by_header || would_retry_grpc(on, headers)).then_some(RetryWish::Backoff)
    }

    fn names_a_header(&self, headers: &HeaderMap) -> bool {
        let answer = RequestView {
            method: "",
            path: "",
            authority: "",
            scheme: "",
            headers,
        };
        self.policy
            .headers
            .iter()
            .any(|header| header.matches(&answer))
    }
}

/// The kind of backoff of a desired retry.
#[derive(Clone, Copy, Debug)]
enum RetryWish {
    Backoff,
    AtOnce,
}

/// Matches a gRPC status in the headers of a response without messages. A status in trailers arrives too late for a
/// retry.
fn would_retry_grpc(on: RetryOn, headers: &HeaderMap) -> bool {
    if !on.intersects(RetryOn::GRPC) {
        return false;
    }
    match grpc_status(headers) {
        Some(Ok(GrpcStatus::Cancelled)) => on.contains(RetryOn::CANCELLED),
        Some(Ok(GrpcStatus::DeadlineExceeded)) => on.contains(RetryOn::DEADLINE_EXCEEDED),
        Some(Ok(GrpcStatus::ResourceExhausted)) => on.contains(RetryOn::RESOURCE_EXHAUSTED),
        Some(Ok(GrpcStatus::Internal)) => on.contains(RetryOn::INTERNAL),
        Some(Ok(GrpcStatus::Unavailable)) => on.contains(RetryOn::UNAVAILABLE),
        _ => false,
    }
}

/// Matches a reset. A reason of `None` means that the proxy itself reset the attempt.
fn would_retry_reset(on: RetryOn, reason: Option<ResetReason>, on_wire: bool) -> bool {
    // Another attempt would meet the same limit.
    if reason == Some(ResetReason::Overflow) {
        return false;
    }
    let connect_failure = reason.is_some_and(ResetReason::is_connect_failure);
    (on.contains(RetryOn::CONNECT_FAILURE) && connect_failure)
        || (on.contains(RetryOn::RESET_BEFORE_REQUEST) && !on_wire)
        || (on.contains(RetryOn::REFUSED_STREAM)
            && reason == Some(ResetReason::RemoteRefusedStreamReset))
        // Envoy treats a reset like the 5xx that it would become.
        || on.contains(RetryOn::RESET)
        || on.contains(RetryOn::SERVER_ERROR)
        || on.contains(RetryOn::GATEWAY_ERROR)
}

#[cfg(test)]
mod tests;
