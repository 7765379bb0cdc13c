//! Tests HTTP/2 on either side of the proxy, and heads that are too long or missing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body::{Body as _, Frame};
use hyper::rt::{Read, ReadBuf};
use shakedown_env::BoxStream;
use shakedown_types::MeshEvent;
use shakedown_wire::{
    Body, BodyError, Drain, Pool, PoolOptions, PoolProtocol, ResponseBody, ServerOptions,
    accept_auto_until,
};
use shakedown_xds::table::{RetryOn, RouteActionKind, Table, UpstreamProtocol};

use super::scene::*;

const HTTP2: UpstreamProtocol = UpstreamProtocol::Http2 {
    max_concurrent_streams: 1024,
};
const DOWNSTREAM: UpstreamProtocol = UpstreamProtocol::Downstream {
    max_concurrent_streams: 1024,
};

/// A route to a cluster whose hosts use `protocol`.
fn speaking(protocol: UpstreamProtocol) -> Table {
    let mut cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
    cluster.protocol = protocol;
    let mut action = to(REVIEWS);
    action.retry = Some(retry(RetryOn::REFUSED_STREAM).into());
    outbound(RouteActionKind::Forward(action), vec![cluster])
}

fn caller(scene: &Scene, protocol: PoolProtocol) -> Pool {
    let options = PoolOptions {
        protocol,
        ..PoolOptions::default()
    };
    Pool::new(scene.env(CALLER), at(POD, 15001), None, options)
}

/// The requests received by an upstream: protocol version and headers.
type Asked = Rc<RefCell<Vec<(Version, HeaderMap)>>>;

/// An upstream for both protocols, which answers with the request's body and trailers.
fn echo(scene: &Scene) -> Asked {
    let received = Asked::default();
    let (env, sink) = (scene.env(UP1), Rc::clone(&received));
    let listener = env.listen(at(UP1, 9080)).unwrap();
    scene.env(UP1).spawn("upstream", async move {
        let make = move |_| {
            let sink = Rc::clone(&sink);
            move |request: Request<Body>| {
                let headers = request.headers().clone();
                sink.borrow_mut().push((request.version(), headers));
                async move {
                    Response::builder()
                        .header("content-type", "application/grpc")
                        .body(Echo(request.into_body(), false))
                        .unwrap()
                }
            }
        };
        let (options, drain) = (ServerOptions::default(), Drain::new());
        accept_auto_until(
            &env,
            listener,
            &options,
            "upstream",
            &drain,
            make,
            |_, _| {},
        )
        .await;
    });
    received
}

/// A request's body, returned with an optional trailer.
struct Echo(Body, bool);

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = std::task::ready!(Pin::new(&mut self.0).poll_frame(cx));
        let ended = next.is_none() && !std::mem::replace(&mut self.1, true);
        let status = || HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())]);
        std::task::Poll::Ready(match next {
            None if ended => Some(Ok(Frame::trailers(status()))),
            next => next,
        })
    }
}

fn post(body: &'static str) -> Request<Body> {
    Request::post("/svc/Method")
        .header("host", "reviews:9080")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::full(body))
        .unwrap()
}

/// Reads a body with its trailers.
async fn read(mut body: ResponseBody) -> (String, Option<HeaderMap>) {
    let (mut text, mut trailers) = (String::new(), None);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.unwrap().into_data() {
            Ok(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    (text, trailers)
}

#[test]
fn a_call_over_http2_passes_with_its_trailers_and_te() {
    play(|scene| async move {
        let received = echo(&scene);
        scene.proxy(speaking(HTTP2));
        let caller = caller(&scene, PoolProtocol::Http2);
        for _ in 0..3 {
            let response = caller.send(post("message")).await.unwrap();
            assert_eq!(response.status(), 200);
            let (body, trailers) = read(response.into_body()).await;
            assert_eq!(
                (&*body, &trailers.unwrap()["grpc-status"]),
                ("message", &"0".parse().unwrap())
            );
        }
        let received = received.borrow();
        let (version, headers) = &received[0];
        assert_eq!(
            (*version, &headers["te"]),
            (Version::HTTP_2, &"trailers".parse().unwrap())
        );
        assert_eq!(headers["host"], "reviews:9080");
        let requests = scene.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|r| (r.status, r.attempts) == (200, 1)));
    });
}

#[test]
fn each_side_speaks_its_own_protocol() {
    for (upstream, versions) in [
        (
            UpstreamProtocol::Http1,
            [Version::HTTP_11, Version::HTTP_11],
        ),
        (HTTP2, [Version::HTTP_2, Version::HTTP_2]),
        (DOWNSTREAM, [Version::HTTP_11, Version::HTTP_2]),
    ] {
        play(move |scene| async move {
            let received = echo(&scene);
            scene.proxy(speaking(upstream));
            for protocol in [PoolProtocol::Http1, PoolProtocol::Http2] {
                let response = caller(&scene, protocol).send(post("hello")).await.unwrap();
                let (body, _) = read(response.into_body()).await;
                assert_eq!(body, "hello", "{upstream:?} {protocol:?}");
            }
            let received: Vec<Version> = received
                .borrow()
                .iter()
                .map(|(version, _)| *version)
                .collect();
            assert_eq!(received, versions, "{upstream:?}");
        });
    }
}

/// An HTTP/2 upstream that resets this number of streams before it answers.
fn reset_streams(scene: &Scene, reason: u32, times: u32) {
    scene.accept(UP1, 9080, move |mut stream| async move {
        // The server's SETTINGS frame.
        send(&mut stream, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let mut done = 0;
        let mut seen = Vec::new();
        loop {
            let bytes = receive(&mut stream).await;
            if bytes.is_empty() {
                return;
            }
            seen.extend(bytes);
            while let Some(id) = take_headers(&mut seen) {
                if done < times {
                    let mut frame = vec![0, 0, 4, 3, 0];
                    frame.extend(id.to_be_bytes());
                    frame.extend(reason.to_be_bytes());
                    send(&mut stream, &frame).await;
                } else {
                    let mut frame = vec![0, 0, 1, 1, 5];
                    frame.extend(id.to_be_bytes());
                    frame.push(0x88);
                    send(&mut stream, &frame).await;
                }
                done += 1;
            }
        }
    });
}

/// Consumes frames, after the preface, up to the next HEADERS. Returns its stream.
fn take_headers(seen: &mut Vec<u8>) -> Option<u32> {
    if seen.starts_with(b"PRI ") {
        if seen.len() < 24 {
            return None;
        }
        seen.drain(..24);
    }
    loop {
        let head: [u8; 9] = seen.get(..9)?.try_into().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if seen.len() < 9 + length {
            return None;
        }
        seen.drain(..9 + length);
        if head[3] == 1 {
            return Some(u32::from_be_bytes(head[5..9].try_into().unwrap()));
        }
    }
}

async fn send(stream: &mut BoxStream, bytes: &[u8]) {
    let written = poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut *stream), cx, bytes));
    assert_eq!(written.await.unwrap(), bytes.len());
}

pub(super) async fn receive(stream: &mut BoxStream) -> Vec<u8> {
    let mut space = [0; 4096];
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut space);
        let done = Pin::new(&mut *stream).poll_read(cx, buf.unfilled());
        done.map(|done| done.map_or_else(|_| Vec::new(), |()| buf.filled().to_vec()))
    })
    .await
}

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

#[test]
fn a_refused_stream_is_tried_again() {
    play(|scene| async move {
        reset_streams(&scene, REFUSED_STREAM, 1);
        scene.proxy(speaking(HTTP2));
        assert_eq!(scene.get("/").await.status, 200);
        assert_eq!(outcome(&scene), (200, "-".into(), 2));
        let flags: Vec<String> = try_flags(&scene)
            .iter()
            .map(|(_, f)| f.to_string())
            .collect();
        assert_eq!(flags, ["UR", "-"]);
    });
}

#[test]
fn refused_streams_without_end_are_told() {
    play(|scene| async move {
        reset_streams(&scene, REFUSED_STREAM, 9);
        scene.proxy(speaking(HTTP2));
        let answer = scene.get("/").await;
        let text = "upstream connect error or disconnect/reset before headers. \
                    retried and the latest reset reason: remote refused stream reset";
        assert_eq!((answer.status, &*answer.body), (503, text));
        assert_eq!(outcome(&scene), (503, "URX,UR".into(), 3));
    });
}

#[test]
fn another_reset_is_told_and_not_tried_again() {
    play(|scene| async move {
        reset_streams(&scene, INTERNAL_ERROR, 1);
        scene.proxy(speaking(HTTP2));
        let answer = scene.get("/").await;
        let text = "upstream connect error or disconnect/reset before headers. \
                    reset reason: remote reset";
        assert_eq!((answer.status, &*answer.body), (503, text));
        assert_eq!(outcome(&scene), (503, "UR".into(), 1));
        let details = &scene.requests()[0].details;
        assert_eq!(
            details,
            "upstream_reset_before_response_started{remote_reset}"
        );
    });
}

#[test]
fn a_grpc_caller_over_http2_gets_local_replies_as_grpc_status() {
    play(|scene| async move {
        // Nothing listens at the upstream.
        scene.proxy(speaking(HTTP2));
        let response = caller(&scene, PoolProtocol::Http2)
            .send(post("message"))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-status"], "14");
        assert!(
            headers["grpc-message"]
                .to_str()
                .unwrap()
                .contains("remote connection failure")
        );
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn a_caller_stream_reset_is_flagged_dc_and_the_connection_stays_open() {
    play(|scene| async move {
        let env = scene.env(CALLER);
        scene.serve(UP1, 9080, {
            let env = scene.env(UP1);
            move |_| {
                let slow = env.sleep(ms(500));
                async move {
                    slow.await;
                    reply(200, "ok")
                }
            }
        });
        scene.proxy(simple(&[at(UP1, 9080)]));
        let caller = caller(&scene, PoolProtocol::Http2);
        assert!(env.timeout(ms(50), caller.send(post(""))).await.is_err());
        env.sleep(ms(50)).await;
        assert_eq!(outcome(&scene), (0, "DC".into(), 1));
        assert_eq!(caller.send(post("")).await.unwrap().status(), 200);
        assert_eq!(caller.connections(), 1);
    });
}

/// Sends this text on a new connection, and returns everything received until its end.
pub(super) async fn exchange(scene: &Scene, text: &str) -> String {
    let mut stream = scene
        .env(CALLER)
        .connect(at(POD, 15001), None)
        .await
        .unwrap();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let written = poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut stream), cx, rest));
        rest = &rest[written.await.unwrap()..];
    }
    let mut all = Vec::new();
    loop {
        match receive(&mut stream).await {
            bytes if bytes.is_empty() => return String::from_utf8(all).unwrap(),
            bytes => all.extend(bytes),
        }
    }
}

#[test]
fn a_head_beyond_its_limit_has_envoys_answer_and_is_recorded() {
    play(|scene| async move {
        scene.proxy(simple(&[at(UP1, 9080)]));
        let big = "x".repeat(61 * 1024);
        let head = format!("GET / HTTP/1.1\r\nhost: r\r\nbig: {big}\r\n\r\n");
        let answer = exchange(&scene, &head).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(
            answer.ends_with("\r\n\r\nRequest Header Fields Too Large"),
            "{answer}"
        );
        assert_eq!(outcome(&scene), (431, "DPE".into(), 0));
        assert_eq!(scene.requests()[0].details, "http1.headers_too_large");
    });
}

#[test]
fn heads_that_cannot_be_read_are_recorded() {
    for (head, status, details) in [
        (
            "GET / HTTP/1.1\r\nhost: r\r\nbad header\r\n\r\n".to_owned(),
            400,
            "http1.codec_error",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: r\r\nbig: {}\r\n\r\n",
                "x".repeat(300 * 1024)
            ),
            431,
            "http1.headers_too_large",
        ),
    ] {
        play(move |scene| async move {
            scene.proxy(simple(&[at(UP1, 9080)]));
            let answer = exchange(&scene, &head).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            assert_eq!(outcome(&scene), (status, "DPE".into(), 0));
            assert_eq!(scene.requests()[0].details, details);
        });
    }
}

#[test]
fn the_same_seed_gives_the_same_events_over_http2() {
    let run = || -> Vec<MeshEvent> {
        play(|scene| async move {
            reset_streams(&scene, REFUSED_STREAM, 30);
            scene.proxy(speaking(HTTP2));
            let caller = caller(&scene, PoolProtocol::Http2);
            let done = Rc::new(RefCell::new(0));
            for number in 0..40 {
                let (caller, done) = (caller.clone(), Rc::clone(&done));
                let env = scene.env(CALLER);
                env.clone().spawn("call", async move {
                    env.sleep(ms(number % 7)).await;
                    caller.send(post("")).await.unwrap();
                    *done.borrow_mut() += 1;
                });
            }
            scene.env(CALLER).sleep(ms(5_000)).await;
            assert_eq!(*done.borrow(), 40);
            scene.events()
        })
    };
    let (one, two) = (run(), run());
    assert!(one.len() > 80);
    assert_eq!(one, two);
}
