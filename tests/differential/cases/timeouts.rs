//! Cases of timeouts of routes, attempts, idle streams and requests.

use shakedown_xds::proto::core::HttpProtocolOptions;
use shakedown_xds::proto::protobuf::BoolValue;
use shakedown_xds::proto::route::route_action::MaxStreamDuration;

use crate::case::{Case, Xds, get, grpc, mesh, post, raw, xds};
use crate::messages::ms;
use crate::upstream::{Act, OK, status};

const LATE: Act = Act::Late(300, &OK);
const SLOW_BODY: Act = Act::Stall("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n0123456789");

pub(super) fn cases() -> Vec<Case> {
    let mut all = routes();
    all.extend(streams());
    all
}

fn routes() -> Vec<Case> {
    vec![
        mesh("Istio has no route timeout by default").app(&[LATE]).get("/").wants("200 -"),
        mesh("an answer in time").routes("[{TO_APP, timeout: 2s}]").app(&[LATE]).get("/").wants("200 -"),
        mesh("an answer too late").routes("[{TO_APP, timeout: 0.1s}]").app(&[LATE]).get("/").wants("504 UT"),
        mesh("a route's timeout during the response body")
            .routes("[{TO_APP, timeout: 0.2s}]")
            .app(&[SLOW_BODY])
            .get("/")
            .wants("200 UT"),
        mesh("a try's timeout does not bound the body")
            .routes("[{TO_APP, timeout: 0.5s, retries: {attempts: 1, perTryTimeout: 0.1s, retryOn: '5xx'}}]")
            .app(&[SLOW_BODY])
            .get("/")
            .wants("200 UT"),
        mesh("a try's timeout longer than the route's")
            .routes("[{TO_APP, timeout: 0.2s, retries: {attempts: 1, perTryTimeout: 1s, retryOn: '5xx'}}]")
            .app(&[Act::Hang])
            .get("/")
            .wants("504 UT"),
        mesh("a try's timeout without a route's")
            .routes("[{TO_APP, retries: {attempts: 1, perTryTimeout: 0.1s, retryOn: '5xx'}}]")
            .app(&[Act::Hang, OK])
            .get("/")
            .wants("200 -"),
        mesh("the timeout that an external caller asks for counts for nothing")
            .app(&[LATE])
            .send(get("/").header("x-envoy-upstream-rq-timeout-ms", "50"))
            .wants("200 -"),
        xds("the timeout that an internal caller asks for counts", |x| {
            x.manager.use_remote_address = Some(BoolValue { value: true });
            x.manager.internal_address_config = super::headers::loopback_is_internal();
        })
        .app(&[LATE])
        .send(get("/").header("x-envoy-upstream-rq-timeout-ms", "50"))
        .wants("504 UT"),
        xds("a route without a timeout has 15 s", |_| {}).get("/").wants("200 -"),
        xds("a timeout counts from the end of the request", |x| x.action().timeout = ms(300))
            .app(&[OK])
            .send(post("/", "body"))
            .wants("200 -"),
        xds("an app's late answer after its request was given up", |x| x.action().timeout = ms(100))
            .app(&[LATE])
            .get("/")
            .pause(350)
            .get("/")
            .wants("504 UT, 504 UT"),
    ]
}

fn stream(x: &mut Xds, longest: u64) {
    x.manager.common_http_protocol_options = Some(HttpProtocolOptions {
        max_stream_duration: ms(longest),
        ..Default::default()
    });
}

fn streams() -> Vec<Case> {
    let unfinished = "POST / HTTP/1.1\r\nhost: app\r\ncontent-length: 10\r\n\r\nabc";
    vec![
        xds("an idle stream before the response headers: 504 SI", |x| {
            x.manager.stream_idle_timeout = ms(200)
        })
        .app(&[Act::Hang])
        .get("/")
        .wants("504 SI"),
        xds("an idle stream, to gRPC", |x| {
            x.manager.stream_idle_timeout = ms(200)
        })
        .app(&[Act::Hang])
        .send(grpc("/service/method"))
        .wants("200 SI"),
        xds("an idle stream during the response body", |x| {
            x.manager.stream_idle_timeout = ms(200)
        })
        .app(&[SLOW_BODY])
        .get("/")
        .wants("200 SI"),
        xds("an idle stream during the request body: 408 SI", |x| {
            x.manager.stream_idle_timeout = ms(200)
        })
        .send(raw(unfinished).watch_close())
        .wants("408 SI"),
        xds("a route's idle timeout before the listener's", |x| {
            x.manager.stream_idle_timeout = ms(5_000);
            x.action().idle_timeout = ms(200);
        })
        .app(&[Act::Hang])
        .get("/")
        .wants("504 SI"),
        xds("a route's idle timeout of 0 is none", |x| {
            x.manager.stream_idle_timeout = ms(100);
            x.action().idle_timeout = ms(0);
        })
        .app(&[LATE])
        .get("/")
        .wants("200 -"),
        xds("a request that is not completed: 408", |x| {
            x.manager.request_timeout = ms(200)
        })
        .send(raw(unfinished).watch_close())
        .wants("408 -"),
        xds("request headers that are not completed: 408", |x| {
            x.manager.request_headers_timeout = ms(200)
        })
        .send(raw("GET / HTTP/1.1\r\nhost: app\r\n").watch_close())
        .wants("408 -"),
        xds("a request that ends in time", |x| {
            x.manager.request_timeout = ms(300);
            x.manager.request_headers_timeout = ms(200);
        })
        .app(&[Act::Late(500, &OK)])
        .send(post("/", "body"))
        .wants("200 -"),
        xds("the request timeout includes the headers", |x| {
            x.manager.request_timeout = ms(200)
        })
        .send(raw("GET / HTTP/1.1\r\nhost: app\r\n").watch_close())
        .wants("408 -"),
        xds("maximum stream duration during the response body", |x| {
            stream(x, 200)
        })
        .app(&[SLOW_BODY])
        .get("/")
        .wants("200 -"),
        xds("maximum stream duration during the request body", |x| {
            stream(x, 200)
        })
        .send(raw(unfinished).watch_close())
        .wants("408 -"),
        xds("maximum stream duration over all attempts", |x| {
            stream(x, 300);
            x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
                retry_on: "5xx".into(),
                num_retries: crate::messages::wrapped(10),
                ..Default::default()
            });
        })
        .app(&[status(503), Act::Hang])
        .get("/")
        .wants("504 -"),
        xds("maximum stream duration over HTTP/2", |x| stream(x, 200))
            .app(&[Act::Hang, SLOW_BODY])
            .send(get("/").h2())
            .send(get("/").h2())
            .wants("504 -, 200 -"),
        xds("maximum stream duration includes an injected delay", |x| {
            stream(x, 200);
            super::faults::delayed(x, 500);
        })
        .get("/")
        .wants("504 DI"),
        xds("maximum stream duration for gRPC", |x| stream(x, 200))
            .app(&[Act::Hang])
            .send(grpc("/service/method"))
            .wants("200 -"),
        xds("a route's stream duration of 0 is none", |x| {
            stream(x, 100);
            x.action().max_stream_duration = Some(MaxStreamDuration {
                max_stream_duration: ms(0),
                ..Default::default()
            });
        })
        .app(&[LATE])
        .get("/")
        .wants("200 -"),
        xds("grpc-timeout is capped by the route", |x| {
            x.action().max_stream_duration = Some(MaxStreamDuration {
                grpc_timeout_header_max: ms(150),
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .send(grpc("/service/method").header("grpc-timeout", "10S"))
        .wants("200 -"),
        xds("grpc-timeout less the route's offset", |x| {
            x.action().max_stream_duration = Some(MaxStreamDuration {
                grpc_timeout_header_max: ms(0),
                grpc_timeout_header_offset: ms(1_800),
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .send(grpc("/service/method").header("grpc-timeout", "2S"))
        .wants("200 -"),
        xds(
            "a route's stream duration takes the place of its timeout",
            |x| {
                x.action().timeout = ms(100);
                x.action().max_stream_duration = Some(MaxStreamDuration {
                    max_stream_duration: ms(1_000),
                    ..Default::default()
                });
            },
        )
        .app(&[LATE])
        .get("/")
        .wants("200 -"),
        xds("maximum stream duration", |x| {
            x.manager.common_http_protocol_options = Some(HttpProtocolOptions {
                max_stream_duration: ms(200),
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .get("/")
        .wants("504 -"),
        xds("a route's maximum stream duration", |x| {
            x.action().max_stream_duration = Some(MaxStreamDuration {
                max_stream_duration: ms(200),
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .get("/")
        .wants("504 -"),
        xds("grpc-timeout within the route's cap", |x| {
            x.action().max_stream_duration = Some(MaxStreamDuration {
                grpc_timeout_header_max: ms(0),
                ..Default::default()
            });
        })
        .app(&[Act::Hang])
        .send(grpc("/service/method").header("grpc-timeout", "200m"))
        .wants("200 -"),
    ]
}
