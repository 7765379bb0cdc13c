//! Slow start: the gradual increase of a new host's weight.

use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::SlowStart;

/// The factor of a host's weight at a time after it was added: `max(min, (age / window)^(1 / aggression))`. Times are
/// whole milliseconds, and at least one.
/// Source: Envoy, `EdfLoadBalancerBase::applySlowStartFactor`.
pub fn factor(slow: &SlowStart, since: Time, now: Time) -> f64 {
    let age = now.since(since).as_millis();
    let window = slow.window.as_millis();
    if age >= window {
        return 1.0;
    }
    let elapsed = age.max(1) as f64 / window as f64;
    let reached = if slow.aggression == 1.0 {
        elapsed
    } else {
        libm::pow(elapsed, 1.0 / slow.aggression)
    };
    reached.max(slow.min_weight)
}

/// Returns true if a host that was added at `since` may still be in slow start.
/// Source: Envoy, `EdfLoadBalancerBase::noHostsAreInSlowStart`.
pub fn is_on(window: Duration, since: Time, now: Time) -> bool {
    now.since(since).as_millis() <= window.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(aggression: f64) -> SlowStart {
        SlowStart {
            window: Duration::from_secs(60),
            aggression,
            min_weight: 0.1,
        }
    }

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_share_grows_from_a_tenth_to_all() {
        let share = |second: u64| factor(&slow(1.0), at(100), at(100 + second));
        assert_eq!(share(0), 0.1);
        assert_eq!(share(6), 0.1);
        assert_eq!(share(30), 0.5);
        assert_eq!(share(59), 59.0 / 60.0);
        assert_eq!(share(60), 1.0);
        assert_eq!(share(600), 1.0);
    }

    #[test]
    fn more_aggression_is_faster_at_first() {
        let share = |aggression| factor(&slow(aggression), at(0), at(15));
        assert_eq!(share(1.0), 0.25);
        assert_eq!(share(2.0), 0.5);
        assert!(share(0.5) < 0.11);
    }

    #[test]
    fn a_host_that_came_this_instant_is_a_millisecond_old() {
        let slow = SlowStart {
            min_weight: 0.0,
            ..slow(1.0)
        };
        assert_eq!(factor(&slow, at(100), at(100)), 1.0 / 60_000.0);
    }

    #[test]
    fn it_is_over_a_millisecond_after_the_window() {
        let window = Duration::from_secs(60);
        assert!(is_on(window, at(0), at(60)));
        assert!(!is_on(window, at(0), Time::from_nanos(60_001_000_000)));
    }
}
