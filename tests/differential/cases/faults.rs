//! Cases of injected faults and local rate limits.

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, HttpStatus, TokenBucket};
use shakedown_xds::proto::pack;

use crate::case::{Case, Xds, get, grpc, host, mesh, xds};
use crate::messages::{ms, wrapped};
use crate::upstream::{Manner, OK, status};

const RATE_LIMIT: &str = "envoy.filters.http.local_ratelimit";

pub(super) fn cases() -> Vec<Case> {
    let mut all = faults();
    all.extend(limits());
    all
}

/// Delays every request.
pub(super) fn delayed(x: &mut Xds, span: u64) {
    use shakedown_xds::proto::fault::HttpFault;
    use shakedown_xds::proto::fault_delay::FaultDelay;
    use shakedown_xds::proto::fault_delay::fault_delay::FaultDelaySecifier;
    let delay = FaultDelay {
        percentage: Some(FractionalPercent {
            numerator: 100,
            denominator: 0,
        }),
        fault_delay_secifier: ms(span).map(FaultDelaySecifier::FixedDelay),
    };
    let fault = HttpFault {
        delay: Some(delay),
        ..Default::default()
    };
    x.add_filter(shakedown_xds::proto::FAULT, pack(&fault));
}

fn faults() -> Vec<Case> {
    let of = |name: &'static str, fault: &str| {
        mesh(name).routes(&format!("[{{fault: {{{fault}}}, TO_APP}}]"))
    };
    vec![
        of("fault: an abort", "abort: {httpStatus: 555, percentage: {value: 100}}").get("/").wants("555 FI"),
        of("fault: an abort, to gRPC", "abort: {httpStatus: 503, percentage: {value: 100}}")
            .send(grpc("/service/method"))
            .wants("200 FI"),
        of("fault: an abort by gRPC's status", "abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}")
            .send(grpc("/service/method"))
            .get("/")
            .wants("200 FI, 200 FI"),
        of("fault: an abort of none", "abort: {httpStatus: 555, percentage: {value: 0}}").get("/").wants("200 -"),
        of("fault: a delay", "delay: {fixedDelay: 0.1s, percentage: {value: 100}}").get("/").wants("200 DI"),
        of("fault: a delay of none", "delay: {fixedDelay: 5s, percentage: {value: 0}}").get("/").wants("200 -"),
        of(
            "fault: a delay and an abort",
            "delay: {fixedDelay: 0.1s, percentage: {value: 100}}, abort: {httpStatus: 400, percentage: {value: 100}}",
        )
        .get("/")
        .wants("400 DI,FI"),
        of("fault: a delay before an app's failure", "delay: {fixedDelay: 0.1s, percentage: {value: 100}}")
            .app(&[status(503)])
            .get("/")
            .wants("503 DI"),
        of("fault: the caller goes in the delay", "delay: {fixedDelay: 2s, percentage: {value: 100}}")
            .send(get("/").leaves_after(150))
            .wants("0 DI,DC"),
        mesh("fault: an abort is not tried again")
            .routes(
                "[{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 3, retryOn: '5xx'}, TO_APP}]",
            )
            .get("/")
            .wants("503 FI"),
        mesh("fault: a delay is not of the route's timeout")
            .routes("[{fault: {delay: {fixedDelay: 0.3s, percentage: {value: 100}}}, timeout: 0.2s, TO_APP}]")
            .get("/")
            .wants("200 DI"),
        mesh("fault: a delay and then no endpoint")
            .routes("[{fault: {delay: {fixedDelay: 0.1s, percentage: {value: 100}}}, TO_APP}]")
            .empty("app")
            .get("/")
            .wants("503 DI,UH"),
        mesh("fault: a delay and then a refused connect")
            .routes("[{fault: {delay: {fixedDelay: 0.1s, percentage: {value: 100}}}, retries: {attempts: 0}, TO_APP}]")
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 DI,UF"),
        of("fault: half of the requests", "abort: {httpStatus: 555, percentage: {value: 50}}").get("/").shares(300),
    ]
}

/// A bucket of this number of tokens, which is not refilled for an hour.
fn bucket(tokens: u32) -> LocalRateLimit {
    let always = || RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator: 100,
            denominator: 0,
        }),
        ..Default::default()
    };
    LocalRateLimit {
        stat_prefix: "limit".into(),
        token_bucket: Some(TokenBucket {
            max_tokens: tokens,
            tokens_per_fill: wrapped(tokens),
            fill_interval: ms(3_600_000),
        }),
        filter_enabled: Some(always()),
        filter_enforced: Some(always()),
        ..Default::default()
    }
}

fn listener_wide(x: &mut Xds, limit: &LocalRateLimit) {
    x.add_filter(RATE_LIMIT, pack(limit));
}

/// Adds the filter without a bucket, and a bucket on the route.
fn of_route(x: &mut Xds, limit: &LocalRateLimit) {
    listener_wide(
        x,
        &LocalRateLimit {
            stat_prefix: "none".into(),
            ..Default::default()
        },
    );
    x.host().routes[0].typed_per_filter_config =
        [(RATE_LIMIT.to_owned(), pack(limit))].into_iter().collect();
}

fn limits() -> Vec<Case> {
    vec![
        xds("rate limit: two of the listener", |x| {
            listener_wide(x, &bucket(2))
        })
        .get("/")
        .get("/")
        .get("/")
        .wants("200 -, 200 -, 429 RL"),
        xds("rate limit: one of a route", |x| of_route(x, &bucket(1)))
            .get("/")
            .get("/")
            .wants("200 -, 429 RL"),
        xds("rate limit: to gRPC", |x| of_route(x, &bucket(1)))
            .send(grpc("/service/method"))
            .send(grpc("/service/method"))
            .wants("200 -, 200 RL"),
        xds("rate limit: a route's bucket is not the listener's", |x| {
            let mut other = crate::messages::to("/free", "app");
            other.name = "free".into();
            of_route(x, &bucket(1));
            x.host().routes.insert(0, other);
        })
        .get("/")
        .get("/free")
        .get("/free")
        .get("/")
        .wants("200 -, 200 -, 200 -, 429 RL"),
        xds("rate limit: another status and headers", |x| {
            use shakedown_xds::proto::core::{HeaderValue, HeaderValueOption};
            let mut limit = bucket(1);
            limit.status = Some(HttpStatus { code: 503 });
            limit.response_headers_to_add = vec![HeaderValueOption {
                header: Some(HeaderValue {
                    key: "x-limited".into(),
                    value: "yes".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }];
            of_route(x, &limit);
        })
        .get("/")
        .get("/")
        .wants("200 -, 503 RL"),
        xds("rate limit: a bucket for each connection", |x| {
            let mut limit = bucket(1);
            limit.local_rate_limit_per_downstream_connection = true;
            of_route(x, &limit);
        })
        .get("/")
        .get("/")
        .wants("200 -, 200 -"),
        xds("rate limit: looked at and not enforced", |x| {
            let mut limit = bucket(1);
            limit.filter_enforced = None;
            of_route(x, &limit);
        })
        .get("/")
        .get("/")
        .wants("200 -, 200 -"),
        xds("rate limit: not enabled", |x| {
            let mut limit = bucket(1);
            limit.filter_enabled = None;
            of_route(x, &limit);
        })
        .get("/")
        .get("/")
        .wants("200 -, 200 -"),
        xds("rate limit: a bucket fills again", |x| {
            let mut limit = bucket(1);
            limit.token_bucket.as_mut().expect("set").fill_interval = ms(200);
            of_route(x, &limit);
        })
        .get("/")
        .get("/")
        .pause(300)
        .get("/")
        .wants("200 -, 429 RL, 200 -"),
        xds("rate limit: gRPC's resource exhausted, if so asked", |x| {
            let mut limit = bucket(1);
            limit.rate_limited_as_resource_exhausted = true;
            of_route(x, &limit);
        })
        .send(grpc("/service/method"))
        .send(grpc("/service/method"))
        .wants("200 -, 200 RL"),
        xds("rate limit: its headers, if so asked", |x| {
            let mut limit = bucket(2);
            limit.enable_x_ratelimit_headers = 1;
            of_route(x, &limit);
        })
        .app(&[OK])
        .get("/")
        .get("/")
        .get("/")
        .wants("200 -, 200 -, 429 RL"),
    ]
}
