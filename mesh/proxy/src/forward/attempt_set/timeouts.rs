//! Timeouts of attempts and of the whole request.

use shakedown_types::ResponseFlags;

use super::verdict::RetryInputs;
use super::{AttemptSet, NextStep};
use crate::outlier::AttemptOutcome;
use crate::respond::LocalReply;
use crate::retry::{AttemptFailure, RetryDecision};

impl AttemptSet<'_> {
    pub(super) fn try_timeout(&mut self, number: u32, idle: bool) -> Result<NextStep, LocalReply> {
        let Some(index) = self.open.iter().position(|open| open.number == number) else {
            return Ok(NextStep::Wait);
        };
        if self.plan.hedge.on_per_try_timeout {
            self.soft_timeout(index);
            return Ok(NextStep::Wait);
        }
        let open = self.open.remove(index);
        self.observe(&open, AttemptOutcome::TimedOut);
        let verdict = self.verdict(&open, AttemptFailure::PerTryTimeout);
        self.record.end_attempt(number, ResponseFlags::UT);
        if matches!(verdict, RetryDecision::Again(_)) || self.others_may_answer() {
            return Ok(NextStep::Drop(number));
        }
        let exhausted = verdict == RetryDecision::Exhausted;
        Err(if idle {
            LocalReply::PerTryIdleTimeout { exhausted }
        } else {
            LocalReply::PerTryTimeout { exhausted }
        })
    }

    /// Keeps the attempt open, and schedules a hedge beside it. Source: Envoy, `Filter::onSoftPerTryTimeout`.
    fn soft_timeout(&mut self, index: usize) {
        let open = &mut self.open[index];
        (open.timeout_at, open.idle_at) = (None, None);
        open.timed_out = true;
        let health = open.host.health();
        self.plan.upstream.observe(health, AttemptOutcome::TimedOut);
        self.permit = None;
        let verdict = match &mut self.retries {
            Some(retries) if self.outgoing.is_repeatable() => {
                retries.judge_hedge(&mut RetryInputs {
                    shared: self.shared,
                    breaker: self.plan.upstream.breaker(self.plan.action.priority),
                    permit: &mut self.permit,
                })
            }
            _ => RetryDecision::Stands,
        };
        self.open[index].superseded = matches!(verdict, RetryDecision::Again(_));
        self.follow(verdict);
    }

    pub(super) fn route_timeout(&mut self) -> LocalReply {
        for open in std::mem::take(&mut self.open) {
            if !open.timed_out {
                self.observe(&open, AttemptOutcome::TimedOut);
            }
            self.record.end_attempt(open.number, ResponseFlags::UT);
        }
        LocalReply::RouteTimeout
    }
}
