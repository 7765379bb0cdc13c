//! The bounds of a request in time.

use shakedown_config::table::{RetryOn, RetryPolicy, WeightedCluster};

use super::*;

fn bounds(per_try: Option<u64>, route: Option<u64>) -> Bounds {
    let target = WeightedCluster {
        cluster: "a".into(),
        weight: 1,
    };
    let mut action = RouteAction::new(vec![target]).unwrap();
    action.timeout = route.map(Duration::from_millis);
    action.retry = Some(RetryPolicy {
        on: RetryOn::RESET,
        codes: Vec::new(),
        times: 1,
        per_try_timeout: per_try.map(Duration::from_millis),
        base_interval: RetryPolicy::BASE_INTERVAL,
        max_interval: RetryPolicy::BASE_INTERVAL,
        avoid_previous_hosts: false,
        host_selection_attempts: 0,
    });
    Bounds::of(&action)
}

fn time(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

#[test]
fn a_try_meets_the_earlier_bound_and_the_routes_on_a_tie() {
    let bounds = bounds(Some(40), Some(100));
    let met = |now| bounds.deadline(time(now), Some(time(100))).unwrap();
    assert_eq!(
        met(0),
        Deadline {
            at: time(40),
            bound: Bound::Try
        }
    );
    assert_eq!(
        met(60),
        Deadline {
            at: time(100),
            bound: Bound::Route
        }
    );
    assert_eq!(
        met(80),
        Deadline {
            at: time(100),
            bound: Bound::Route
        }
    );
}

#[test]
fn a_per_try_timeout_not_shorter_than_the_routes_is_none() {
    assert_eq!(bounds(Some(100), Some(100)).per_try, None);
    assert_eq!(
        bounds(Some(99), Some(100)).per_try,
        Some(Duration::from_millis(99))
    );
    assert_eq!(
        bounds(Some(99), None).per_try,
        Some(Duration::from_millis(99))
    );
}

#[test]
fn a_timeout_of_zero_is_none() {
    assert_eq!(
        bounds(Some(0), Some(0)),
        Bounds {
            per_try: None,
            route: None
        }
    );
    assert_eq!(bounds(None, None).deadline(time(5), None), None);
}
