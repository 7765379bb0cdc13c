//! Cases of circuit breakers: admitted, queued and refused requests.

use shakedown_xds::proto::cluster::CircuitBreakers;
use shakedown_xds::proto::cluster::circuit_breakers::Thresholds;
use shakedown_xds::proto::cluster::circuit_breakers::thresholds::RetryBudget;
use shakedown_xds::proto::core::RoutingPriority;

use crate::case::{Case, get, grpc, host, mesh, xds};
use crate::client::ClientRequest;
use crate::messages::wrapped;
use crate::upstream::{Act, OK, status};

const SLOW: Act = Act::Late(300, &OK);

pub(super) fn cases() -> Vec<Case> {
    let mut all = istio();
    all.extend(envoy());
    all
}

/// The given number of requests at short intervals.
fn several(count: u64) -> Vec<ClientRequest> {
    (0..count).map(|nth| get("/").after(nth * 30)).collect()
}

fn pool(fields: &str) -> String {
    format!("trafficPolicy: {{connectionPool: {{{fields}}}}}")
}

fn istio() -> Vec<Case> {
    vec![
        mesh("one connection, one that waits: the third is refused")
            .rule(&pool("tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}"))
            .app(&[SLOW])
            .together(several(3))
            .wants("200 -, 200 -, 503 UO"),
        mesh("one connection, many that wait")
            .rule(&pool("tcp: {maxConnections: 1}"))
            .app(&[Act::Late(60, &OK)])
            .together(several(4))
            .wants("200 -, 200 -, 200 -, 200 -"),
        mesh("one request, and no queue: the rest is refused")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .app(&[SLOW])
            .together(several(3))
            .wants("200 -, 503 UO, 503 UO"),
        mesh("one connection for two hosts: each has one")
            .rule(&pool("tcp: {maxConnections: 1}"))
            .host(host("a").does(&[SLOW]))
            .host(host("b").does(&[SLOW]))
            .together(several(2))
            .any_host()
            .wants("200 -, 200 -"),
        mesh("what overflows is not tried again")
            .routes("[{TO_APP, retries: {attempts: 3, retryOn: '5xx'}}]")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .app(&[SLOW])
            .together(several(2))
            .wants("200 -, 503 UO"),
        mesh("a breaker is free again when its request is over")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .get("/")
            .get("/")
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        mesh("a breaker is free again when its caller has gone")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .app(&[Act::Hang, OK])
            .send(get("/").leaves_after(150))
            .pause(100)
            .get("/")
            .wants("0 DC, 200 -"),
        mesh("a breaker is free again after a timeout")
            .routes("[{TO_APP, timeout: 0.15s}]")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .app(&[Act::Hang, OK])
            .get("/")
            .get("/")
            .wants("504 UT, 200 -"),
        mesh("to gRPC an overflow is unavailable")
            .rule(&pool("http: {http2MaxRequests: 1}"))
            .app(&[SLOW])
            .together(vec![grpc("/service/method"), grpc("/service/method").after(50)])
            .wants("200 UO, 200 -"),
        mesh("requests of one connection, as many as are allowed")
            .rule(&pool("http: {maxRequestsPerConnection: 1}"))
            .get("/")
            .get("/")
            .wants("200 -, 200 -"),
        mesh("one who waits and times out")
            .routes("[{TO_APP, timeout: 0.15s}]")
            .rule(&pool("tcp: {maxConnections: 1}"))
            .app(&[Act::Late(400, &OK)])
            .together(several(2))
            .wants("504 UT, 504 UT"),
        mesh("a subset has limits of its own")
            .rule(
                "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}]",
            )
            .routes(
                "[{match: [{uri: {prefix: /v1}}], route: [{destination: {host: app, subset: v1}}]}, {TO_APP}]",
            )
            .host(host("a").label("version", "v1").does(&[SLOW]))
            .together(vec![get("/v1"), get("/v1").after(30), get("/all").after(60), get("/all").after(90)])
            .wants("200 -, 200 -, 200 -, 503 UO"),
    ]
}

fn envoy() -> Vec<Case> {
    vec![
        xds("no request is allowed", |x| {
            x.cluster("app").circuit_breakers = requests(0)
        })
        .get("/")
        .wants("503 UO"),
        xds("no connection and nobody waits", |x| {
            let mut all = requests(10);
            let first = &mut all.as_mut().expect("set").thresholds[0];
            first.max_connections = wrapped(1);
            first.max_pending_requests = wrapped(0);
            x.cluster("app").circuit_breakers = all;
        })
        .app(&[SLOW])
        .together(several(2))
        .wants("503 UO, 503 UO"),
        xds("requests of high priority have limits of their own", |x| {
            let mut all = requests(0);
            let high = Thresholds {
                priority: RoutingPriority::High.into(),
                max_requests: wrapped(5),
                ..Default::default()
            };
            all.as_mut().expect("set").thresholds.push(high);
            x.cluster("app").circuit_breakers = all;
            let mut first = crate::messages::to("/high", "app");
            if let Some(shakedown_xds::proto::route::route::Action::Route(action)) =
                &mut first.action
            {
                action.priority = RoutingPriority::High.into();
            }
            x.host().routes.insert(0, first);
        })
        .get("/high")
        .get("/")
        .wants("200 -, 503 UO"),
        xds("without thresholds Envoy's hold", |_| {})
            .together(several(5))
            .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        xds("retries at one time: the second is refused", |x| {
            x.cluster("app").circuit_breakers = retries(1);
            x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
        })
        .app(&[status(503), SLOW, status(503), OK])
        .together(vec![get("/"), get("/").after(150)])
        .wants("200 -, 503 UO"),
    ]
}

fn one(thresholds: Thresholds) -> Option<CircuitBreakers> {
    Some(CircuitBreakers {
        thresholds: vec![thresholds],
        per_host_thresholds: Vec::new(),
    })
}

pub(super) fn requests(max: u32) -> Option<CircuitBreakers> {
    one(Thresholds {
        max_requests: wrapped(max),
        ..Default::default()
    })
}

pub(super) fn retries(max: u32) -> Option<CircuitBreakers> {
    one(Thresholds {
        max_retries: wrapped(max),
        ..Default::default()
    })
}

/// Limits retries by a retry budget.
pub(super) fn budget(percent: f64, least: u32) -> Option<CircuitBreakers> {
    let budget = RetryBudget {
        budget_percent: Some(envoy_types::pb::envoy::r#type::v3::Percent { value: percent }),
        min_retry_concurrency: wrapped(least),
        ..Default::default()
    };
    one(Thresholds {
        retry_budget: Some(budget),
        ..Default::default()
    })
}
