//! Timeouts of attempts and of the whole request.

use shakedown_types::ResponseFlags;

use super::verdict::Surroundings;
use super::{Race, Step};
use crate::outlier::Outcome;
use crate::respond::Reject;
use crate::retry::{Failure, Verdict};

impl Race<'_> {
    pub(super) fn try_timeout(&mut self, number: u32, idle: bool) -> Result<Step, Reject> {
        let Some(index) = self.open.iter().position(|open| open.number == number) else {
            return Ok(Step::Wait);
        };
        if self.plan.hedge.on_per_try_timeout {
            self.soft_timeout(index);
            return Ok(Step::Wait);
        }
        let open = self.open.remove(index);
        self.observe(&open, Outcome::TimedOut);
        let verdict = self.verdict(&open, Failure::PerTryTimeout);
        self.record.end_attempt(number, ResponseFlags::UT);
        if matches!(verdict, Verdict::Again(_)) || self.others_may_answer() {
            return Ok(Step::Drop(number));
        }
        let exhausted = verdict == Verdict::Exhausted;
        Err(if idle {
            Reject::PerTryIdleTimeout { exhausted }
        } else {
            Reject::PerTryTimeout { exhausted }
        })
    }

    /// Keeps the attempt open, and schedules a hedge beside it. Source: Envoy, `Filter::onSoftPerTryTimeout`.
    fn soft_timeout(&mut self, index: usize) {
        let open = &mut self.open[index];
        (open.timeout_at, open.idle_at) = (None, None);
        open.timed_out = true;
        let health = open.host.health();
        self.plan.upstream.observe(health, Outcome::TimedOut);
        self.permit = None;
        let verdict = match &mut self.retries {
            Some(retries) if self.outgoing.is_repeatable() => {
                retries.judge_hedge(&mut Surroundings {
                    shared: self.shared,
                    breaker: self.plan.upstream.breaker(self.plan.action.priority),
                    permit: &mut self.permit,
                })
            }
            _ => Verdict::Stands,
        };
        self.open[index].superseded = matches!(verdict, Verdict::Again(_));
        self.follow(verdict);
    }

    pub(super) fn route_timeout(&mut self) -> Reject {
        for open in std::mem::take(&mut self.open) {
            if !open.timed_out {
                self.observe(&open, Outcome::TimedOut);
            }
            self.record.end_attempt(open.number, ResponseFlags::UT);
        }
        Reject::RouteTimeout
    }
}
