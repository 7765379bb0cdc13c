//! CPU time of a pod. It advances with the environment's time, except while the pod is paused. Work is
//! measured in CPU time, timers are not: a stopped process (SIGSTOP) computes nothing, but its timers still
//! expire.

use std::cell::Cell;
use std::time::Duration;

use shakedown_env::{Env, Time};

/// The CPU clock of one pod, across restarts.
#[derive(Debug, Default)]
pub(crate) struct CpuClock {
    /// Total length of all completed pauses.
    paused: Cell<Duration>,
    paused_since: Cell<Option<Time>>,
}

impl CpuClock {
    /// Converts a time of the environment to CPU time. During a pause the result is constant.
    pub(crate) fn at(&self, now: Time) -> Time {
        self.paused_since.get().unwrap_or(now) - self.paused.get()
    }

    pub(crate) fn pause(&self, now: Time) {
        if self.paused_since.get().is_none() {
            self.paused_since.set(Some(now));
        }
    }

    pub(crate) fn resume(&self, now: Time) {
        if let Some(since) = self.paused_since.take() {
            self.paused.set(self.paused.get() + now.since(since));
        }
    }

    /// Completes after `span` of CPU time.
    pub(crate) async fn spend(&self, env: &Env, span: Duration) {
        let end = self.at(env.now()) + span;
        let mut sleep = env.sleep(span);
        loop {
            sleep.as_mut().await;
            let now = env.now();
            let left = end.since(self.at(now));
            if left.is_zero() {
                return;
            }
            // The pod was paused meanwhile.
            sleep.as_mut().reset(now + left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_does_not_pass_in_a_pause() {
        let at = Time::from_nanos;
        let clock = CpuClock::default();
        clock.pause(at(4));
        clock.pause(at(6));
        assert_eq!([4, 90].map(|now| clock.at(at(now))), [at(4), at(4)]);
        clock.resume(at(100));
        clock.resume(at(101));
        assert_eq!([100, 106].map(|now| clock.at(at(now))), [at(4), at(10)]);
    }
}
