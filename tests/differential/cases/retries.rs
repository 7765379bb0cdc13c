//! Cases of retries: conditions, counts and the headers of retried requests.

use shakedown_xds::proto::matcher::StringMatcher;
use shakedown_xds::proto::matcher::string_matcher::MatchPattern;
use shakedown_xds::proto::route::header_matcher::HeaderMatchSpecifier;
use shakedown_xds::proto::route::{HeaderMatcher, HedgePolicy, RetryPolicy};

use crate::case::{Case, Xds, get, grpc, host, mesh, post, request, xds};
use crate::messages::{ms, wrapped};
use crate::upstream::{Act, Manner, OK, status};

/// The result of the first attempt.
const MEETS: [(&str, Act); 9] = [
    ("500", status(500)),
    ("502", status(502)),
    ("503", status(503)),
    ("504", status(504)),
    ("409", status(409)),
    (
        "429 by a rate limiter",
        Act::Reply(429, &[("x-envoy-ratelimited", "true")], "slow"),
    ),
    ("a close", Act::Close),
    ("a reset", Act::Reset(0)),
    ("its own timeout", Act::Hang),
];

/// The results that each condition retries, in the order of `MEETS`.
const CONDITIONS: [(&str, [bool; 9]); 9] = [
    (
        "5xx",
        [true, true, true, true, false, false, true, true, true],
    ),
    (
        "gateway-error",
        [false, true, true, true, false, false, true, true, true],
    ),
    (
        "reset",
        [false, false, false, false, false, false, true, true, true],
    ),
    (
        "reset-before-request",
        [
            false, false, false, false, false, false, false, false, false,
        ],
    ),
    ("connect-failure", [false; 9]),
    ("refused-stream", [false; 9]),
    (
        "retriable-4xx",
        [false, false, false, false, true, false, false, false, false],
    ),
    (
        "envoy-ratelimited",
        [false, false, false, false, false, true, false, false, false],
    ),
    (
        "503",
        [false, false, true, false, false, false, false, false, false],
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut all = conditions();
    all.extend(istio());
    all.extend(policies());
    all.extend(grpc_conditions());
    all
}

/// Combines every condition with every result of an attempt.
fn conditions() -> Vec<Case> {
    let mut all = Vec::new();
    for (condition, again) in CONDITIONS {
        for ((what, act), again) in MEETS.into_iter().zip(again) {
            let name = format!("retry on {condition}: {what}");
            let wants = match (again, act) {
                (true, _) => "200 -".to_owned(),
                (_, Act::Reply(status, ..)) => format!("{status} -"),
                (_, Act::Hang) => "504 UT".to_owned(),
                _ => "503 UC".to_owned(),
            };
            let routes = format!(
                "[{{TO_APP, retries: {{attempts: 1, perTryTimeout: 0.15s, retryOn: '{condition}'}}}}]"
            );
            all.push(
                mesh(name.leak())
                    .routes(&routes)
                    .app(&[act, OK])
                    .get("/")
                    .wants(wants.leak()),
            );
        }
    }
    all
}

fn istio() -> Vec<Case> {
    vec![
        mesh("by default a 503 is not tried again").app(&[status(503), OK]).get("/").wants("503 -"),
        mesh("by default a refused connect is tried elsewhere")
            .host(host("a").is(Manner::Refuses))
            .host(host("b"))
            .get("/")
            .shares(40),
        mesh("by default a close is not tried again").app(&[Act::Close, OK]).get("/").wants("503 UC"),
        mesh("attempts 0 is none")
            .routes("[{TO_APP, retries: {attempts: 0}}]")
            .app(&[status(503), OK])
            .get("/")
            .wants("503 -"),
        mesh("three attempts are four tries")
            .routes("[{TO_APP, retries: {attempts: 3, retryOn: '5xx'}}]")
            .app(&[status(503), status(502), status(500), OK])
            .get("/")
            .wants("200 -"),
        mesh("the last failure is the answer")
            .routes("[{TO_APP, retries: {attempts: 2, retryOn: '5xx'}}]")
            .app(&[status(503), status(502), status(500), OK])
            .get("/")
            .wants("500 URX"),
        mesh("several conditions")
            .routes("[{TO_APP, retries: {attempts: 2, retryOn: 'retriable-4xx,5xx'}}]")
            .app(&[status(409), status(500), OK])
            .get("/")
            .wants("200 -"),
        mesh("several statuses")
            .routes("[{TO_APP, retries: {attempts: 2, retryOn: '418,404'}}]")
            .app(&[status(404), status(418), OK])
            .get("/")
            .wants("200 -"),
        mesh("a close and then the app's failure")
            .routes("[{TO_APP, retries: {attempts: 2, retryOn: '5xx'}}]")
            .app(&[Act::Close, status(503)])
            .get("/")
            .wants("503 URX"),
        mesh("a body is sent again")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]")
            .app(&[status(503), OK])
            .send(post("/", "hello again"))
            .wants("200 -"),
        mesh("a chunked body is sent again")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]")
            .app(&[status(503), OK])
            .send(crate::case::raw(
                "POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            ))
            .wants("200 -"),
        mesh("a body too large to keep is not sent again")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]")
            .app(&[status(503), OK])
            .send(post("/", &"x".repeat(1_500_000)))
            .wants("503 -"),
        mesh("what began is not tried again")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx,reset'}}]")
            .app(&[Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "123"]), OK])
            .get("/")
            .wants("200 UPE"),
        mesh("the route's timeout covers all tries")
            .routes("[{TO_APP, timeout: 0.3s, retries: {attempts: 9, perTryTimeout: 0.2s, retryOn: '5xx'}}]")
            .app(&[Act::Hang])
            .get("/")
            .wants("504 UT"),
        mesh("a POST is tried again, too")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: gateway-error}}]")
            .app(&[status(502), OK])
            .send(request("POST", "/"))
            .wants("200 -"),
        mesh("what the caller asks of retries counts for nothing")
            .app(&[status(503), OK])
            .send(get("/").header("x-envoy-retry-on", "5xx").header("x-envoy-max-retries", "3"))
            .wants("503 -"),
        mesh("two hosts: the retry goes to the other")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]")
            .host(host("a").does(&[status(503)]))
            .host(host("b"))
            .get("/")
            .shares(200),
    ]
}

fn on(x: &mut Xds, conditions: &str, times: u32) {
    x.action().retry_policy = Some(RetryPolicy {
        retry_on: conditions.into(),
        num_retries: wrapped(times),
        ..Default::default()
    });
}

fn policy(x: &mut Xds) -> &mut RetryPolicy {
    x.action().retry_policy.as_mut().expect("it was set")
}

fn policies() -> Vec<Case> {
    vec![
        xds("a policy without a number: one retry", |x| {
            x.action().retry_policy = Some(RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
        })
        .app(&[status(503), status(503), OK])
        .get("/")
        .wants("503 URX"),
        xds("a virtual host's policy", |x| {
            x.host().retry_policy = Some(RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("a route's policy before its virtual host's", |x| {
            x.host().retry_policy = Some(RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
            on(x, "connect-failure", 1);
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("503 -"),
        xds("upstreams are told which try it is", |x| {
            x.host().include_request_attempt_count = true;
            on(x, "5xx", 2);
        })
        .app(&[status(503), status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("the caller is told how many tries", |x| {
            x.host().include_attempt_count_in_response = true;
            on(x, "5xx", 2);
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("the caller is told how many tries of a local reply", |x| {
            x.host().include_attempt_count_in_response = true;
            on(x, "5xx", 1);
        })
        .app(&[Act::Close])
        .get("/")
        .wants("503 URX,UC"),
        xds("a header that asks for a retry", |x| {
            on(x, "retriable-headers", 1);
            policy(x).retriable_headers = vec![exact("x-again", "yes")];
        })
        .app(&[Act::Reply(200, &[("x-again", "yes")], "not yet"), OK])
        .get("/")
        .wants("200 -"),
        xds("only requests with this header are tried again", |x| {
            on(x, "5xx", 1);
            policy(x).retriable_request_headers = vec![exact("x-may", "yes")];
        })
        .app(&[status(503)])
        .get("/")
        .send(get("/").header("x-may", "yes"))
        .wants("503 -, 503 URX"),
        xds("a rate limiter says when to come back", |x| {
            use shakedown_xds::proto::route::retry_policy::{RateLimitedRetryBackOff, ResetHeader};
            on(x, "retriable-status-codes", 1);
            policy(x).retriable_status_codes = vec![429];
            policy(x).rate_limited_retry_back_off = Some(RateLimitedRetryBackOff {
                reset_headers: vec![ResetHeader {
                    name: "retry-after".into(),
                    format: 0,
                }],
                max_interval: ms(10_000),
            });
            x.action().timeout = ms(700);
        })
        .app(&[Act::Reply(429, &[("retry-after", "1")], "later"), OK])
        .get("/")
        .wants("504 UT"),
        xds("a backoff of the route's own", |x| {
            use shakedown_xds::proto::route::retry_policy::RetryBackOff;
            on(x, "5xx", 3);
            policy(x).retry_back_off = Some(RetryBackOff {
                base_interval: ms(1),
                max_interval: ms(2),
            });
        })
        .app(&[status(503), status(503), status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("the retry limit is zero: UO", |x| {
            on(x, "5xx", 1);
            x.cluster("app").circuit_breakers = super::breakers::retries(0);
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("503 UO"),
        xds("a budget of nothing: UO", |x| {
            on(x, "5xx", 1);
            x.cluster("app").circuit_breakers = super::breakers::budget(0.0, 0);
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("503 UO"),
        xds("a budget's least concurrency", |x| {
            on(x, "5xx", 1);
            x.cluster("app").circuit_breakers = super::breakers::budget(0.0, 1);
        })
        .app(&[status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("a request that overflows is not tried again", |x| {
            on(x, "5xx", 3);
            x.cluster("app").circuit_breakers = super::breakers::requests(0);
        })
        .get("/")
        .wants("503 UO"),
        xds("no endpoint is not tried again", |x| on(x, "5xx", 3))
            .empty("app")
            .get("/")
            .wants("503 UH"),
        xds("what an internal caller asks of retries counts", |x| {
            x.manager.use_remote_address =
                Some(shakedown_xds::proto::protobuf::BoolValue { value: true });
            x.manager.internal_address_config = super::headers::loopback_is_internal();
        })
        .app(&[status(503), OK])
        .send(
            get("/")
                .header("x-envoy-retry-on", "5xx")
                .header("x-envoy-max-retries", "1"),
        )
        .wants("200 -"),
        xds("hedged on a try's timeout: the first answer wins", |x| {
            on(x, "5xx", 1);
            policy(x).per_try_timeout = ms(100);
            x.action().hedge_policy = Some(HedgePolicy {
                hedge_on_per_try_timeout: true,
                ..Default::default()
            });
        })
        .app(&[
            Act::Late(400, &Act::Reply(200, &[], "late")),
            Act::Reply(200, &[], "hedge"),
        ])
        .get("/")
        .wants("200 -"),
        xds(
            "hedged on a try's timeout: the first try may still win",
            |x| {
                on(x, "5xx", 1);
                policy(x).per_try_timeout = ms(100);
                x.action().hedge_policy = Some(HedgePolicy {
                    hedge_on_per_try_timeout: true,
                    ..Default::default()
                });
            },
        )
        .app(&[Act::Late(150, &Act::Reply(200, &[], "first")), Act::Hang])
        .get("/")
        .wants("200 -"),
        xds("hedged on a try's timeout: none answers", |x| {
            on(x, "5xx", 1);
            x.action().timeout = ms(400);
            policy(x).per_try_timeout = ms(100);
            x.action().hedge_policy = Some(HedgePolicy {
                hedge_on_per_try_timeout: true,
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .get("/")
        .wants("504 URX,UT"),
        xds("a try that is idle for too long", |x| {
            on(x, "5xx", 1);
            policy(x).per_try_idle_timeout = ms(100);
        })
        .app(&[Act::Hang, OK])
        .get("/")
        .wants("200 -"),
    ]
}

/// Cases of gRPC statuses in response headers.
fn grpc_conditions() -> Vec<Case> {
    let rows: [(&str, &str); 7] = [
        ("cancelled", "1"),
        ("deadline-exceeded", "4"),
        ("resource-exhausted", "8"),
        ("internal", "13"),
        ("unavailable", "14"),
        ("unavailable", "2"),
        ("5xx", "14"),
    ];
    rows.into_iter()
        .map(|(condition, code)| {
            let name = format!("retry on {condition}: grpc-status {code}");
            let trailers: &'static [(&'static str, &'static str)] =
                vec![("grpc-status", code)].leak();
            let routes = format!("[{{TO_APP, retries: {{attempts: 1, retryOn: '{condition}'}}}}]");
            let fine = Act::Grpc("", &[("grpc-status", "0")]);
            let case = mesh(name.leak())
                .routes(&routes)
                .app(&[Act::Grpc("", trailers), fine]);
            case.send(grpc("/service/method")).wants("200 -")
        })
        .collect()
}

fn exact(name: &str, value: &str) -> HeaderMatcher {
    let matcher = StringMatcher {
        match_pattern: Some(MatchPattern::Exact(value.into())),
        ignore_case: false,
    };
    HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matcher)),
        ..Default::default()
    }
}
