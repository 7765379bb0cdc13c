//! When a request is sent again while its tries are still open, because none has answered for a while.
//!
//! A plain decider: it knows the policy and when the last try began. Envoy's own hedging, a second try when the first meets
//! its per-try timeout, is a matter of [`retry`](crate::retry); the first good answer wins in either case.

use shakedown_env::Time;
use shakedown_xds::table::HedgePolicy;

/// The hedges of one request.
#[derive(Clone, Copy, Debug)]
pub struct Hedges {
    policy: HedgePolicy,
    begun: u32,
    last: Option<Time>,
}

impl Hedges {
    /// A request under this policy, not tried yet.
    pub fn new(policy: HedgePolicy) -> Hedges {
        Hedges {
            policy,
            begun: 0,
            last: None,
        }
    }

    /// A try has begun; the wait counts from there.
    pub fn try_begun(&mut self, now: Time) {
        self.last = Some(now);
    }

    /// When the next one is due, if no answer comes before.
    pub fn due(&self) -> Option<Time> {
        let after = self.policy.after?;
        let last = self.last.filter(|_| self.may_follow())?;
        Some(last + after)
    }

    /// One is due: it begins now, or never.
    pub fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
    }

    /// There will be no more: nobody can take one, or the budget is spent.
    pub fn stop(&mut self) {
        self.begun = self.policy.times;
    }

    /// Whether another may follow, so that the request must be kept.
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
    fn a_hedge_is_due_a_delay_after_the_last_try_began_until_there_were_enough() {
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
