//! The retry decision after a failed attempt.

use rand::Rng as _;
use shakedown_env::UnixTime;
use shakedown_types::ResponseFlags;

use super::{AttemptSet, OpenAttempt};
use crate::breaker::{CircuitBreaker, RetryPermit};
use crate::retry::{AttemptFailure, RetryChance, RetryDecision};
use crate::shared::Shared;

impl AttemptSet<'_> {
    /// Asks the retry policy about a failed attempt, and schedules the retry. An attempt that a hedge has already replaced is not
    /// retried.
    pub(super) fn verdict(
        &mut self,
        open: &OpenAttempt,
        failure: AttemptFailure<'_>,
    ) -> RetryDecision {
        if open.superseded || !self.outgoing.is_repeatable() {
            return RetryDecision::Stands;
        }
        let Some(retries) = &mut self.retries else {
            return RetryDecision::Stands;
        };
        // The permit of the last retry is released before another is acquired.
        self.permit = None;
        let verdict = retries.judge(
            failure,
            &mut RetryInputs {
                shared: self.shared,
                breaker: self.plan.upstream.breaker(self.plan.action.priority),
                permit: &mut self.permit,
            },
        );
        self.follow(verdict);
        verdict
    }

    pub(super) fn follow(&mut self, verdict: RetryDecision) {
        match verdict {
            RetryDecision::Again(wait) => self.retry_at = Some(self.shared.env.now() + wait),
            RetryDecision::Overflow => self.record.flag(ResponseFlags::UO),
            RetryDecision::Exhausted => self.record.flag(ResponseFlags::URX),
            RetryDecision::Stands => {}
        }
    }
}

/// The inputs of a retry decision.
pub(super) struct RetryInputs<'a> {
    pub(super) shared: &'a Shared,
    pub(super) breaker: &'a CircuitBreaker,
    pub(super) permit: &'a mut Option<RetryPermit>,
}

impl RetryChance for RetryInputs<'_> {
    fn admit(&mut self) -> bool {
        *self.permit = self.breaker.retry();
        self.permit.is_some()
    }

    fn random(&mut self) -> u64 {
        self.shared.random.backoffs.borrow_mut().next_u64()
    }

    fn unix_time(&self) -> UnixTime {
        self.shared.env.unix_time()
    }
}
