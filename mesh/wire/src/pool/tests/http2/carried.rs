//! Contents of HTTP/2 streams: trailers, and whole messages through chains of both protocols.

use super::*;

/// A body of data followed by trailers.
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

/// Starts a server that responds with trailers, and records those that it receives.
fn serve_trailers(env: &Env, at: SocketAddr) -> (SocketAddr, Rc<RefCell<Vec<HeaderMap>>>) {
    let got = Rc::new(RefCell::new(Vec::new()));
    let listener = env.listen(at).unwrap();
    let (addr, own, sink) = (listener.local_addr(), env.clone(), Rc::clone(&got));
    env.spawn("server", async move {
        let make = move |_| {
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

async fn next<B>(body: &mut B) -> Option<Frame<Bytes>>
where
    B: HttpBody<Data = Bytes, Error = BodyError> + Unpin,
{
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
        // The request needs trailers, so its stream is opened with h2 directly.
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

/// Starts a server that passes every request to `upstream` unchanged.
fn forward_auto(env: &Env, at: SocketAddr, upstream: Pool) -> SocketAddr {
    let listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let own = env.clone();
    env.spawn("front", async move {
        let make = move |_| {
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
    for down in [PoolProtocol::Http1, PoolProtocol::Http2] {
        for up in [PoolProtocol::Http1, PoolProtocol::Http2] {
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
fn a_stream_is_over_with_its_trailers() {
    run(|env| async move {
        let (back, _got) = serve_trailers(&env, ANY);
        let pool = pool_http2(&env, back);
        let mut body = pool.send(get("/")).await.unwrap().into_body();
        assert_eq!(next(&mut body).await.unwrap().into_data().unwrap(), "data");
        assert_eq!(pool.active(), 1);
        let trailers = next(&mut body).await.unwrap().into_trailers();
        assert_eq!(trailers.unwrap(), status("5"));
        assert_eq!(pool.active(), 0, "nobody has to ask once more");
        assert!(next(&mut body).await.is_none());
    });
}

#[test]
fn content_length_is_sent_for_any_method_but_only_with_a_body() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        for (method, body) in [("DELETE", "abc"), ("DELETE", ""), ("PUT", "")] {
            let mut request = post("/echo", body);
            *request.method_mut() = method.parse().unwrap();
            fetch(&pool, request).await;
        }
        assert_eq!(*seen.log.borrow(), ["/echo 3", "/echo -", "/echo -"]);
    });
}
