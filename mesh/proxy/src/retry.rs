//! Whether a try that failed is tried again, and after how long: Envoy's retry state of one request.
//!
//! A plain state machine over the route's policy; it sees what happened, a random number and the wall clock, and asks
//! whether the cluster has room for another retry. It knows no stream.
//! Source: Envoy, `source/common/router/retry_state_impl.cc`.

mod backoff;

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use shakedown_env::UnixTime;
use shakedown_types::GrpcStatus;
use shakedown_xds::table::{RequestView, RetryOn, RetryPolicy};

pub use backoff::{Backoff, rate_limited};

use crate::respond::{ResetReason, grpc_status};

const RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// How a try ended, as far as retries care.
#[derive(Clone, Copy, Debug)]
pub enum Failure<'a> {
    /// Response headers came. Most of these are no failure at all.
    Response {
        /// The status.
        status: u16,
        /// The headers, for gRPC's status and what the policy looks for.
        headers: &'a HeaderMap,
    },
    /// The try ended without response headers.
    Reset {
        /// How.
        reason: ResetReason,
        /// Whether any of the request may have reached the wire.
        on_wire: bool,
    },
    /// The try's own timeout, or its idle timeout: the proxy has reset it.
    PerTryTimeout,
}

/// What to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, after this.
    Again(Duration),
    /// It would have been tried again, had there been tries left: URX.
    Exhausted,
    /// It would have been tried again, had the cluster had room for it: UO.
    Overflow,
    /// It is what the caller gets.
    Stands,
}

/// What a verdict may ask for.
pub trait Chance {
    /// Whether the cluster has room for one more retry; if so it is taken.
    fn admit(&mut self) -> bool;
    /// A random number.
    fn random(&mut self) -> u64;
    /// The wall clock, for answers that name a time.
    fn unix_time(&self) -> UnixTime;
}

/// The retries of one request.
#[derive(Debug)]
pub struct Retries<'a> {
    policy: &'a RetryPolicy,
    on: RetryOn,
    left: u32,
    backoff: Backoff,
}

impl<'a> Retries<'a> {
    /// A `request` under this policy, not tried yet. One that the policy's request headers leave out is never tried again.
    pub fn new<'r>(
        policy: &'a RetryPolicy,
        request: impl FnOnce() -> RequestView<'r>,
    ) -> Retries<'a> {
        let wanted = &policy.request_headers;
        let matches = wanted.is_empty() || {
            let request = request();
            wanted.iter().any(|header| header.matches(&request))
        };
        Retries {
            policy,
            on: if matches { policy.on } else { RetryOn::NONE },
            left: policy.times,
            backoff: Backoff::new(policy),
        }
    }

    /// Whether another try may follow at all, so that the request must be kept.
    pub fn may_follow(&self) -> bool {
        self.left > 0 && !self.on.is_empty()
    }

    /// Judges a try.
    pub fn judge(&mut self, failure: Failure<'_>, chance: &mut impl Chance) -> Verdict {
        let Some(wish) = self.wish(failure) else {
            return Verdict::Stands;
        };
        let named = match (wish, failure) {
            (Wish::Backoff, Failure::Response { headers, .. }) => self
                .policy
                .rate_limited
                .as_ref()
                .and_then(|policy| rate_limited(policy, headers, chance.unix_time())),
            _ => None,
        };
        self.grant(chance, |backoff, chance| match (wish, named) {
            (Wish::AtOnce, _) => Duration::ZERO,
            (Wish::Backoff, Some(span)) => backoff::jittered(span, chance.random()),
            (Wish::Backoff, None) => backoff.next(chance.random()),
        })
    }

    /// Another try beside one that has met its timeout and goes on: whatever the conditions, as long as there are tries
    /// left. Source: Envoy, `shouldHedgeRetryPerTryTimeout`.
    pub fn judge_hedge(&mut self, chance: &mut impl Chance) -> Verdict {
        if self.on.is_empty() {
            return Verdict::Stands;
        }
        self.grant(chance, |backoff, chance| backoff.next(chance.random()))
    }

    /// Whether a try that ended so would be tried again, had it not been already.
    pub fn would_retry(&self, failure: Failure<'_>) -> bool {
        self.wish(failure).is_some()
    }

    /// A try that the cluster has no room for is used up all the same, as in Envoy.
    fn grant<C: Chance>(
        &mut self,
        chance: &mut C,
        wait: impl FnOnce(&mut Backoff, &mut C) -> Duration,
    ) -> Verdict {
        if self.left == 0 {
            return Verdict::Exhausted;
        }
        self.left -= 1;
        if !chance.admit() {
            return Verdict::Overflow;
        }
        Verdict::Again(wait(&mut self.backoff, chance))
    }

    fn wish(&self, failure: Failure<'_>) -> Option<Wish> {
        match failure {
            Failure::Response { status, headers } => self.wish_after_response(status, headers),
            Failure::Reset { reason, on_wire } => {
                would_retry_reset(self.on, Some(reason), on_wire).then_some(Wish::Backoff)
            }
            // Envoy resets the try locally, which is no connect failure; the request was on its way.
            Failure::PerTryTimeout => {
                would_retry_reset(self.on, None, true).then_some(Wish::Backoff)
            }
        }
    }

    /// What a rate limiter has refused counts for nothing but that.
    fn wish_after_response(&self, status: u16, headers: &HeaderMap) -> Option<Wish> {
        let limited = self.on.contains(RetryOn::ENVOY_RATELIMITED);
        let wish = self.wish_by_answer(status, headers);
        // The header is looked for only where it makes a difference.
        if (limited || wish.is_some()) && headers.contains_key(&RATE_LIMITED) {
            return limited.then_some(Wish::Backoff);
        }
        wish
    }

    fn wish_by_answer(&self, status: u16, headers: &HeaderMap) -> Option<Wish> {
        let on = self.on;
        let by_status = (on.contains(RetryOn::SERVER_ERROR) && (500..600).contains(&status))
            || (on.contains(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504))
            || (on.contains(RetryOn::RETRIABLE_4XX) && status == 409);
        if by_status {
            return Some(Wish::Backoff);
        }
        if on.contains(RetryOn::RETRIABLE_STATUS_CODES) && self.policy.codes.contains(&status) {
            // Too early: the next one is not. Source: Envoy, `wouldRetryFromHeaders`.
            return Some(if status == 425 {
                Wish::AtOnce
            } else {
                Wish::Backoff
            });
        }
        let by_header = on.contains(RetryOn::RETRIABLE_HEADERS) && self.names_a_header(headers);
        (by_header || would_retry_grpc(on, headers)).then_some(Wish::Backoff)
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

/// How a retry is wanted.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Backoff,
    AtOnce,
}

/// A gRPC status in the headers: a response without a message. One in the trailers comes too late.
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

/// `None`: reset by the proxy itself.
fn would_retry_reset(on: RetryOn, reason: Option<ResetReason>, on_wire: bool) -> bool {
    // One more try would meet the same limit.
    if reason == Some(ResetReason::Overflow) {
        return false;
    }
    let connect_failure = reason.is_some_and(ResetReason::is_connect_failure);
    (on.contains(RetryOn::CONNECT_FAILURE) && connect_failure)
        || (on.contains(RetryOn::RESET_BEFORE_REQUEST) && !on_wire)
        || (on.contains(RetryOn::REFUSED_STREAM)
            && reason == Some(ResetReason::RemoteRefusedStreamReset))
        // Envoy counts a reset as the 5xx that it would become.
        || on.contains(RetryOn::RESET)
        || on.contains(RetryOn::SERVER_ERROR)
        || on.contains(RetryOn::GATEWAY_ERROR)
}

#[cfg(test)]
mod tests;
