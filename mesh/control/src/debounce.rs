//! Debouncing of pushes: a change is pushed after a quiet period, and at the latest after a hundred times that period.
//! Source: Istio's `PILOT_DEBOUNCE_AFTER` (100 ms) and `PILOT_DEBOUNCE_MAX` (10 s).

use std::time::Duration;

use shakedown_env::Time;

/// The maximum delay of a change while others keep arriving, in quiet periods.
const MAX_QUIET_TIMES: u32 = 100;

/// Decides when to push. The caller supplies the time.
#[derive(Clone, Debug)]
pub struct Debounce {
    quiet: Duration,
    /// The times of the first and the last change that have not been pushed.
    burst: Option<(Time, Time)>,
}

impl Debounce {
    /// A debouncer that pushes once `quiet` has passed without a change.
    pub fn new(quiet: Duration) -> Debounce {
        Debounce { quiet, burst: None }
    }

    /// Records a change.
    pub fn changed(&mut self, now: Time) {
        self.burst = Some(match self.burst {
            Some((first, _)) => (first, now),
            None => (now, now),
        });
    }

    /// The time at which the push is due; `None` if no change is pending.
    pub fn due(&self) -> Option<Time> {
        let (first, last) = self.burst?;
        let latest = first + self.quiet.saturating_mul(MAX_QUIET_TIMES);
        Some((last + self.quiet).min(latest))
    }

    /// Records that the pending changes were pushed.
    pub fn pushed(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    #[test]
    fn a_lone_change_is_pushed_after_the_quiet_time() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        assert_eq!(debounce.due(), None);
        debounce.changed(ms(5));
        assert_eq!(debounce.due(), Some(ms(105)));
        debounce.pushed();
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn each_change_starts_the_quiet_time_anew() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        debounce.changed(ms(0));
        debounce.changed(ms(60));
        assert_eq!(debounce.due(), Some(ms(160)));
    }

    #[test]
    fn changes_that_never_stop_are_pushed_after_a_hundred_quiet_times() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        for at in (0..=9_990).step_by(10) {
            debounce.changed(ms(at));
        }
        assert_eq!(debounce.due(), Some(ms(10_000)));
    }

    #[test]
    fn without_a_quiet_time_a_change_is_due_at_once() {
        let mut debounce = Debounce::new(Duration::ZERO);
        debounce.changed(ms(7));
        assert_eq!(debounce.due(), Some(ms(7)));
    }
}
