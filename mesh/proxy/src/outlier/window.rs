//! When the balancer hears of a change of health: at once if none came of late, else together with those that follow.
//!
//! A change within the window after the last one is held back for a whole window, and takes those after it along. So a
//! first ejection counts at once, and one soon after it up to a window later.
//! Source: Envoy, `ClusterManagerImpl::scheduleUpdate`; seen in Envoy 1.40.

use std::time::Duration;

use shakedown_env::Time;

/// When the changes of one cluster are taken in.
#[derive(Debug, Default)]
pub struct MergeWindow {
    last: Option<Time>,
    due: Option<Time>,
}

/// When a change is to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now.
    Now,
    /// Then; call [`MergeWindow::taken_in`] when it has been.
    At(Time),
    /// With what is already waiting.
    Waiting,
}

impl MergeWindow {
    /// A host's health changed. With a window of zero nothing is ever held back.
    pub fn changed(&mut self, now: Time, window: Duration) -> When {
        // Envoy compares whole milliseconds, and asks for more than the window.
        let within = self
            .last
            .is_some_and(|last| now.since(last).as_millis() <= window.as_millis());
        if window.is_zero() || !within {
            self.taken_in(now);
            return When::Now;
        }
        if self.due.is_some() {
            return When::Waiting;
        }
        self.due = Some(now + window);
        When::At(now + window)
    }

    /// Everything has been taken in: what waited has come, or hosts came or went, which never waits.
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
        assert_eq!(merge.changed(at(5), WINDOW), When::Now);
    }

    #[test]
    fn a_change_within_the_window_waits_a_whole_window_and_takes_others_along() {
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(300), WINDOW), When::At(at(1300)));
        assert_eq!(merge.changed(at(900), WINDOW), When::Waiting);
        merge.taken_in(at(1300));
        assert_eq!(
            merge.changed(at(1301), WINDOW),
            When::At(at(2301)),
            "what was taken in late counts as the last change"
        );
    }

    #[test]
    fn the_window_ends_a_millisecond_late() {
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(1000), WINDOW), When::At(at(2000)));
        let mut merge = MergeWindow::default();
        merge.changed(at(0), WINDOW);
        assert_eq!(merge.changed(at(1001), WINDOW), When::Now);
    }

    #[test]
    fn without_a_window_nothing_waits() {
        let mut merge = MergeWindow::default();
        for millis in [0, 0, 1] {
            assert_eq!(merge.changed(at(millis), Duration::ZERO), When::Now);
        }
    }
}
