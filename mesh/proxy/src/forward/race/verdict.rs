//! The retry decision after a failed attempt.

use rand_core::Rng as _;
use shakedown_env::UnixTime;
use shakedown_types::ResponseFlags;

use super::{Open, Race};
use crate::breaker::{Breaker, RetryPermit};
use crate::retry::{Chance, Failure, Verdict};
use crate::shared::Shared;

impl Race<'_> {
    /// Asks the retry policy about a failed attempt, and schedules the retry. An attempt that a hedge has already replaced is not
    /// retried.
    pub(super) fn verdict(&mut self, open: &Open, failure: Failure<'_>) -> Verdict {
        if open.superseded || !self.outgoing.is_repeatable() {
            return Verdict::Stands;
        }
        let Some(retries) = &mut self.retries else {
            return Verdict::Stands;
        };
        // The permit of the last retry is released before another is acquired.
        self.permit = None;
        let verdict = retries.judge(
            failure,
            &mut Surroundings {
                shared: self.shared,
                breaker: self.plan.upstream.breaker(self.plan.action.priority),
                permit: &mut self.permit,
            },
        );
        self.follow(verdict);
        verdict
    }

    pub(super) fn follow(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Again(wait) => self.retry_at = Some(self.shared.env.now() + wait),
            Verdict::Overflow => self.record.flag(ResponseFlags::UO),
            Verdict::Exhausted => self.record.flag(ResponseFlags::URX),
            Verdict::Stands => {}
        }
    }
}

/// The inputs of a retry decision.
pub(super) struct Surroundings<'a> {
    pub(super) shared: &'a Shared,
    pub(super) breaker: &'a Breaker,
    pub(super) permit: &'a mut Option<RetryPermit>,
}

impl Chance for Surroundings<'_> {
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
