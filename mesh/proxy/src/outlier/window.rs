//! The merge window of health changes: the time at which the balancer is rebuilt for a change.
//!
//! A change is applied at once if none was applied within the last window. Otherwise it is delayed by a whole window
//! and applied together with the changes that follow. So a first ejection is effective at once, and another soon after
//! it up to a window later.
//! Source: Envoy, `ClusterManagerImpl::scheduleUpdate`; observed in Envoy 1.40.

use std::time::Duration;

use shakedown_env::Time;

/// The merge window of one cluster.
#[derive(Debug, Default)]
pub struct MergeWindow {
    last: Option<Time>,
    due: Option<Time>,
}

/// The time at which a change is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeTime {
    /// Immediately.
    Now,
    /// At this time. [`MergeWindow::taken_in`] must be called after the change was applied.
    At(Time),
    /// Together with a change that is already delayed.
    Waiting,
}

impl MergeWindow {
    /// Records a change of a host's health. A window of zero never delays a change.
    pub fn changed(&mut self, now: Time, window: Duration) -> MergeTime {
        // Envoy compares whole milliseconds, and applies a change at once only after more than the window.
        let within = self
            .last
            .is_some_and(|last| now.since(last).as_millis() <= window.as_millis());
        if window.is_zero() || !within {
            self.taken_in(now);
            return MergeTime::Now;
        }
        if self.due.is_some() {
            return MergeTime::Waiting;
        }
        self.due = Some(now + window);
        MergeTime::At(now + window)
    }

    /// Records that all changes were applied: a delay ended, or hosts were added or removed, which is never delayed.
    pub fn taken_in(&mut self, now: Time) {
        self.last = Some(now);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_first_change_is_taken_in_at_once() {
        let mut merge = MergeWindow::default();
        assert_eq!(merge.changed(at(5), WINDOW), MergeTime::Now);
    }

    #[test]
    fn a_change_within_the_merge_window_waits_a_full_window_with_others() {
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(300), WINDOW), MergeTime::At(at(1300)));
        assert_eq!(merge.changed(at(900), WINDOW), MergeTime::Waiting);
        merge.taken_in(at(1300));
        assert_eq!(
            merge.changed(at(1301), WINDOW),
            MergeTime::At(at(2301)),
            "what was taken in late counts as the last change"
        );
    }

    #[test]
    fn the_window_ends_a_millisecond_late() {
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(1000), WINDOW), MergeTime::At(at(2000)));
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(1001), WINDOW), MergeTime::Now);
    }

    #[test]
    fn without_a_window_nothing_waits() {
        let mut merge = MergeWindow::default();
        for millis in [0, 0, 1] {
            assert_eq!(merge.changed(at(millis), Duration::ZERO), MergeTime::Now);
        }
    }
}
