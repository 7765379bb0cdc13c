//! Tests of the timeouts of a request.

use http::{HeaderMap, HeaderValue};
use shakedown_xds::table::{GrpcTimeout, RetryOn, RetryPolicy, WeightedCluster};

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn action(per_try: Option<u64>, route: Option<u64>) -> RouteAction {
    let mut action = RouteAction::new(vec![WeightedCluster::new("a", 1)]).unwrap();
    action.timeout = route.map(ms);
    action.retry = Some(
        RetryPolicy {
            on: RetryOn::RESET,
            per_try_timeout: per_try.map(ms),
            ..RetryPolicy::default()
        }
        .into(),
    );
    action
}

fn bounds(action: &RouteAction) -> AttemptTimeouts {
    AttemptTimeouts::for_route(action, None, &HeaderMap::new())
}

fn per_try(per_try: Option<u64>, route: Option<u64>) -> Option<Duration> {
    bounds(&action(per_try, route)).per_try
}

#[test]
fn a_per_try_timeout_not_shorter_than_the_routes_is_none() {
    assert_eq!(per_try(Some(100), Some(100)), None);
    assert_eq!(per_try(Some(99), Some(100)), Some(ms(99)));
    assert_eq!(per_try(Some(99), None), Some(ms(99)));
}

#[test]
fn a_timeout_of_zero_is_none() {
    let bounds =
        AttemptTimeouts::for_route(&action(Some(0), Some(0)), Some(ms(0)), &HeaderMap::new());
    assert_eq!(
        (bounds.per_try, bounds.route, bounds.idle),
        (None, None, None)
    );
    assert_eq!(bounds.expected(ms(5)), None);
}

#[test]
fn the_upstream_gets_the_shorter_of_per_try_and_remaining_route_timeout() {
    let remaining = |per_try, route, elapsed| {
        let expected = bounds(&action(per_try, route)).expected(ms(elapsed));
        expected.map(|span| span.as_millis())
    };
    assert_eq!(remaining(None, None, 0), None);
    assert_eq!(remaining(None, Some(900), 0), Some(900));
    assert_eq!(remaining(Some(300), Some(900), 100), Some(300));
    assert_eq!(remaining(Some(300), Some(900), 700), Some(200));
    assert_eq!(remaining(Some(300), None, 700), Some(300));
    assert_eq!(remaining(None, Some(900), 1000), Some(0));
}

#[test]
fn with_hedging_on_per_try_timeout_the_upstream_gets_the_route_timeout() {
    let mut action = action(Some(300), Some(900));
    action.hedge.on_per_try_timeout = true;
    assert_eq!(bounds(&action).expected(ms(100)), Some(ms(800)));
}

fn of_grpc(max: u64, offset: u64, timeout: Option<&'static str>) -> Option<Duration> {
    let mut action = action(None, Some(700));
    action.grpc_timeout = Some(GrpcTimeout {
        max: ms(max),
        offset: ms(offset),
    });
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    if let Some(timeout) = timeout {
        headers.insert("grpc-timeout", HeaderValue::from_static(timeout));
    }
    AttemptTimeouts::for_route(&action, None, &headers).route
}

#[test]
fn a_grpc_timeout_header_overrides_the_route_timeout_up_to_the_maximum() {
    assert_eq!(of_grpc(1000, 0, Some("500m")), Some(ms(500)));
    assert_eq!(of_grpc(1000, 0, Some("2S")), Some(ms(1000)));
    assert_eq!(of_grpc(1000, 0, None), Some(ms(1000)));
    assert_eq!(of_grpc(0, 0, Some("2S")), Some(ms(2000)));
    assert_eq!(of_grpc(0, 0, None), None);
    assert_eq!(of_grpc(0, 100, Some("500m")), Some(ms(400)));
    assert_eq!(
        of_grpc(0, 500, Some("500m")),
        Some(ms(500)),
        "nothing would be left"
    );
}

#[test]
fn a_caller_that_speaks_no_grpc_has_the_routes_timeout() {
    let mut action = action(None, Some(700));
    action.grpc_timeout = Some(GrpcTimeout {
        max: ms(100),
        offset: ms(0),
    });
    assert_eq!(bounds(&action).route, Some(ms(700)));
}
