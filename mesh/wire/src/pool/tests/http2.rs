//! A pool that speaks HTTP/2, against our own server and against scripted ones.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame};
use hyper_util::rt::TokioIo;
use shakedown_env::BoxStream;

use super::*;
use crate::scene::{http2, pool_http2, serve_auto_at};
use crate::{BodyError, Quota, QuotaLimits};

type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that gives each stream to `handle`, in order of arrival; it tells of its limit of streams.
fn serve_streams(env: &Env, most: u32, handle: impl Fn(usize, Accepted) + 'static) -> SocketAddr {
    let handle = Rc::new(handle);
    serve_raw(env, move |stream| {
        let handle = Rc::clone(&handle);
        async move {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(most);
            let Ok(mut connection) = builder.handshake(TokioIo::new(stream)).await else {
                return;
            };
            let mut number = 0;
            while let Some(Ok(accepted)) = connection.accept().await {
                handle(number, accepted);
                number += 1;
            }
        }
    })
}

async fn size(pool: &Pool, path: &str) -> usize {
    fetch(pool, get(path)).await.len()
}

#[test]
fn requests_at_once_share_a_connection() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        let all = join_all((0..50).map(|_| size(&pool, "/size/1000"))).await;
        assert_eq!(all, [1000; 50]);
        assert_eq!((seen.connections.get(), seen.requests.get()), (1, 50));
        assert_eq!((pool.connections(), pool.idle(), pool.active()), (1, 1, 0));
    });
}

#[test]
fn bodies_pass_both_ways_and_tell_their_length() {
    run(|env| async move { bodies(env, ANY).await });
}

#[test]
fn bodies_pass_both_ways_for_real() {
    run_real(|env| bodies(env, "127.0.0.1:0".parse().unwrap()));
}

async fn bodies(env: Env, any: SocketAddr) {
    let (addr, seen, _) = serve_auto_at(&env, any, &ServerOptions::default());
    let pool = pool_http2(&env, addr);
    for length in [0, 1, 70_000, 3_000_000] {
        let body = vec![b'y'; length];
        assert_eq!(fetch(&pool, post("/echo", body.clone())).await, body);
        assert_eq!(fetch(&pool, post("/stream", body.clone())).await, body);
    }
    let response = pool.send(get("/size/7")).await.unwrap();
    assert_eq!(response.headers()[CONTENT_LENGTH], "7");
    assert_eq!(response.body().size_hint().exact(), Some(7));
    drop(response);
    assert_eq!(
        seen.log.borrow()[..4],
        ["/echo -", "/stream -", "/echo 1", "/stream 1"]
    );
    assert_eq!(seen.connections.get(), 1);
}

#[test]
fn a_pool_of_each_protocol_is_served_on_one_port() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let (old, new) = (pool(&env, addr, defaults()), pool_http2(&env, addr));
        let (one, two) = join(size(&old, "/size/5"), size(&new, "/size/6")).await;
        assert_eq!((one, two, seen.connections.get()), (5, 6, 2));
    });
}

#[test]
fn streams_beyond_the_peers_limit_open_another_connection() {
    run(|env| async move {
        let options = ServerOptions {
            max_concurrent_streams: 2,
            ..ServerOptions::default()
        };
        let (addr, seen, _) = serve_auto_at(&env, ANY, &options);
        let pool = pool_http2(&env, addr);
        // The limit is known after this.
        size(&pool, "/size/1").await;
        env.sleep(ms(1)).await;
        join_all((0..4).map(|_| size(&pool, "/slow/20"))).await;
        assert_eq!(seen.connections.get(), 2);
        assert_eq!((pool.connections(), pool.idle(), pool.active()), (2, 2, 0));
    });
}

#[test]
fn a_limit_that_the_peer_has_not_told_yet_is_met_by_refused_streams() {
    run(|env| async move {
        let options = ServerOptions {
            max_concurrent_streams: 2,
            ..ServerOptions::default()
        };
        let (addr, seen, _) = serve_auto_at(&env, ANY, &options);
        let pool = pool_http2(&env, addr);
        let all = join_all((0..3).map(|_| pool.send(get("/slow/20")))).await;
        let refused = all
            .iter()
            .filter(|one| matches!(one, Err(SendError::Refused)));
        assert_eq!((refused.count(), seen.requests.get()), (1, 2));
    });
}

#[test]
fn streams_beyond_our_own_limit_open_another_connection() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let options = PoolOptions {
            max_concurrent_streams: 2,
            ..http2()
        };
        let pool = pool(&env, addr, options);
        join_all((0..5).map(|_| size(&pool, "/slow/20"))).await;
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn a_connection_ends_after_its_most_requests() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let options = PoolOptions {
            max_requests_per_connection: Some(2),
            ..http2()
        };
        let pool = pool(&env, addr, options);
        for _ in 0..5 {
            size(&pool, "/size/1").await;
        }
        env.sleep(ms(1)).await;
        assert_eq!((seen.connections.get(), pool.connections()), (3, 1));
    });
}

#[test]
fn a_dropped_send_resets_its_stream_and_spares_the_others() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        let cut = env.timeout(ms(5), pool.send(get("/never")));
        let (cut, whole) = join(cut, size(&pool, "/slow/20")).await;
        assert!(cut.is_err());
        assert_eq!((whole, seen.cancelled.get()), (0, 1));
        assert_eq!((seen.connections.get(), pool.idle()), (1, 1));
    });
}

#[test]
fn a_response_that_is_dropped_resets_its_stream() {
    run(|env| async move {
        let resets = Rc::new(Cell::new(None));
        let (own, sink) = (env.clone(), Rc::clone(&resets));
        let addr = serve_streams(&env, 100, move |_, (_, mut send)| {
            let sink = Rc::clone(&sink);
            own.spawn("stream", async move {
                let mut body = send.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"some"), false).unwrap();
                let reason = poll_fn(|cx| body.poll_reset(cx)).await;
                sink.set(Some(reason.unwrap()));
            });
        });
        let pool = pool_http2(&env, addr);
        let response = pool.send(get("/")).await.unwrap();
        assert_eq!(pool.active(), 1);
        drop(response);
        assert_eq!(pool.active(), 0);
        env.sleep(ms(1)).await;
        assert_eq!(resets.get(), Some(Reason::CANCEL));
    });
}

#[test]
fn a_refused_stream_has_not_been_on_the_wire_and_other_resets_have() {
    run(|env| async move {
        let addr = serve_streams(&env, 100, |number, (_, mut send)| {
            send.send_reset([Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR][number]);
        });
        let pool = pool_http2(&env, addr);
        let refused = pool.send(get("/")).await.unwrap_err();
        assert!(matches!(refused, SendError::Refused), "{refused:?}");
        assert!(refused.before_headers() && !refused.on_wire());
        let reset = pool.send(get("/")).await.unwrap_err();
        let internal = SendError::Reset {
            reason: Reason::INTERNAL_ERROR,
        };
        assert_eq!(reset.to_string(), internal.to_string());
        assert!(reset.before_headers() && reset.on_wire());
        assert_eq!(pool.connections(), 1);
    });
}

#[test]
fn a_peer_that_goes_away_finishes_what_it_has_and_gets_no_more() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        let old = size(&pool, "/slow/20");
        let new = async {
            env.sleep(ms(5)).await;
            drain.begin();
            env.sleep(ms(5)).await;
            // It would be connected, but nobody listens any more.
            pool.send(get("/size/1")).await.unwrap_err()
        };
        let (_, refused) = join(old, new).await;
        assert!(refused.is_connect_failure(), "{refused:?}");
        assert_eq!((seen.requests.get(), seen.cancelled.get()), (1, 0));
        env.sleep(ms(1)).await;
        assert_eq!((pool.connections(), drain.connections()), (0, 0));
    });
}

#[test]
fn streams_that_a_peer_has_not_looked_at_when_it_goes_away_are_refused() {
    run(|env| async move {
        // It answers the first stream, and goes away having looked at no other.
        let addr = serve_raw(&env, |mut stream| async move {
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            write(&mut stream, &settings).await.unwrap();
            // The client's handshake, and its two requests.
            read(&mut stream).await.unwrap();
            let headers = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];
            let away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
            write(&mut stream, &away).await.unwrap();
            write(&mut stream, &headers).await.unwrap();
            while read(&mut stream).await.is_ok_and(|bytes| !bytes.is_empty()) {}
        });
        let pool = pool_http2(&env, addr);
        let (first, second) = join(pool.send(get("/1")), pool.send(get("/2"))).await;
        assert_eq!(first.unwrap().status(), 200);
        let second = second.unwrap_err();
        assert!(matches!(second, SendError::Refused), "{second:?}");
        env.sleep(ms(1)).await;
        assert_eq!(pool.connections(), 0);
    });
}

#[test]
fn a_connection_that_ends_takes_its_streams_along() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read(&mut stream).await.unwrap();
            stream.reset_on_drop();
        });
        let pool = pool_http2(&env, addr);
        let (one, two) = join(pool.send(get("/1")), pool.send(get("/2"))).await;
        for error in [one.unwrap_err(), two.unwrap_err()] {
            let terminated = matches!(error, SendError::Terminated { on_wire: true, .. });
            assert!(terminated, "{error:?}");
        }
        env.sleep(ms(1)).await;
        assert_eq!((pool.connections(), pool.pending()), (0, 0));
    });
}

#[test]
fn a_connection_that_the_peer_closed_while_idle_is_not_used() {
    run(|env| async move {
        let options = ServerOptions {
            idle_timeout: Some(ms(10)),
            ..ServerOptions::default()
        };
        let (addr, seen, _) = serve_auto_at(&env, ANY, &options);
        let pool = pool_http2(&env, addr);
        for _ in 0..3 {
            size(&pool, "/size/1").await;
            env.sleep(ms(20)).await;
            assert_eq!(pool.connections(), 0);
        }
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn what_is_not_http2_is_a_protocol_error() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read(&mut stream).await.unwrap();
            write(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let error = pool_http2(&env, addr).send(get("/")).await.unwrap_err();
        assert!(matches!(error, SendError::Protocol(_)), "{error:?}");
    });
}

#[test]
fn an_idle_connection_is_closed_after_its_time_and_one_with_a_stream_is_not() {
    run(|env| async move {
        let (addr, _seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let options = PoolOptions {
            idle_timeout: Some(ms(30)),
            ..http2()
        };
        let pool = pool(&env, addr, options);
        size(&pool, "/slow/50").await;
        let rested = env.now();
        env.sleep_until(rested + ms(29)).await;
        assert_eq!(pool.idle(), 1);
        env.sleep_until(rested + ms(31)).await;
        assert_eq!(pool.connections(), 0);
    });
}

#[test]
fn a_dropped_pool_lets_its_streams_finish_and_closes_then() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        let response = pool.send(get("/size/3000000")).await.unwrap();
        drop(pool);
        env.sleep(ms(1)).await;
        assert_eq!(drain.connections(), 1);
        let body = response.into_body().collect(10_000_000).await.unwrap();
        assert_eq!(body.len(), 3_000_000);
        env.sleep(ms(1)).await;
        assert_eq!((drain.connections(), seen.cancelled.get()), (0, 0));
    });
}

/// Bytes, then trailers; all of it after a while.
struct WithTrailers(Option<Bytes>, Option<HeaderMap>);

impl HttpBody for WithTrailers {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = self.0.take().map(Frame::data);
        let frame = data.or_else(|| self.1.take().map(Frame::trailers));
        std::task::Poll::Ready(frame.map(Ok))
    }
}

/// A server that answers with trailers, and notes those that it got.
fn serve_trailers(env: &Env, at: SocketAddr) -> (SocketAddr, Rc<RefCell<Vec<HeaderMap>>>) {
    let got = Rc::new(RefCell::new(Vec::new()));
    let listener = env.listen(at).unwrap();
    let (addr, own, sink) = (listener.local_addr(), env.clone(), Rc::clone(&got));
    env.spawn("server", async move {
        let make = |_| {
            let sink = Rc::clone(&sink);
            move |request: Request<Body>| {
                let sink = Rc::clone(&sink);
                async move {
                    let mut body = request.into_body();
                    while let Some(frame) = next(&mut body).await {
                        if let Ok(trailers) = frame.into_trailers() {
                            sink.borrow_mut().push(trailers);
                        }
                    }
                    Response::new(WithTrailers(
                        Some(Bytes::from_static(b"data")),
                        Some(status("5")),
                    ))
                }
            }
        };
        let options = ServerOptions::default();
        let drain = crate::Drain::new();
        crate::accept_auto_until(
            &own,
            listener,
            &options,
            "connection",
            &drain,
            make,
            |_, _| {},
        )
        .await;
    });
    (addr, got)
}

async fn next(body: &mut Body) -> Option<Frame<Bytes>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))
        .await
        .map(Result::unwrap)
}

fn status(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), value.parse().unwrap())])
}

#[test]
fn trailers_pass_through_both_ways() {
    run(|env| async move {
        let (back, got) = serve_trailers(&env, ANY);
        let front = forward_auto(&env, ANY, pool_http2(&env, back));
        // A body with trailers needs a stream of its own making.
        let stream = env.connect(front, None).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(TokioIo::new(stream)).await.unwrap();
        env.spawn("client", async move {
            let _ = connection.await;
        });
        let request = Request::post("http://here/").body(()).unwrap();
        let (response, mut send) = sender.send_request(request, false).unwrap();
        send.send_data(Bytes::from_static(b"message"), false)
            .unwrap();
        send.send_trailers(status("9")).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "data");
        assert_eq!(body.trailers().await.unwrap(), Some(status("5")));
        assert_eq!(*got.borrow(), [status("9")]);
    });
}

/// A server that passes every request to `upstream` as it is.
fn forward_auto(env: &Env, at: SocketAddr, upstream: Pool) -> SocketAddr {
    let listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let own = env.clone();
    env.spawn("front", async move {
        let make = |_| {
            let upstream = upstream.clone();
            move |request: Request<Body>| {
                let upstream = upstream.clone();
                async move { upstream.send(request).await.unwrap() }
            }
        };
        let options = ServerOptions::default();
        let drain = crate::Drain::new();
        crate::accept_auto_until(&own, listener, &options, "front", &drain, make, |_, _| {}).await;
    });
    addr
}

#[test]
fn every_pair_of_protocols_carries_a_stream_through_a_chain() {
    run(|env| chains(env, ANY));
}

#[test]
fn every_pair_of_protocols_carries_a_stream_through_a_real_chain() {
    run_real(|env| chains(env, "127.0.0.1:0".parse().unwrap()));
}

async fn chains(env: Env, any: SocketAddr) {
    let (back, _seen, _) = serve_auto_at(&env, any, &ServerOptions::default());
    for down in [Protocol::Http1, Protocol::Http2] {
        for up in [Protocol::Http1, Protocol::Http2] {
            let options = |protocol| PoolOptions {
                protocol,
                ..defaults()
            };
            let upstream = pool(&env, back, options(up));
            let front = forward_auto(&env, any, upstream.clone());
            let client = pool(&env, front, options(down));
            for length in [0, 1, 1_000_000, 3_000_000] {
                let body = vec![b'y'; length];
                let got = fetch(&client, post("/stream", body.clone())).await;
                assert!(got == body, "{down:?} {up:?} {length}");
            }
            let mut head = get("/size/100");
            *head.method_mut() = http::Method::HEAD;
            let response = client.send(head).await.unwrap();
            assert_eq!(response.headers()[CONTENT_LENGTH], "100", "{down:?} {up:?}");
            assert!(response.body().is_end_stream());
            let none = client.send(get("/none")).await.unwrap();
            assert_eq!(
                (none.status().as_u16(), none.body().is_end_stream()),
                (204, true)
            );
            assert_eq!((client.connections(), upstream.connections()), (1, 1));
        }
    }
}

#[test]
fn a_request_whose_body_breaks_off_is_told_from_a_failed_upstream() {
    run(|env| async move {
        let (back, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let upstream = pool_http2(&env, back);
        let (own, errors) = (env.clone(), Rc::new(RefCell::new(Vec::new())));
        let sink = Rc::clone(&errors);
        let front = serve_raw(&env, move |stream: BoxStream| {
            let (env, upstream, sink) = (own.clone(), upstream.clone(), Rc::clone(&sink));
            async move {
                let options = ServerOptions {
                    half_close: true,
                    ..ServerOptions::default()
                };
                let service = move |request: Request<hyper::body::Incoming>| {
                    let (upstream, sink) = (upstream.clone(), Rc::clone(&sink));
                    async move {
                        let error = upstream.send(request.map(Body::from)).await.unwrap_err();
                        sink.borrow_mut()
                            .push(matches!(error, SendError::RequestBody(_)));
                        http::Response::new(Body::empty())
                    }
                };
                let _ = crate::serve_http1(&env, stream, &options, service).await;
            }
        });
        let mut stream = env.connect(front, None).await.unwrap();
        let half = b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf";
        write(&mut stream, half).await.unwrap();
        env.sleep(ms(5)).await;
        drop(stream);
        env.sleep(ms(5)).await;
        assert_eq!((&*errors.borrow(), seen.requests.get()), (&vec![true], 1));
    });
}

#[test]
fn streams_count_as_requests_and_connections_by_themselves() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let quota = Quota::new(QuotaLimits {
            connections: 1,
            pending: 10,
            requests: 3,
        });
        let options = PoolOptions {
            quota: Some(quota.clone()),
            ..http2()
        };
        let pool = pool(&env, addr, options);
        let all = join_all((0..5).map(|_| pool.send(get("/slow/5")))).await;
        let refused = all.iter().filter(|result| {
            matches!(
                result,
                Err(SendError::Overflow {
                    bound: crate::Bound::Requests
                })
            )
        });
        assert_eq!((refused.count(), seen.connections.get()), (2, 1));
        drop(all);
        let used = quota.in_use();
        assert_eq!((used.connections, used.pending, used.requests), (1, 0, 0));
    });
}

#[test]
fn a_connection_that_had_many_streams_cut_off_is_replaced() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        for _ in 0..crate::h2::RESETS_MAX {
            drop(pool.send(get("/size/100000")).await.unwrap());
        }
        assert_eq!(seen.connections.get(), 1);
        assert_eq!(size(&pool, "/size/1").await, 1);
        assert_eq!(seen.connections.get(), 2);
    });
}

/// What happens, in order, with its time.
fn journal() -> Vec<String> {
    let journal = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&journal);
    run_apart(move |near, far| async move {
        let (addr, _seen, _) = serve_auto_at(&far, ANY_FAR, &ServerOptions::default());
        let pool = pool_http2(&near, addr);
        let paths = [
            "/slow/3",
            "/size/200000",
            "/never",
            "/size/1",
            "/slow/3",
            "/none",
        ];
        let one = |number: usize| {
            let (near, pool, sink) = (near.clone(), pool.clone(), Rc::clone(&sink));
            async move {
                let path = paths[number % paths.len()];
                near.sleep(ms(number as u64 % 7)).await;
                let response = near.timeout(ms(50), pool.send(get(path))).await;
                let end = match response {
                    Ok(Ok(response)) => {
                        let body = response.into_body().collect(1_000_000).await;
                        format!("{:?}", body.map(|body| body.len()))
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "late".to_owned(),
                };
                let line = format!("{:?} {number} {path} {end}", near.now());
                sink.borrow_mut().push(line);
            }
        };
        join_all((0..200).map(one)).await;
    });
    Rc::into_inner(journal).unwrap().into_inner()
}

#[test]
fn two_runs_have_the_same_order_of_events() {
    let (one, two) = (journal(), journal());
    assert_eq!(one.len(), 200);
    assert_eq!(one, two);
}
