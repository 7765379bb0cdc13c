//! Tests of retries, hedging and timeouts of routes.

use super::*;

/// Compiles a route with this retry policy, and returns the policy.
fn retry_policy(policy: route::RetryPolicy) -> Result<Option<crate::table::RetryPolicy>, String> {
    let action = route::RouteAction {
        retry_policy: Some(policy),
        ..to_cluster()
    };
    let table = compile_routes(&routes(action)).map_err(|error| error.to_string())?;
    match &table.hosts()[0].routes[0].action {
        crate::table::RouteActionKind::Forward(action) => Ok(action.retry.as_deref().cloned()),
        other => panic!("no way on: {other:?}"),
    }
}

#[test]
fn a_retry_policy_is_read_whole() {
    use crate::table::{ResetFormat, RetryOn};
    use route::retry_policy::{RateLimitedRetryBackOff, ResetHeader};
    let named = |name: &str| route::HeaderMatcher {
        name: name.into(),
        ..Default::default()
    };
    let policy = retry_policy(route::RetryPolicy {
        retry_on: "5xx,retriable-headers,envoy-ratelimited".into(),
        num_retries: number(0),
        per_try_idle_timeout: Some(protobuf::Duration {
            seconds: 2,
            nanos: 0,
        }),
        retriable_headers: vec![named("x-again")],
        retriable_request_headers: vec![named("x-safe")],
        rate_limited_retry_back_off: Some(RateLimitedRetryBackOff {
            reset_headers: vec![ResetHeader {
                name: "x-ratelimit-reset".into(),
                format: 1,
            }],
            max_interval: None,
        }),
        ..Default::default()
    });
    let policy = policy.unwrap().unwrap();
    assert!(policy.on.contains(RetryOn::RETRIABLE_HEADERS));
    assert_eq!(
        (
            policy.times,
            policy.headers.len(),
            policy.request_headers.len()
        ),
        (0, 1, 1)
    );
    assert_eq!(policy.per_try_idle_timeout.unwrap().as_secs(), 2);
    let limited = policy.rate_limited.unwrap();
    assert_eq!(limited.max_interval.as_secs(), 300);
    assert_eq!(limited.headers[0].format, ResetFormat::UnixTimestamp);
}

#[test]
fn a_policy_without_conditions_is_kept_for_its_timeouts_alone() {
    assert!(
        retry_policy(route::RetryPolicy::default())
            .unwrap()
            .is_none()
    );
    let bounds = route::RetryPolicy {
        per_try_timeout: Some(protobuf::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    assert!(retry_policy(bounds).unwrap().unwrap().on.is_empty());
}

#[test]
fn hedging_priority_and_idle_timeout_are_taken_over() {
    let compiled = compile_routes(&routes(route::RouteAction {
        hedge_policy: Some(route::HedgePolicy {
            hedge_on_per_try_timeout: true,
            ..Default::default()
        }),
        priority: core::RoutingPriority::High.into(),
        idle_timeout: Some(protobuf::Duration::default()),
        ..to_cluster()
    }));
    let table = compiled.unwrap();
    let crate::table::RouteActionKind::Forward(action) = &table.hosts()[0].routes[0].action else {
        panic!("no way on")
    };
    assert!(action.hedge.on_per_try_timeout);
    assert_eq!(action.priority, crate::table::Priority::High);
    assert_eq!(action.idle_timeout, Some(std::time::Duration::ZERO));
    let more = route::HedgePolicy {
        initial_requests: number(2),
        ..Default::default()
    };
    assert_eq!(
        routes_error(&routes(route::RouteAction {
            hedge_policy: Some(more),
            ..to_cluster()
        })),
        "RouteConfiguration r: virtual_hosts[0].routes[0].route.hedge_policy.initial_requests: not supported yet: 2; expected 1"
    );
}

#[test]
fn what_a_route_does_not_say_of_hedging_its_virtual_host_says() {
    let hedge = |on| {
        Some(route::HedgePolicy {
            hedge_on_per_try_timeout: on,
            ..Default::default()
        })
    };
    let of = |own: Option<route::HedgePolicy>| {
        let mut message = routes(route::RouteAction {
            hedge_policy: own,
            ..to_cluster()
        });
        message.virtual_hosts[0].hedge_policy = hedge(true);
        let table = compile_routes(&message).unwrap();
        let action = table.hosts()[0].routes[0].forward().unwrap();
        action.hedge.on_per_try_timeout
    };
    assert!(of(None));
    assert!(!of(hedge(false)), "the route's own counts whole");
}
