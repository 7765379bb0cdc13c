//! Tests of every condition, the limit, and the backoff.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use shakedown_xds::table::{
    HeaderKey, HeaderMatcher, RateLimitedBackOff, ResetFormat, ResetHeader, ValueMatcher,
};

use super::*;

fn policy(on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        on,
        codes: vec![429],
        times: 2,
        ..RetryPolicy::default()
    }
}

/// A cluster that admits this number of retries.
struct Room(u32);

impl RetryChance for Room {
    fn admit(&mut self) -> bool {
        let room = self.0 > 0;
        self.0 -= u32::from(room);
        room
    }

    fn random(&mut self) -> u64 {
        0
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_nanos(0)
    }
}

fn retries(on: RetryOn, failure: AttemptFailure<'_>) -> bool {
    retries_under(&policy(on), failure)
}

fn retries_under(policy: &RetryPolicy, failure: AttemptFailure<'_>) -> bool {
    let headers = HeaderMap::new();
    let verdict = RetryState::new(policy, || request(&headers)).judge(failure, &mut Room(1));
    matches!(verdict, RetryDecision::Again(_))
}

fn request(headers: &HeaderMap) -> RequestView<'_> {
    RequestView {
        method: "GET",
        path: "/",
        authority: "a",
        scheme: "http",
        headers,
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

fn status(on: RetryOn, status: u16) -> bool {
    retries(
        on,
        AttemptFailure::Response {
            status,
            headers: &HeaderMap::new(),
        },
    )
}

fn reset(on: RetryOn, reason: ResetReason, on_wire: bool) -> bool {
    retries(on, AttemptFailure::Reset { reason, on_wire })
}

const REFUSED: ResetReason = ResetReason::RemoteConnectionFailure;
const CLOSED: ResetReason = ResetReason::ConnectionTermination;

#[test]
fn statuses_are_retried_by_their_conditions_alone() {
    let table = [
        (
            RetryOn::SERVER_ERROR,
            vec![500, 501, 502, 503, 504, 505, 599],
        ),
        (RetryOn::GATEWAY_ERROR, vec![502, 503, 504]),
        (RetryOn::RETRIABLE_4XX, vec![409]),
        (RetryOn::RETRIABLE_STATUS_CODES, vec![429]),
        (RetryOn::CONNECT_FAILURE, vec![]),
    ];
    for (on, retried) in table {
        for code in [
            200, 301, 404, 409, 429, 499, 500, 501, 502, 503, 504, 505, 599, 600,
        ] {
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
fn termination_after_the_request_is_neither_connect_failure_nor_reset_before_request() {
    assert!(!reset(RetryOn::CONNECT_FAILURE, CLOSED, true));
    assert!(!reset(RetryOn::RESET_BEFORE_REQUEST, CLOSED, true));
    assert!(reset(RetryOn::RESET_BEFORE_REQUEST, CLOSED, false));
    assert!(reset(RetryOn::RESET, CLOSED, true));
}

#[test]
fn per_try_timeouts_are_retried_only_by_5xx_gateway_error_and_reset() {
    let timeout = |on| retries(on, AttemptFailure::PerTryTimeout);
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
        let failure = AttemptFailure::Response {
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
    let failure = AttemptFailure::Response {
        status: 503,
        headers: &headers,
    };
    assert!(!retries(RetryOn::SERVER_ERROR, failure));
    assert!(retries(RetryOn::ENVOY_RATELIMITED, failure));
}

#[test]
fn an_overflow_is_never_retried() {
    for on in RetryOn::ALL {
        assert!(!reset(on.1, ResetReason::Overflow, false), "{}", on.0);
    }
}

#[test]
fn a_refused_stream_is_retried_by_refused_stream_and_by_reset() {
    let refused = ResetReason::RemoteRefusedStreamReset;
    assert!(reset(RetryOn::REFUSED_STREAM, refused, true));
    assert!(reset(RetryOn::RESET, refused, true));
    assert!(!reset(
        RetryOn::REFUSED_STREAM,
        ResetReason::RemoteReset,
        true
    ));
    assert!(!reset(RetryOn::CONNECT_FAILURE, refused, true));
}

#[test]
fn an_answer_with_a_header_that_the_policy_names_is_retried() {
    let mut policy = policy(RetryOn::RETRIABLE_HEADERS);
    policy.headers = vec![matcher("x-again")];
    let answer = |map: &HeaderMap| {
        let failure = AttemptFailure::Response {
            status: 200,
            headers: map,
        };
        retries_under(&policy, failure)
    };
    assert!(answer(&headers(&[("x-again", "yes")])));
    assert!(!answer(&headers(&[("x-other", "yes")])));
    policy.on = RetryOn::SERVER_ERROR;
    let failure = AttemptFailure::Response {
        status: 200,
        headers: &headers(&[("x-again", "yes")]),
    };
    assert!(
        !retries_under(&policy, failure),
        "headers alone are no condition"
    );
}

#[test]
fn a_request_that_the_policy_leaves_out_is_never_retried() {
    let mut policy = policy(RetryOn::SERVER_ERROR);
    policy.request_headers = vec![matcher("x-safe")];
    let verdict = |map: &HeaderMap| {
        let mut retries = RetryState::new(&policy, || request(map));
        let may = retries.may_follow();
        (
            may,
            retries.judge(AttemptFailure::PerTryTimeout, &mut Room(1)),
        )
    };
    let safe = headers(&[("x-safe", "1")]);
    assert_eq!(verdict(&safe), (true, RetryDecision::Again(Duration::ZERO)));
    assert_eq!(verdict(&HeaderMap::new()), (false, RetryDecision::Stands));
}

#[test]
fn one_of_the_policys_request_headers_is_enough() {
    let mut policy = policy(RetryOn::SERVER_ERROR);
    policy.request_headers = vec![matcher("x-safe"), matcher("x-again")];
    let map = headers(&[("x-again", "1")]);
    assert!(RetryState::new(&policy, || request(&map)).may_follow());
}

fn matcher(name: &'static str) -> HeaderMatcher {
    HeaderMatcher {
        name: HeaderKey::named(name).unwrap(),
        value: ValueMatcher::Present(true),
        invert: false,
        missing_is_empty: false,
    }
}

#[test]
fn too_early_is_retried_at_once() {
    struct NoWait;
    impl RetryChance for NoWait {
        fn admit(&mut self) -> bool {
            true
        }
        fn random(&mut self) -> u64 {
            panic!("nothing to draw for")
        }
        fn unix_time(&self) -> UnixTime {
            panic!("no time is asked")
        }
    }
    let mut policy = policy(RetryOn::RETRIABLE_STATUS_CODES);
    policy.codes = vec![425];
    let none = HeaderMap::new();
    let failure = AttemptFailure::Response {
        status: 425,
        headers: &none,
    };
    let verdict = RetryState::new(&policy, || request(&none)).judge(failure, &mut NoWait);
    assert_eq!(verdict, RetryDecision::Again(Duration::ZERO));
}

#[test]
fn retries_end_and_a_good_answer_stands() {
    let policy = policy(RetryOn::SERVER_ERROR);
    let none = HeaderMap::new();
    let mut retries = RetryState::new(&policy, || request(&none));
    let mut judge = |status| {
        let failure = AttemptFailure::Response {
            status,
            headers: &none,
        };
        retries.judge(failure, &mut Room(9))
    };
    assert!(matches!(judge(500), RetryDecision::Again(_)));
    assert!(matches!(judge(500), RetryDecision::Again(_)));
    assert_eq!(judge(200), RetryDecision::Stands);
    assert_eq!(judge(500), RetryDecision::Exhausted);
}

#[test]
fn a_policy_of_no_retries_is_exhausted_at_once() {
    // Envoy 1.40: `num_retries: 0` marks a 5xx with URX.
    let mut policy = policy(RetryOn::SERVER_ERROR);
    policy.times = 0;
    let none = HeaderMap::new();
    let mut retries = RetryState::new(&policy, || request(&none));
    assert!(!retries.may_follow());
    assert_eq!(
        retries.judge(AttemptFailure::PerTryTimeout, &mut Room(9)),
        RetryDecision::Exhausted
    );
}

#[test]
fn a_retry_without_room_overflows_and_is_used_up() {
    let policy = policy(RetryOn::SERVER_ERROR);
    let none = HeaderMap::new();
    let mut retries = RetryState::new(&policy, || request(&none));
    let mut judge = |room| retries.judge(AttemptFailure::PerTryTimeout, &mut Room(room));
    assert_eq!(judge(0), RetryDecision::Overflow);
    assert_eq!(judge(1), RetryDecision::Again(Duration::ZERO));
    assert_eq!(judge(1), RetryDecision::Exhausted);
}

#[test]
fn a_hedge_asks_no_condition_but_counts_as_a_retry() {
    let policy = policy(RetryOn::CONNECT_FAILURE);
    let none = HeaderMap::new();
    let mut retries = RetryState::new(&policy, || request(&none));
    assert!(matches!(
        retries.judge_hedge(&mut Room(1)),
        RetryDecision::Again(_)
    ));
    assert_eq!(retries.judge_hedge(&mut Room(0)), RetryDecision::Overflow);
    assert_eq!(retries.judge_hedge(&mut Room(1)), RetryDecision::Exhausted);
}

#[test]
fn a_request_that_is_never_retried_is_not_hedged_either() {
    let policy = policy(RetryOn::NONE);
    let none = HeaderMap::new();
    let mut retries = RetryState::new(&policy, || request(&none));
    assert_eq!(retries.judge_hedge(&mut Room(1)), RetryDecision::Stands);
}

#[test]
fn a_named_wait_is_lengthened_at_random() {
    struct Drawn;
    impl RetryChance for Drawn {
        fn admit(&mut self) -> bool {
            true
        }
        fn random(&mut self) -> u64 {
            700
        }
        fn unix_time(&self) -> UnixTime {
            UnixTime::from_nanos(0)
        }
    }
    let mut policy = policy(RetryOn::RETRIABLE_STATUS_CODES);
    policy.rate_limited = Some(RateLimitedBackOff {
        headers: vec![ResetHeader {
            name: http::header::RETRY_AFTER,
            format: ResetFormat::Seconds,
        }],
        max_interval: Duration::from_secs(300),
    });
    let map = headers(&[("retry-after", "3")]);
    let failure = AttemptFailure::Response {
        status: 429,
        headers: &map,
    };
    let verdict = RetryState::new(&policy, || request(&map)).judge(failure, &mut Drawn);
    assert_eq!(verdict, RetryDecision::Again(Duration::from_millis(3_700)));
}

#[test]
fn an_answer_that_names_its_wait_is_waited_for() {
    let mut policy = policy(RetryOn::RETRIABLE_STATUS_CODES);
    policy.rate_limited = Some(RateLimitedBackOff {
        headers: vec![ResetHeader {
            name: http::header::RETRY_AFTER,
            format: ResetFormat::Seconds,
        }],
        max_interval: Duration::from_secs(300),
    });
    let map = headers(&[("retry-after", "3")]);
    let failure = AttemptFailure::Response {
        status: 429,
        headers: &map,
    };
    let mut retries = RetryState::new(&policy, || request(&map));
    let verdict = retries.judge(failure, &mut Room(1));
    assert_eq!(verdict, RetryDecision::Again(Duration::from_secs(3)));
}

fn failure() -> impl Strategy<Value = (u8, u16)> {
    (0..4u8, 100..600u16)
}

proptest! {
    #[test]
    fn no_events_make_more_tries_than_allowed(
        bits in prop::collection::vec(any::<bool>(), RetryOn::ALL.len()),
        times in 0..6u32,
        room in 0..6u32,
        failures in prop::collection::vec(failure(), 0..40),
    ) {
        let on = RetryOn::ALL.iter().zip(bits).filter(|(_, on)| *on)
            .fold(RetryOn::NONE, |all, ((_, one), _)| all.with(*one));
        let mut policy = policy(on);
        policy.times = times;
        let none = HeaderMap::new();
        let mut retries = RetryState::new(&policy, || request(&none));
        let mut chance = Room(room);
        let mut again = 0;
        for (kind, status) in failures {
            let verdict = match kind {
                0 => retries.judge(AttemptFailure::Response { status, headers: &none }, &mut chance),
                1 => retries.judge(AttemptFailure::Reset { reason: REFUSED, on_wire: false }, &mut chance),
                2 => retries.judge(AttemptFailure::PerTryTimeout, &mut chance),
                _ => retries.judge_hedge(&mut chance),
            };
            again += u32::from(matches!(verdict, RetryDecision::Again(_)));
        }
        prop_assert!(again <= times.min(room));
    }
}
