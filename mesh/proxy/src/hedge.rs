//! Delayed hedging: sends a request again if its attempts have not been answered for a while.
//!
//! The inputs are the policy and the start of the last attempt. Envoy's own hedging, a second attempt when the first
//! reaches its per-try timeout, is part of [`retry`](crate::retry). In either case the first good response wins.

use shakedown_env::Time;
use shakedown_xds::table::HedgePolicy;

/// The hedging state of one request.
#[derive(Clone, Copy, Debug)]
pub struct Hedges {
    policy: HedgePolicy,
    begun: u32,
    last: Option<Time>,
}

impl Hedges {
    /// Creates the state before the first attempt.
    pub fn new(policy: HedgePolicy) -> Hedges {
        Hedges {
            policy,
            begun: 0,
            last: None,
        }
    }

    /// Records the start of an attempt, from which the delay counts.
    pub fn try_begun(&mut self, now: Time) {
        self.last = Some(now);
    }

    /// The time at which the next hedge is due if no response arrives before.
    pub fn due(&self) -> Option<Time> {
        let after = self.policy.after?;
        let last = self.last.filter(|_| self.may_follow())?;
        Some(last + after)
    }

    /// Counts the hedge that is due, which starts now or is skipped.
    pub fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
    }

    /// Prevents further hedges. Called if no host can take one, or if the budget is exhausted.
    pub fn stop(&mut self) {
        self.begun = self.policy.times;
    }

    /// Returns true if another hedge is possible, so that the request must be kept.
    pub fn may_follow(&self) -> bool {
        self.policy.after.is_some() && self.begun < self.policy.times
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn hedges(times: u32) -> Hedges {
        Hedges::new(HedgePolicy {
            after: Some(Duration::from_millis(50)),
            times,
            ..HedgePolicy::default()
        })
    }

    #[test]
    fn hedges_are_due_a_delay_after_the_last_try_until_the_maximum() {
        let mut hedges = hedges(2);
        assert_eq!(hedges.due(), None, "nothing has been tried");
        hedges.try_begun(at(10));
        assert_eq!(hedges.due(), Some(at(60)));
        hedges.begin();
        hedges.try_begun(at(60));
        assert_eq!(hedges.due(), Some(at(110)));
        hedges.begin();
        assert_eq!(hedges.due(), None);
    }

    #[test]
    fn without_a_delay_none_is_ever_due() {
        let mut hedges = Hedges::new(HedgePolicy::default());
        hedges.try_begun(at(0));
        assert_eq!(hedges.due(), None);
    }

    #[test]
    fn none_is_due_after_a_stop() {
        let mut hedges = hedges(9);
        hedges.try_begun(at(0));
        hedges.stop();
        assert_eq!((hedges.due(), hedges.may_follow()), (None, false));
    }
}
