//! Every condition, the limit, and the wait.

use http::{HeaderMap, HeaderValue};

use super::*;

fn policy(on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        on,
        codes: vec![429],
        times: 2,
        per_try_timeout: None,
        base_interval: Duration::from_millis(25),
        max_interval: Duration::from_millis(250),
        avoid_previous_hosts: false,
        host_selection_attempts: 0,
    }
}

fn retries(on: RetryOn, failure: Failure<'_>) -> bool {
    matches!(
        Retries::new(&policy(on)).judge(failure, || 0),
        Verdict::Again(_)
    )
}

fn status(on: RetryOn, status: u16) -> bool {
    retries(
        on,
        Failure::Response {
            status,
            headers: &HeaderMap::new(),
        },
    )
}

fn reset(on: RetryOn, reason: ResetReason, on_wire: bool) -> bool {
    retries(on, Failure::Reset { reason, on_wire })
}

const REFUSED: ResetReason = ResetReason::RemoteConnectionFailure;
const CLOSED: ResetReason = ResetReason::ConnectionTermination;

#[test]
fn statuses_are_retried_by_their_conditions_alone() {
    let table = [
        (RetryOn::SERVER_ERROR, vec![500, 502, 503, 504, 599]),
        (RetryOn::GATEWAY_ERROR, vec![502, 503, 504]),
        (RetryOn::RETRIABLE_4XX, vec![409]),
        (RetryOn::RETRIABLE_STATUS_CODES, vec![429]),
        (RetryOn::CONNECT_FAILURE, vec![]),
    ];
    for (on, retried) in table {
        for code in [200, 301, 404, 409, 429, 500, 502, 503, 504, 599] {
            assert_eq!(status(on, code), retried.contains(&code), "{on:?} {code}");
        }
    }
}

#[test]
fn a_refused_connection_counts_as_connect_failure_and_as_reset() {
    for on in [
        RetryOn::CONNECT_FAILURE,
        RetryOn::RESET,
        RetryOn::RESET_BEFORE_REQUEST,
        RetryOn::SERVER_ERROR,
        RetryOn::GATEWAY_ERROR,
    ] {
        assert!(reset(on, REFUSED, false), "{on:?}");
    }
    assert!(!reset(RetryOn::REFUSED_STREAM, REFUSED, false));
    assert!(reset(
        RetryOn::CONNECT_FAILURE,
        ResetReason::ConnectionTimeout,
        false
    ));
}

#[test]
fn a_termination_after_the_request_is_no_connect_failure_and_not_before_it() {
    assert!(!reset(RetryOn::CONNECT_FAILURE, CLOSED, true));
    assert!(!reset(RetryOn::RESET_BEFORE_REQUEST, CLOSED, true));
    assert!(reset(RetryOn::RESET_BEFORE_REQUEST, CLOSED, false));
    assert!(reset(RetryOn::RESET, CLOSED, true));
}

#[test]
fn a_per_try_timeout_is_retried_by_5xx_gateway_error_and_reset_only() {
    let timeout = |on| retries(on, Failure::PerTryTimeout);
    assert!(timeout(RetryOn::SERVER_ERROR));
    assert!(timeout(RetryOn::GATEWAY_ERROR));
    assert!(timeout(RetryOn::RESET));
    assert!(!timeout(RetryOn::CONNECT_FAILURE));
    assert!(!timeout(RetryOn::RESET_BEFORE_REQUEST));
    assert!(!timeout(RetryOn::RETRIABLE_STATUS_CODES));
}

#[test]
fn a_grpc_status_in_the_headers_is_retried_by_its_condition() {
    let table = [
        ("1", RetryOn::CANCELLED),
        ("4", RetryOn::DEADLINE_EXCEEDED),
        ("8", RetryOn::RESOURCE_EXHAUSTED),
        ("13", RetryOn::INTERNAL),
        ("14", RetryOn::UNAVAILABLE),
    ];
    for (code, on) in table {
        let headers = HeaderMap::from_iter([("grpc-status", code)].map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        }));
        let failure = Failure::Response {
            status: 200,
            headers: &headers,
        };
        assert!(retries(on, failure), "{code}");
        assert!(!retries(RetryOn::SERVER_ERROR, failure), "{code}");
    }
}

#[test]
fn an_answer_that_was_rate_limited_is_retried_only_when_asked() {
    let mut headers = HeaderMap::new();
    headers.insert("x-envoy-ratelimited", HeaderValue::from_static("true"));
    let failure = Failure::Response {
        status: 503,
        headers: &headers,
    };
    assert!(!retries(RetryOn::SERVER_ERROR, failure));
    assert!(retries(RetryOn::ENVOY_RATELIMITED, failure));
}

#[test]
fn retries_end_and_a_good_answer_stands() {
    let policy = policy(RetryOn::SERVER_ERROR);
    let mut retries = Retries::new(&policy);
    let headers = HeaderMap::new();
    let mut judge = |status| {
        retries.judge(
            Failure::Response {
                status,
                headers: &headers,
            },
            || 0,
        )
    };
    assert!(matches!(judge(500), Verdict::Again(_)));
    assert!(matches!(judge(500), Verdict::Again(_)));
    assert_eq!(judge(200), Verdict::Stands);
    assert_eq!(judge(500), Verdict::Exhausted);
}

#[test]
fn the_wait_doubles_in_range_up_to_ten_times_the_base() {
    let policy = policy(RetryOn::SERVER_ERROR);
    let longest = |number| {
        (0..5000)
            .map(|random| backoff(&policy, number, random))
            .max()
            .unwrap()
    };
    let ms = Duration::from_millis;
    assert_eq!(longest(1), ms(24));
    assert_eq!(longest(2), ms(74));
    assert_eq!(longest(3), ms(174));
    assert_eq!(longest(4), ms(250));
    assert_eq!(longest(64), ms(250));
    assert_eq!(longest(u32::MAX), ms(250));
    assert_eq!(backoff(&policy, 2, 75), ms(0), "the range is half open");
}
