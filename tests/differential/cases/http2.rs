//! Cases of HTTP/2 with prior knowledge on either side, and gRPC over it.

use shakedown_xds::proto::core::Http2ProtocolOptions;
use shakedown_xds::proto::upstream_http::HttpProtocolOptions;
use shakedown_xds::proto::upstream_http::http_protocol_options::explicit_http_config::ProtocolConfig;
use shakedown_xds::proto::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};

use crate::case::{Case, Xds, get, grpc, host, mesh, post, xds};
use crate::messages::ms;
use crate::upstream::{Act, Manner, OK, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = callers();
    all.extend(upstreams());
    all
}

fn callers() -> Vec<Case> {
    vec![
        mesh("HTTP/2: a request")
            .send(get("/a?b=c").h2())
            .wants("200 -"),
        mesh("HTTP/2: a body")
            .send(post("/", "hello").h2())
            .wants("200 -"),
        mesh("HTTP/2: no route")
            .routes("[{match: [{uri: {prefix: /x}}], TO_APP}]")
            .send(get("/").h2())
            .wants("404 NR"),
        mesh("HTTP/2: no endpoint")
            .empty("app")
            .send(get("/").h2())
            .wants("503 UH"),
        mesh("HTTP/2: connection refused")
            .routes("[{TO_APP, retries: {attempts: 0}}]")
            .host(host("a").is(Manner::Refuses))
            .send(get("/").h2())
            .wants("503 UF"),
        mesh("HTTP/2: gRPC and no endpoint")
            .empty("app")
            .send(grpc("/service/method").h2())
            .wants("200 UH"),
        mesh("HTTP/2: gRPC and a timeout")
            .routes("[{TO_APP, timeout: 0.15s}]")
            .app(&[Act::Hang])
            .send(grpc("/service/method").h2())
            .wants("200 UT"),
        mesh("HTTP/2: gRPC and no route")
            .routes("[{match: [{uri: {prefix: /x}}], TO_APP}]")
            .send(grpc("/service/method").h2())
            .wants("200 NR"),
        mesh("HTTP/2: a response cut short")
            .app(&[Act::Raw(&[
                "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
                "0123456789",
            ])])
            .send(get("/").h2())
            .wants("200 UPE"),
        mesh("HTTP/2: the caller goes away")
            .app(&[Act::Hang])
            .send(get("/").h2().leaves_after(150))
            .wants("0 DC"),
    ]
}

pub(super) fn speak_http2(x: &mut Xds) {
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
            ExplicitHttpConfig {
                protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(
                    Http2ProtocolOptions::default(),
                )),
            },
        )),
        ..Default::default()
    };
    let packed = shakedown_xds::proto::pack(&options);
    x.cluster("app").typed_extension_protocol_options = [(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(),
        packed,
    )]
    .into_iter()
    .collect();
}

fn retrying(x: &mut Xds, on: &str) {
    speak_http2(x);
    x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
        retry_on: on.into(),
        ..Default::default()
    });
}

fn upstream(acts: &[Act]) -> crate::case::Host {
    host("a").is(Manner::Http2).does(acts)
}

fn upstreams() -> Vec<Case> {
    let call = || grpc("/service/method").h2();
    vec![
        xds("HTTP/2 upstream: a request of HTTP/1.1", speak_http2)
            .host(upstream(&[OK]))
            .send(get("/a?b=c").header("X-Up", "1"))
            .wants("200 -"),
        xds("HTTP/2 upstream: a request of HTTP/2", speak_http2)
            .host(upstream(&[OK]))
            .send(post("/", "hello").h2())
            .wants("200 -"),
        xds("HTTP/2 upstream: a call of gRPC", speak_http2)
            .host(upstream(&[Act::Grpc(
                "message",
                &[("grpc-status", "0"), ("grpc-message", "fine")],
            )]))
            .send(call())
            .wants("200 -"),
        xds("HTTP/2 upstream: a call of gRPC that fails at once", |x| {
            speak_http2(x)
        })
        .host(upstream(&[Act::Grpc(
            "",
            &[("grpc-status", "5"), ("grpc-message", "none")],
        )]))
        .send(call())
        .wants("200 -"),
        xds("HTTP/2 upstream: a stream that is refused", |x| {
            speak_http2(x)
        })
        .host(upstream(&[Act::Reset(7)]))
        .get("/")
        .wants("503 UR"),
        xds("HTTP/2 upstream: a stream that is reset", |x| {
            speak_http2(x)
        })
        .host(upstream(&[Act::Reset(2)]))
        .get("/")
        .wants("503 UR"),
        xds("HTTP/2 upstream: a stream that is reset, to gRPC", |x| {
            speak_http2(x)
        })
        .host(upstream(&[Act::Reset(2)]))
        .send(call())
        .wants("200 UR"),
        xds("HTTP/2 upstream: a reset in the answer's body", speak_http2)
            .host(upstream(&[Act::Stall("part")]))
            .get("/")
            .wants("200 UR"),
        xds("HTTP/2 upstream: refused streams are tried again", |x| {
            retrying(x, "refused-stream")
        })
        .host(upstream(&[Act::Reset(7), OK]))
        .get("/")
        .wants("200 -"),
        xds(
            "HTTP/2 upstream: streams that are reset are no refused ones",
            |x| retrying(x, "refused-stream"),
        )
        .host(upstream(&[Act::Reset(2), OK]))
        .get("/")
        .wants("503 UR"),
        xds("HTTP/2 upstream: a reset is tried again on reset", |x| {
            retrying(x, "reset")
        })
        .host(upstream(&[Act::Reset(2), OK]))
        .get("/")
        .wants("200 -"),
        xds("HTTP/2 upstream: 503 is tried again on 5xx", |x| {
            retrying(x, "5xx")
        })
        .host(upstream(&[status(503), OK]))
        .get("/")
        .wants("200 -"),
        xds("HTTP/2 upstream: unavailable is tried again", |x| {
            retrying(x, "unavailable")
        })
        .host(upstream(&[
            Act::Grpc("", &[("grpc-status", "14")]),
            Act::Grpc("message", &[("grpc-status", "0")]),
        ]))
        .send(call())
        .wants("200 -"),
        xds("HTTP/2 upstream: a timeout", |x| {
            speak_http2(x);
            x.action().timeout = ms(150);
        })
        .host(upstream(&[Act::Hang]))
        .send(call())
        .wants("200 UT"),
        xds("HTTP/2 upstream: nobody listens", speak_http2)
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 UF"),
        xds(
            "HTTP/2 upstream: several at one time, one request is allowed",
            |x| {
                speak_http2(x);
                x.cluster("app").circuit_breakers = super::breakers::requests(1);
            },
        )
        .host(upstream(&[Act::Late(300, &OK)]))
        .together(vec![get("/"), get("/").after(50), get("/").after(100)])
        .wants("200 -, 503 UO, 503 UO"),
    ]
}
