//! Failing connections, and callers that give up.

use super::*;

#[test]
fn a_body_that_is_dropped_early_closes_its_connection() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        drop(pool.send(get("/size/1000000")).await.unwrap());
        env.sleep(ms(5)).await;
        assert_eq!((pool.connections(), pool.idle(), pool.active()), (0, 0, 0));
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 2);
    });
}

#[test]
fn a_dropped_send_closes_its_connection_and_cancels_at_the_server() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        assert!(env.timeout(ms(20), pool.send(get("/never"))).await.is_err());
        env.sleep(ms(20)).await;
        assert_eq!((seen.requests.get(), seen.cancelled.get()), (1, 1));
        assert_eq!((pool.connections(), pool.idle(), pool.pending()), (0, 0, 0));
    });
}

#[test]
fn a_dropped_queued_send_leaves_its_connection_to_the_next_send() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        {
            let mut waiting = std::pin::pin!(pool.send(get("/size/1")));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert_eq!((pool.pending(), pool.connecting()), (1, 1));
        }
        assert_eq!(pool.pending(), 0);
        env.sleep(ms(5)).await;
        assert_eq!((pool.connecting(), pool.idle()), (0, 1));
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn a_connection_that_comes_as_its_request_is_given_up_is_kept() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        {
            let mut waiting = std::pin::pin!(pool.send(get("/size/1")));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            // A connection has been assigned, but the future has not been polled since.
            env.sleep(ms(5)).await;
            assert_eq!((pool.pending(), pool.active()), (0, 1));
        }
        env.sleep(ms(5)).await;
        assert_eq!((pool.connections(), pool.idle()), (1, 1));
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn a_refused_connect_fails_all_that_wait_for_it() {
    run(|env| async move {
        let gone = env.listen(ANY).unwrap().local_addr();
        let pool = pool(&env, gone, defaults());
        let all = join_all((0..3).map(|_| pool.send(get("/")))).await;
        for result in all {
            let error = result.unwrap_err();
            assert!(error.is_connect_failure() && !error.on_wire() && !error.before_headers());
            let SendError::Connect(cause) = error else {
                panic!("{error:?}")
            };
            assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
        }
        assert_eq!(
            (pool.connections(), pool.connecting(), pool.pending()),
            (0, 0, 0)
        );
    });
}

#[test]
fn a_connection_that_the_peer_closed_while_idle_is_not_used() {
    run(|env| async move {
        let options = ServerOptions {
            idle_timeout: Some(ms(5)),
            ..ServerOptions::default()
        };
        let (addr, seen) = serve(&env, &options);
        let pool = pool(&env, addr, defaults());
        fetch(&pool, get("/size/1")).await;
        env.sleep(ms(20)).await;
        assert_eq!((pool.connections(), pool.idle()), (0, 0));
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 2);
    });
}

#[test]
fn a_request_moves_to_another_connection_if_an_unnoticed_close_has_arrived() {
    run_apart(|near, far| async move {
        let mut listener = far.listen(ANY_FAR).unwrap();
        let pool = pool(&near, listener.local_addr(), defaults());
        let answer = async |listener: &mut BoxListener| {
            let mut stream = listener.accept().await.unwrap();
            read_until(&mut stream, "\r\n\r\n").await;
            write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            stream
        };
        let (_, first) = join(fetch(&pool, get("/")), answer(&mut listener)).await;
        // This timer is older than the FIN, which arrives at the same instant. The test's task therefore runs first,
        // before the connection's task sees the close.
        let mut arrival = near.sleep(LATENCY);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(arrival.as_mut().poll(&mut cx).is_pending());
        drop(first);
        arrival.await;
        assert_eq!(pool.idle(), 1);
        let (response, _second) = join(pool.send(get("/")), answer(&mut listener)).await;
        assert_eq!(response.unwrap().status(), 200);
        assert_eq!(pool.connections(), 1);
    });
}

#[test]
fn a_close_during_request_transit_is_an_error_visible_to_the_caller() {
    run_apart(|near, far| async move {
        let mut listener = far.listen(ANY_FAR).unwrap();
        let pool = pool(&near, listener.local_addr(), defaults());
        let first = async {
            let mut stream = listener.accept().await.unwrap();
            read_until(&mut stream, "\r\n\r\n").await;
            write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            stream
        };
        let (_, first) = join(fetch(&pool, get("/")), first).await;
        drop(first);
        let error = pool.send(get("/")).await.unwrap_err();
        assert!(
            matches!(error, SendError::Terminated { on_wire: true, .. }),
            "{error:?}"
        );
    });
}

#[test]
fn a_connect_without_an_answer_ends_at_its_time() {
    run(|env| async move {
        let nowhere = "10.9.9.9:80".parse().unwrap();
        let pool = pool(&env, nowhere, defaults());
        let began = env.now();
        let error = pool.send(get("/")).await.unwrap_err();
        assert_eq!(env.now().since(began), ms(10_000));
        assert!(matches!(error, SendError::ConnectTimeout));
        assert!(error.is_connect_failure() && !error.on_wire());
    });
}

#[test]
fn a_connection_closed_before_the_headers_is_an_on_wire_error() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
        });
        let error = pool(&env, addr, defaults())
            .send(get("/"))
            .await
            .unwrap_err();
        assert!(error.on_wire() && error.before_headers() && !error.is_connect_failure());
        assert!(
            matches!(
                error,
                SendError::Terminated {
                    on_wire: true,
                    reset: false
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn a_connection_that_is_reset_before_the_headers_says_so() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.reset_on_drop();
        });
        let error = pool(&env, addr, defaults())
            .send(get("/"))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                SendError::Terminated {
                    on_wire: true,
                    reset: true
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            write(&mut stream, b"nonsense\r\n\r\n").await.unwrap();
            let _ = read(&mut stream).await;
        });
        let error = pool(&env, addr, defaults())
            .send(get("/"))
            .await
            .unwrap_err();
        assert!(matches!(error, SendError::Protocol(_)), "{error:?}");
    });
}

#[test]
fn a_truncated_body_is_an_error_and_removes_its_connection() {
    run(|env| async move {
        let addr = serve_raw(&env, |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            )
            .await
            .unwrap();
        });
        let pool = pool(&env, addr, defaults());
        let response = pool.send(get("/")).await.unwrap();
        assert!(response.into_body().collect(100).await.is_err());
        env.sleep(ms(1)).await;
        assert_eq!((pool.connections(), pool.idle()), (0, 0));
    });
}

#[test]
fn a_request_whose_body_breaks_off_is_told_from_a_failed_upstream() {
    run(|env| async move {
        let (back, _seen) = serve(&env, &ServerOptions::default());
        let upstream = pool(&env, back, defaults());
        let errors = Rc::new(RefCell::new(Vec::new()));
        let listener = env.listen(ANY).unwrap();
        let front = listener.local_addr();
        let (own, sink) = (env.clone(), Rc::clone(&errors));
        // The client breaks the body off, so the server must not cancel the request by itself.
        let options = ServerOptions {
            half_close: true,
            ..ServerOptions::default()
        };
        env.spawn("front", async move {
            let make = |_connected| {
                let (upstream, errors) = (upstream.clone(), Rc::clone(&sink));
                move |request: Request<hyper::body::Incoming>| {
                    let (upstream, errors) = (upstream.clone(), Rc::clone(&errors));
                    async move {
                        let error = upstream.send(request.map(Body::from)).await.unwrap_err();
                        errors
                            .borrow_mut()
                            .push(matches!(error, SendError::RequestBody(_)));
                        http::Response::new(Body::empty())
                    }
                }
            };
            crate::accept_loop(&own, listener, &options, "front", make).await;
        });
        let mut stream = env.connect(front, None).await.unwrap();
        write(
            &mut stream,
            b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf",
        )
        .await
        .unwrap();
        env.sleep(ms(5)).await;
        drop(stream);
        env.sleep(ms(5)).await;
        assert_eq!(*errors.borrow(), [true]);
    });
}

#[test]
fn a_body_longer_than_allowed_is_not_collected() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        let response = pool.send(get("/size/100")).await.unwrap();
        let refused = response.into_body().collect(99).await.unwrap_err();
        assert!(matches!(
            refused,
            crate::CollectError::TooLarge { limit: 99 }
        ));
    });
}
