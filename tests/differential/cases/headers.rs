//! Cases of headers that the proxy adds, keeps and removes.

use shakedown_xds::proto::core::{CidrRange, HeaderValue, HeaderValueOption};
use shakedown_xds::proto::manager::http_connection_manager::InternalAddressConfig;
use shakedown_xds::proto::protobuf::BoolValue;

use crate::case::{Case, Xds, get, inbound, mesh, xds};
use crate::client::ClientRequest;
use crate::messages::{ms, wrapped};
use crate::upstream::{Act, OK, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = plain();
    all.extend(internal());
    all.extend(steering());
    all.extend(of_inbound());
    all
}

/// Treats loopback addresses as internal.
pub(super) fn loopback_is_internal() -> Option<InternalAddressConfig> {
    Some(InternalAddressConfig {
        cidr_ranges: vec![CidrRange {
            address_prefix: "127.0.0.0".into(),
            prefix_len: wrapped(8),
        }],
        ..Default::default()
    })
}

fn many() -> ClientRequest {
    get("/")
        .header("proxy-authorization", "Basic x")
        .header("authorization", "y")
        .header("X-Mixed-Case", "Q")
        .header("te", "trailers")
        .header("x-forwarded-for", "1.2.3.4")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "h")
        .header("x-envoy-internal", "true")
        .header("x-envoy-expected-rq-timeout-ms", "5")
        .header("x-envoy-attempt-count", "7")
        .header("x-envoy-original-path", "/q")
        .header("x-envoy-original-host", "q")
        .header("x-envoy-original-url", "q")
        .header("x-envoy-downstream-service-node", "n")
        .header("x-envoy-upstream-rq-timeout-ms", "7777")
        .header("x-envoy-upstream-rq-per-try-timeout-ms", "7777")
        .header("x-envoy-decorator-operation", "z")
        .header("x-envoy-hedge-on-per-try-timeout", "true")
        .header("x-envoy-max-retries", "1")
        .header("x-envoy-retry-on", "5xx")
        .header("x-envoy-retry-grpc-on", "cancelled")
        .header("x-envoy-retriable-status-codes", "400")
        .header("x-envoy-downstream-service-cluster", "c")
        .header("x-envoy-upstream-alt-stat-name", "s")
        .header("x-envoy-ip-tags", "t")
        .header("x-envoy-external-address", "9.9.9.9")
        .header("x-envoy-force-trace", "true")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .header("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124")
}

fn hops() -> ClientRequest {
    get("/")
        .header("connection", "x-drop, keep-alive")
        .header("x-drop", "1")
        .header("keep-alive", "timeout=3")
        .header("proxy-connection", "keep-alive")
        .header("x-keep", "1")
}

fn option(key: &str, value: &str, action: i32) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        }),
        append_action: action,
        ..Default::default()
    }
}

fn plain() -> Vec<Case> {
    vec![
        mesh("what a plain request becomes").get("/a?b=c").wants("200 -"),
        mesh("an id is made where there is none")
            .send(crate::case::raw("GET / HTTP/1.1\r\nhost: app\r\n\r\n"))
            .wants("200 -"),
        mesh("an id that is none passes").send(get("/").header("x-request-id", "not-an-id")).wants("200 -"),
        mesh("all kinds of headers from an external caller").send(many()).wants("200 -"),
        mesh("headers of one hop are dropped").send(hops()).wants("200 -"),
        mesh("headers of one hop are dropped from the answer")
            .app(&[Act::Reply(200, &[("connection", "x-drop"), ("x-drop", "1"), ("keep-alive", "timeout=3"), ("x-keep", "1")], "ok")])
            .get("/")
            .wants("200 -"),
        mesh("the answer's own headers pass")
            .app(&[Act::Reply(200, &[("server", "app"), ("x-powered-by", "x"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("x-envoy-upstream-service-time", "999")], "ok")])
            .get("/")
            .wants("200 -"),
        mesh("the answer's headers that Envoy has for itself")
            .app(&[Act::Reply(200, &[("x-envoy-attempt-count", "9"), ("x-envoy-overloaded", "true"), ("x-request-id", "mine"), ("x-envoy-degraded", "true"), ("x-envoy-immediate-health-check-fail", "true")], "ok")])
            .get("/")
            .wants("200 -"),
        mesh("the app is sent the remaining time")
            .routes("[{TO_APP, timeout: 5s, retries: {attempts: 2, perTryTimeout: 2s, retryOn: '5xx'}}]")
            .app(&[status(503), OK])
            .get("/")
            .wants("200 -"),
        mesh("a route's timeout is told to the app").routes("[{TO_APP, timeout: 5s}]").get("/").wants("200 -"),
        xds("the router adds nothing, if so asked", |x| {
            let router = shakedown_xds::proto::router::Router { suppress_envoy_headers: true, ..Default::default() };
            x.manager.http_filters = vec![crate::messages::filter("envoy.filters.http.router", shakedown_xds::proto::pack(&router))];
        })
        .get("/")
        .wants("200 -"),
        xds("suppress_envoy_headers with rewrites and local replies", |x| {
            use shakedown_xds::proto::route::route_action::HostRewriteSpecifier;
            let router = shakedown_xds::proto::router::Router { suppress_envoy_headers: true, ..Default::default() };
            x.manager.http_filters = vec![crate::messages::filter("envoy.filters.http.router", shakedown_xds::proto::pack(&router))];
            x.host().include_request_attempt_count = true;
            x.host().include_attempt_count_in_response = true;
            x.action().prefix_rewrite = "/new".into();
            x.action().host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral("other".into()));
            x.action().timeout = ms(5_000);
        })
        .get("/old")
        .wants("200 -"),
        xds("the router adds nothing to an overflow", |x| {
            let router = shakedown_xds::proto::router::Router { suppress_envoy_headers: true, ..Default::default() };
            x.manager.http_filters = vec![crate::messages::filter("envoy.filters.http.router", shakedown_xds::proto::pack(&router))];
            x.cluster("app").circuit_breakers = super::breakers::requests(0);
        })
        .get("/")
        .wants("503 UO"),
        xds("headers of route, virtual host and routes: the most specific first", |x| {
            x.host().routes[0].request_headers_to_add = vec![option("x-at", "route", 0)];
            x.host().request_headers_to_add = vec![option("x-at", "host", 0)];
            x.routes.request_headers_to_add = vec![option("x-at", "routes", 0)];
            x.host().routes[0].response_headers_to_add = vec![option("x-at", "route", 0)];
            x.host().response_headers_to_add = vec![option("x-at", "host", 0)];
            x.routes.response_headers_to_add = vec![option("x-at", "routes", 0)];
        })
        .get("/")
        .wants("200 -"),
        xds("headers: add if absent, overwrite, overwrite if present", |x| {
            x.host().routes[0].request_headers_to_add = vec![
                option("x-a", "absent", 1),
                option("x-b", "over", 2),
                option("x-c", "present", 3),
                option("x-d", "present", 3),
            ];
        })
        .send(get("/").header("x-a", "old").header("x-b", "old").header("x-c", "old"))
        .wants("200 -"),
        xds("headers: what Envoy knows of the request", |x| {
            x.host().routes[0].request_headers_to_add = vec![
                option("x-proto", "%PROTOCOL%", 2),
                option("x-req", "%REQ(x-a)%-%REQ(x-none)%", 2),
                option("x-percent", "100%%", 2),
            ];
        })
        .send(get("/").header("x-a", "v"))
        .wants("200 -"),
        xds("a host that is rewritten by the route's header", |x| {
            use shakedown_xds::proto::route::route_action::HostRewriteSpecifier;
            x.action().host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteHeader("x-host".into()));
        })
        .send(get("/").header("x-host", "by.header"))
        .send(get("/"))
        .send(get("/").header("x-host", ""))
        .wants("200 -, 200 -, 200 -"),
    ]
}

fn remote(x: &mut Xds) {
    x.manager.use_remote_address = Some(BoolValue { value: true });
}

fn internal() -> Vec<Case> {
    vec![
        xds("use_remote_address: an external caller", remote)
            .get("/")
            .send(many())
            .wants("200 -, 200 -"),
        xds("use_remote_address: an internal caller", |x| {
            remote(x);
            x.manager.internal_address_config = loopback_is_internal();
        })
        .get("/")
        .send(many())
        .wants("200 -, 200 -"),
        xds("an internal caller by x-forwarded-for", |x| {
            x.manager.internal_address_config = loopback_is_internal()
        })
        .app(&[Act::Late(200, &OK)])
        .send(
            get("/")
                .header("x-forwarded-for", "127.0.0.9")
                .header("x-envoy-upstream-rq-timeout-ms", "50"),
        )
        .send(
            get("/")
                .header("x-forwarded-for", "8.8.8.8")
                .header("x-envoy-upstream-rq-timeout-ms", "50"),
        )
        .wants("504 UT, 200 -"),
        xds("an internal caller's timeouts", |x| {
            remote(x);
            x.manager.internal_address_config = loopback_is_internal();
            x.action().timeout = ms(5_000);
        })
        .app(&[Act::Late(300, &OK)])
        .send(get("/").header("x-envoy-upstream-rq-timeout-ms", "100"))
        .send(get("/").header("x-envoy-upstream-rq-per-try-timeout-ms", "100"))
        .wants("504 UT, 504 UT"),
    ]
}

/// Marks the caller as internal by `x-forwarded-for`.
fn inside(request: ClientRequest) -> ClientRequest {
    request.header("x-forwarded-for", "127.0.0.9")
}

fn believed(x: &mut Xds) {
    x.manager.internal_address_config = loopback_is_internal();
}

/// Cases of x-envoy-* overrides, which are accepted from internal callers.
fn steering() -> Vec<Case> {
    vec![
        xds("internal: a number of retries", believed)
            .app(&[status(503), status(503), status(503), OK])
            .send(
                inside(get("/"))
                    .header("x-envoy-retry-on", "5xx")
                    .header("x-envoy-max-retries", "2"),
            )
            .send(inside(get("/")).header("x-envoy-retry-on", "5xx"))
            .wants("503 URX, 200 -"),
        xds("internal: no retries, whatever the route says", |x| {
            believed(x);
            x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
                retry_on: "5xx".into(),
                num_retries: wrapped(3),
                ..Default::default()
            });
        })
        .app(&[status(503)])
        .send(inside(get("/")).header("x-envoy-max-retries", "0"))
        .wants("503 URX"),
        xds("internal: retries of statuses", believed)
            .app(&[status(418), status(409), OK])
            .send(
                inside(get("/"))
                    .header("x-envoy-retry-on", "retriable-status-codes")
                    .header("x-envoy-retriable-status-codes", "418, 409,x")
                    .header("x-envoy-max-retries", "3"),
            )
            .wants("200 -"),
        xds("internal: retries of headers", believed)
            .app(&[Act::Reply(200, &[("x-again", "")], "first"), OK])
            .send(
                inside(get("/"))
                    .header("x-envoy-retry-on", "retriable-headers")
                    .header("x-envoy-retriable-header-names", "x-other, X-Again"),
            )
            .wants("200 -"),
        xds("internal: retries of gRPC", believed)
            .app(&[
                Act::Grpc("", &[("grpc-status", "14")]),
                Act::Grpc("", &[("grpc-status", "0")]),
            ])
            .send(
                inside(crate::case::grpc("/service/method"))
                    .header("x-envoy-retry-grpc-on", "unavailable"),
            )
            .wants("200 -"),
        xds(
            "internal: conditions of the other header, and unknown ones, are none",
            believed,
        )
        .app(&[status(503), OK])
        .send(
            inside(get("/"))
                .header("x-envoy-retry-grpc-on", "5xx")
                .header("x-envoy-retry-on", "unavailable,never"),
        )
        .wants("503 -"),
        xds("internal: added to what the route says", |x| {
            believed(x);
            x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
                retry_on: "retriable-4xx".into(),
                num_retries: wrapped(3),
                ..Default::default()
            });
        })
        .app(&[status(503), status(409), OK])
        .send(inside(get("/")).header("x-envoy-retry-on", "5xx"))
        .wants("200 -"),
        xds(
            "internal: a timeout with the alternate response 204",
            believed,
        )
        .app(&[Act::Late(200, &OK)])
        .send(
            inside(get("/"))
                .header("x-envoy-upstream-rq-timeout-ms", "50")
                .header("x-envoy-upstream-rq-timeout-alt-response", "1"),
        )
        .wants("204 UT"),
        xds("internal: a timeout of 0 is none", |x| {
            believed(x);
            x.action().timeout = ms(50);
        })
        .app(&[Act::Late(200, &OK)])
        .send(inside(get("/")).header("x-envoy-upstream-rq-timeout-ms", "0"))
        .send(inside(get("/")).header("x-envoy-upstream-rq-timeout-ms", "never"))
        .wants("200 -, 504 UT"),
        xds("internal: a try's timeout, and another try", believed)
            .app(&[Act::Hang, OK])
            .send(
                inside(get("/"))
                    .header("x-envoy-upstream-rq-per-try-timeout-ms", "60")
                    .header("x-envoy-retry-on", "5xx"),
            )
            .wants("200 -"),
        xds("internal: two tries at one time", believed)
            .app(&[Act::Late(400, &OK), OK])
            .send(
                inside(get("/"))
                    .header("x-envoy-upstream-rq-per-try-timeout-ms", "60")
                    .header("x-envoy-retry-on", "5xx")
                    .header("x-envoy-hedge-on-per-try-timeout", "true"),
            )
            .wants("200 -"),
        xds(
            "control headers that the route adds apply to every caller",
            |x| {
                x.host().routes[0].request_headers_to_add = vec![
                    option("x-envoy-retry-on", "5xx", 2),
                    option("x-envoy-max-retries", "2", 2),
                ];
            },
        )
        .app(&[status(503), status(503), OK])
        .get("/")
        .wants("200 -"),
        xds("trusted hops: the first before this one", |x| {
            remote(x);
            x.manager.xff_num_trusted_hops = 1;
        })
        .send(
            get("/")
                .header("x-forwarded-for", "1.2.3.4, 5.6.7.8")
                .header("x-forwarded-proto", "https"),
        )
        .send(get("/"))
        .wants("200 -, 200 -"),
        xds("trusted hops: the second before this one", |x| {
            remote(x);
            x.manager.xff_num_trusted_hops = 2;
        })
        .send(get("/").header("x-forwarded-for", "1.2.3.4, 5.6.7.8"))
        .send(get("/").header("x-forwarded-for", "5.6.7.8"))
        .wants("200 -, 200 -"),
        xds(
            "trusted hops: without use_remote_address no caller is internal",
            |x| {
                believed(x);
                x.manager.xff_num_trusted_hops = 1;
            },
        )
        .app(&[status(503), OK])
        .send(inside(get("/")).header("x-envoy-retry-on", "5xx"))
        .wants("503 -"),
        xds(
            "use_remote_address: nothing is appended, if so asked",
            |x| {
                remote(x);
                x.manager.skip_xff_append = true;
            },
        )
        .send(get("/").header("x-forwarded-for", "1.2.3.4"))
        .send(get("/"))
        .wants("200 -, 200 -"),
        xds("HTTP/2: use_remote_address, and what steers", |x| {
            remote(x);
            believed(x);
        })
        .app(&[status(503), status(503), OK])
        .send(
            get("/")
                .h2()
                .header("x-envoy-retry-on", "5xx")
                .header("x-envoy-max-retries", "2"),
        )
        .send(
            get("/")
                .h2()
                .header("x-forwarded-for", "1.2.3.4")
                .header("x-envoy-retry-on", "5xx"),
        )
        .wants("200 -, 200 -"),
        xds("an internal caller of several addresses is none", believed)
            .app(&[status(503), OK])
            .send(
                get("/")
                    .header("x-forwarded-for", "127.0.0.1, 127.0.0.2")
                    .header("x-envoy-retry-on", "5xx"),
            )
            .wants("503 -"),
    ]
}

fn of_inbound() -> Vec<Case> {
    vec![
        inbound("inbound: a plain request").get("/").wants("200 -"),
        inbound("inbound: any authority")
            .send(get("/").to("whoever"))
            .wants("200 -"),
        inbound("inbound: headers")
            .send(many())
            .send(hops())
            .wants("200 -, 200 -"),
        inbound("inbound: the app's 503 passes")
            .app(&[status(503), OK])
            .get("/")
            .wants("503 -"),
        inbound("inbound: a close is not tried again when the request was sent")
            .app(&[Act::Close, OK])
            .get("/")
            .wants("503 UC"),
    ]
}
