//! Servers that accept HTTP/1.1 and HTTP/2 on one port.

use std::cell::Cell;

use futures_util::future::join;
use hyper_util::rt::TokioIo;

use super::*;
use crate::h2::PREFACE;
use crate::scene::frames::hello;
use crate::scene::{pool_http2, serve_auto_at};

pub(super) fn serve_auto(env: &Env, options: &ServerOptions) -> (SocketAddr, Rc<ServerLog>, Drain) {
    serve_auto_at(env, ANY, options)
}

#[test]
fn a_preface_that_comes_byte_by_byte_is_one() {
    run(|env| async move {
        let (addr, _seen, _) = serve_auto(&env, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        let hello = hello();
        let (preface, settings) = hello.split_at(PREFACE.len());
        for byte in preface {
            write(&mut stream, &[*byte]).await.unwrap();
            env.sleep(ms(1)).await;
        }
        write(&mut stream, settings).await.unwrap();
        let answer = crate::scene::read(&mut stream).await.unwrap();
        assert_eq!(answer[3], 4, "a SETTINGS frame: {answer:?}");
    });
}

#[test]
fn what_only_begins_like_a_preface_is_http1() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, b"P").await.unwrap();
        env.sleep(ms(1)).await;
        write(&mut stream, b"ROPFIND /size/1 HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        let answer = read_until(&mut stream, "x").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(seen.requests.get(), 1);
    });
}

#[test]
fn a_client_that_says_nothing_is_let_go_after_the_idle_time() {
    run(|env| async move {
        let options = ServerOptions {
            idle_timeout: Some(ms(30)),
            ..defaults()
        };
        let (addr, _seen, _) = serve_auto(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        let began = env.now();
        assert_eq!(read_until(&mut stream, "never comes").await, "");
        assert_eq!(env.now().since(began), ms(30));
    });
}

#[test]
fn http2_requests_look_like_http1s_to_the_service() {
    run(|env| async move {
        let listener = env.listen(ANY).unwrap();
        let (addr, own) = (listener.local_addr(), env.clone());
        let heads = Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = Rc::clone(&heads);
        env.spawn("server", async move {
            let make = move |_| {
                let sink = Rc::clone(&sink);
                move |request: Request<Body>| {
                    let host = request.headers()["host"].to_str().unwrap().to_owned();
                    sink.borrow_mut().push((request.uri().to_string(), host));
                    async { Response::new(Body::empty()) }
                }
            };
            let drain = Drain::new();
            accept_auto_until(&own, listener, &defaults(), "c", &drain, make, |_, _| {}).await;
        });
        fetch(&pool_http2(&env, addr), get("/path?query")).await;
        assert_eq!(
            *heads.borrow(),
            [("/path?query".to_owned(), "here".to_owned())]
        );
    });
}

#[test]
fn the_last_request_of_an_http2_connection_is_told_so() {
    run(|env| async move {
        let options = ServerOptions {
            max_requests_per_connection: Some(2),
            ..defaults()
        };
        let (addr, seen, _) = serve_auto(&env, &options);
        let pool = pool_http2(&env, addr);
        for _ in 0..4 {
            fetch(&pool, get("/size/1")).await;
            env.sleep(ms(1)).await;
        }
        assert_eq!((seen.connections.get(), seen.requests.get()), (2, 4));
    });
}

#[test]
fn retiring_connections_serve_one_request_more_and_refuse_new_ones() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto(&env, &defaults());
        let (old, new) = (
            pool(&env, addr, PoolOptions::default()),
            pool_http2(&env, addr),
        );
        fetch(&old, get("/size/1")).await;
        fetch(&new, get("/size/1")).await;
        drain.retire();
        env.sleep(ms(5)).await;
        assert_eq!(drain.connections(), 2);
        assert!(env.connect(addr, None).await.is_err());
        let response = old.send(get("/size/1")).await.unwrap();
        assert_eq!(response.headers()[CONNECTION], "close");
        drop(response);
        fetch(&new, get("/size/1")).await;
        env.sleep(ms(5)).await;
        assert_eq!((drain.connections(), seen.requests.get()), (0, 4));
        assert_eq!((old.connections(), new.connections()), (0, 0));
    });
}

#[test]
fn a_drain_lets_streams_finish_and_a_stop_does_not() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto(&env, &defaults());
        let pool = pool_http2(&env, addr);
        let slow = pool.send(get("/slow/30"));
        let never = pool.send(get("/never"));
        let (slow, (never, ())) = join(
            slow,
            join(never, async {
                env.sleep(ms(5)).await;
                drain.begin();
                env.sleep(ms(50)).await;
                assert_eq!((drain.connections(), seen.cancelled.get()), (1, 0));
                drain.stop();
            }),
        )
        .await;
        assert_eq!(slow.unwrap().status(), 200);
        assert!(never.is_err());
        drain.finished().await;
        env.sleep(ms(1)).await;
        assert_eq!(seen.cancelled.get(), 1);
    });
}

#[test]
fn a_drain_waits_for_a_stream_however_long_it_takes() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto(&env, &defaults());
        let pool = pool_http2(&env, addr);
        let began = env.now();
        let (slow, ()) = join(pool.send(get("/slow/20000")), async {
            env.sleep(ms(5)).await;
            drain.begin();
        })
        .await;
        assert_eq!(slow.unwrap().status(), 200);
        assert_eq!(env.now().since(began), ms(20_000));
        drain.finished().await;
        assert_eq!(seen.cancelled.get(), 0);
    });
}

#[test]
fn a_client_with_many_reset_streams_is_asked_to_reconnect() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let stream = env.connect(addr, None).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(TokioIo::new(stream)).await.unwrap();
        let ended = Rc::new(Cell::new(false));
        let sink = Rc::clone(&ended);
        env.spawn("client", async move {
            let _ = connection.await;
            sink.set(true);
        });
        for _ in 0..crate::h2::RESETS_MAX {
            let request = Request::get("http://h/never").body(()).unwrap();
            let cut = sender.send_request(request, true).unwrap();
            env.sleep(ms(1)).await;
            drop(cut);
        }
        env.sleep(ms(1)).await;
        assert_eq!(seen.cancelled.get(), crate::h2::RESETS_MAX);
        assert!(!ended.get());
        let request = Request::get("http://h/none").body(()).unwrap();
        let (last, _) = sender.send_request(request, true).unwrap();
        assert_eq!(last.await.unwrap().status(), 204, "the last is served");
        drop(sender);
        env.sleep(ms(1)).await;
        assert!(
            ended.get(),
            "and the connection ends, long before it has been idle"
        );
    });
}

#[test]
fn bytes_read_for_protocol_detection_are_returned_in_chunks_of_any_size() {
    run(|env| async move {
        let text: &[u8] = b"PRI /a-path-that-is-none HTTP/1.1\r\n\r\n";
        let got = Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = Rc::clone(&got);
        let addr = crate::scene::serve_raw(&env, move |stream| {
            let sink = Rc::clone(&sink);
            async move {
                let mut stream = sniffed(stream);
                let is = std::future::poll_fn(|cx| poll_is_http2(&mut stream, cx)).await;
                assert!(!is.unwrap());
                loop {
                    let mut space = [0; 3];
                    let mut buf = hyper::rt::ReadBuf::new(&mut space);
                    let read = std::future::poll_fn(|cx| {
                        let stream = std::pin::Pin::new(&mut stream);
                        hyper::rt::Read::poll_read(stream, cx, buf.unfilled())
                    });
                    if read.await.is_err() || buf.filled().is_empty() {
                        return;
                    }
                    sink.borrow_mut().extend_from_slice(buf.filled());
                }
            }
        });
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, text).await.unwrap();
        env.sleep(ms(5)).await;
        assert_eq!(&got.borrow()[..], text);
    });
}

#[test]
fn a_client_that_vanishes_cancels_its_streams() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let stream = env.connect(addr, None).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(TokioIo::new(stream)).await.unwrap();
        let task = env.spawn_owned("client", async move {
            let _ = connection.await;
        });
        let request = Request::get("http://h/never").body(()).unwrap();
        let (_response, _send) = sender.send_request(request, true).unwrap();
        env.sleep(ms(5)).await;
        assert_eq!((seen.requests.get(), seen.cancelled.get()), (1, 0));
        drop(task);
        env.sleep(ms(5)).await;
        assert_eq!(seen.cancelled.get(), 1);
    });
}

#[test]
fn a_head_beyond_its_limit_is_answered_431_over_http2() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let mut request = get("/size/1");
        let big = "x".repeat(61 * 1024);
        request.headers_mut().insert("big", big.parse().unwrap());
        let response = pool_http2(&env, addr).send(request).await.unwrap();
        assert_eq!((response.status().as_u16(), seen.requests.get()), (431, 0));
    });
}

#[test]
fn a_head_beyond_its_limit_reaches_a_service_that_refuses_it() {
    run(|env| async move {
        let options = ServerOptions {
            service_refuses: true,
            ..defaults()
        };
        let (addr, seen, _) = serve_auto(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        let big = "x".repeat(61 * 1024);
        let head = format!("GET / HTTP/1.1\r\nhost: h\r\nbig: {big}\r\n\r\n");
        write(&mut stream, head.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "never comes").await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(seen.requests.get(), 1);
    });
}

#[test]
fn a_request_that_is_answered_early_does_not_hold_its_connection() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let pool = pool_http2(&env, addr);
        let sent = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let response = pool
                .send(crate::scene::post("/none", vec![b'x'; 5_000_000]))
                .await;
            sent.set(sent.get() + usize::from(response.unwrap().status() == 204));
        }
        assert_eq!((sent.get(), seen.connections.get(), pool.idle()), (3, 1, 1));
        assert_eq!(
            fetch(&pool, crate::scene::post("/echo", "hello")).await,
            "hello"
        );
    });
}
