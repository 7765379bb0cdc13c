//! A pool with servers on a simulated network, and once on the real one.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Waker};

use futures_util::future::{join, join_all};
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use shakedown_env::BoxListener;

use super::shared::UNUSED_MAX;
use super::*;
use crate::scene::{
    ANY, ANY_FAR, LATENCY, fetch, get, ms, pool, post, read, read_until, run, run_apart, run_real,
    serve, serve_at, serve_raw, write,
};
use crate::{Body, ServerOptions};

mod churn;
mod failures;
mod http2;

fn defaults() -> PoolOptions {
    PoolOptions::default()
}

#[test]
fn requests_one_after_another_share_a_connection() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        for path in [
            "/size/0",
            "/size/10",
            "/none",
            "/size/1000000",
            "/slow/1",
            "/size/1",
        ] {
            fetch(&pool, get(path)).await;
            assert_eq!(
                (pool.connections(), pool.idle(), pool.active()),
                (1, 1, 0),
                "{path}"
            );
        }
        assert_eq!((seen.connections.get(), seen.requests.get()), (1, 6));
    });
}

#[test]
fn requests_at_once_have_a_connection_each_and_leave_them_idle() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        join_all((0..5).map(|_| fetch(&pool, get("/slow/20")))).await;
        assert_eq!((pool.connections(), pool.idle()), (5, 5));
        join_all((0..5).map(|_| fetch(&pool, get("/slow/20")))).await;
        assert_eq!((seen.connections.get(), seen.requests.get()), (5, 10));
    });
}

#[test]
fn connections_whose_requests_have_given_up_are_not_kept() {
    run_apart(|near, far| async move {
        let (addr, seen) = serve_at(&far, ANY_FAR, &ServerOptions::default());
        let pool = pool(&near, addr, defaults());
        let many = join_all((0..100).map(|_| pool.send(get("/size/1"))));
        near.timeout(LATENCY, many).await.unwrap_err();
        assert_eq!((pool.connecting(), pool.pending()), (100, 0));
        assert!(pool.shared.state.borrow().waiting.len() <= UNUSED_MAX);
        near.sleep(20 * LATENCY).await;
        assert_eq!((pool.connecting(), pool.connections()), (0, UNUSED_MAX));
        assert_eq!(seen.connections.get(), 100);
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 100, "one that was kept serves");
    });
}

#[test]
fn a_response_holds_its_connection_until_its_body_has_ended() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        let response = pool.send(get("/size/10")).await.unwrap();
        assert_eq!((pool.active(), pool.idle()), (1, 0));
        response.into_body().collect(10).await.unwrap();
        assert_eq!((pool.active(), pool.idle()), (0, 1));
    });
}

#[test]
fn a_connection_is_idle_as_soon_as_its_body_signals_the_end() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        let mut body = pool.send(get("/size/10")).await.unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(10));
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap().len(), 10);
        assert!(body.is_end_stream());
        assert_eq!(pool.idle(), 1);
    });
}

#[test]
fn the_connection_used_last_is_used_next() {
    run(|env| async move {
        let ports = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&ports);
        let addr = serve_raw(&env, move |mut stream| {
            let ports = Rc::clone(&sink);
            async move {
                while read_until(&mut stream, "\r\n\r\n").await.contains("GET") {
                    ports.borrow_mut().push(stream.peer_addr().port());
                    write(
                        &mut stream,
                        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
                    )
                    .await
                    .unwrap();
                }
            }
        });
        let pool = pool(&env, addr, defaults());
        let (first, second) = join(pool.send(get("/1")), pool.send(get("/2"))).await;
        second.unwrap().into_body().collect(1).await.unwrap();
        let second_port = ports.borrow()[1];
        first.unwrap().into_body().collect(1).await.unwrap();
        let first_port = ports.borrow()[0];
        fetch(&pool, get("/3")).await;
        assert_eq!(*ports.borrow(), [first_port, second_port, first_port]);
    });
}

#[test]
fn a_request_in_line_takes_the_connection_that_is_free_first() {
    run_apart(|near, far| async move {
        let (addr, seen) = serve_at(&far, ANY_FAR, &ServerOptions::default());
        let pool = pool(&near, addr, defaults());
        // Connected after 20 ms, response after another 25 ms.
        let began = near.now();
        let first = fetch(&pool, get("/slow/5"));
        let second = async {
            near.sleep(ms(40)).await;
            let sent_at = near.now();
            fetch(&pool, get("/size/1")).await;
            // A new connection would be ready at 60 ms, but the first request's connection was free at 45 ms.
            assert_eq!(
                (sent_at.since(began), near.now().since(began)),
                (ms(40), ms(65))
            );
        };
        join(first, second).await;
        near.sleep(ms(100)).await;
        // The connection that was opened for it stays idle.
        assert_eq!(
            (pool.connections(), pool.idle(), seen.connections.get()),
            (2, 2, 2)
        );
    });
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let options = PoolOptions {
            idle_timeout: Some(ms(30)),
            ..defaults()
        };
        let pool = pool(&env, addr, options);
        fetch(&pool, get("/size/1")).await;
        env.sleep(ms(15)).await;
        fetch(&pool, get("/size/1")).await;
        let rested = env.now();
        env.sleep_until(rested + ms(29)).await;
        assert_eq!((pool.connections(), pool.idle()), (1, 1));
        env.sleep_until(rested + ms(31)).await;
        assert_eq!((pool.connections(), pool.idle()), (0, 0));
    });
}

#[test]
fn a_connection_ends_after_its_most_requests() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let options = PoolOptions {
            max_requests_per_connection: Some(2),
            ..defaults()
        };
        let pool = pool(&env, addr, options);
        for _ in 0..5 {
            fetch(&pool, get("/size/1")).await;
        }
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn a_connection_that_is_old_enough_takes_no_more_requests() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let options = PoolOptions {
            max_connection_duration: Some(ms(30)),
            ..defaults()
        };
        let pool = pool(&env, addr, options);
        fetch(&pool, get("/size/1")).await;
        env.sleep(ms(29)).await;
        assert_eq!(pool.connections(), 1);
        // A connection with a request finishes it.
        let slow = pool.send(get("/slow/5"));
        let began = env.now();
        slow.await.unwrap().into_body().collect(1).await.unwrap();
        assert_eq!(env.now().since(began), ms(5));
        env.sleep(ms(1)).await;
        assert_eq!((pool.connections(), seen.connections.get()), (0, 1));
    });
}

#[test]
fn without_reuse_every_request_has_a_new_connection() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(
            &env,
            addr,
            PoolOptions {
                reuse: false,
                ..defaults()
            },
        );
        for _ in 0..3 {
            fetch(&pool, get("/size/1")).await;
            assert_eq!(pool.idle(), 0);
        }
        assert_eq!(seen.connections.get(), 3);
    });
}

#[test]
fn a_server_that_closes_after_its_response_is_obeyed() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        fetch(&pool, get("/close")).await;
        fetch(&pool, get("/size/1")).await;
        assert_eq!(seen.connections.get(), 2);
    });
}

#[test]
fn a_dropped_pool_closes_idle_connections_and_lets_busy_ones_finish() {
    run(|env| async move {
        let (closed, ends) = (Rc::new(RefCell::new(0)), Rc::new(RefCell::new(0)));
        let (one, two) = (Rc::clone(&closed), Rc::clone(&ends));
        let addr = serve_raw(&env, move |mut stream| {
            let (closed, ends) = (Rc::clone(&one), Rc::clone(&two));
            async move {
                while read_until(&mut stream, "\r\n\r\n").await.contains("GET") {
                    write(
                        &mut stream,
                        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
                    )
                    .await
                    .unwrap();
                    *ends.borrow_mut() += 1;
                }
                *closed.borrow_mut() += 1;
            }
        });
        let pool = pool(&env, addr, defaults());
        let (busy, idle) = join(pool.send(get("/")), fetch(&pool, get("/"))).await;
        assert_eq!((idle.len(), pool.idle()), (1, 1));
        // Let the connections' tasks suspend, so that only the pool's drop can wake them.
        env.sleep(ms(5)).await;
        drop(pool);
        env.sleep(ms(5)).await;
        assert_eq!(*closed.borrow(), 1);
        busy.unwrap().into_body().collect(1).await.unwrap();
        env.sleep(ms(5)).await;
        assert_eq!((*closed.borrow(), *ends.borrow()), (2, 2));
    });
}

#[test]
fn bodies_have_the_right_length_on_the_wire() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let pool = pool(&env, addr, defaults());
        assert_eq!(fetch(&pool, post("/echo", "hello")).await, "hello");
        fetch(&pool, get("/size/0")).await;
        assert_eq!(*seen.log.borrow(), ["/echo 5", "/size/0 -"]);
        let response = pool.send(get("/size/7")).await.unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], "7");
        let response = pool.send(get("/size/0")).await.unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], "0");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn a_streamed_body_passes_through_a_chain_and_its_connections_are_reused() {
    run(|env| pass_through_a_chain(env, ANY));
}

#[test]
fn a_streamed_body_passes_through_a_real_chain() {
    run_real(|env| pass_through_a_chain(env, "127.0.0.1:0".parse().unwrap()));
}

/// Starts a server that passes every request to `upstream` unchanged.
fn forward(env: &Env, at: SocketAddr, upstream: Pool) -> SocketAddr {
    let listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let own = env.clone();
    env.spawn("front", async move {
        let make = |_connected| {
            let upstream = upstream.clone();
            move |request: Request<hyper::body::Incoming>| {
                let upstream = upstream.clone();
                async move { upstream.send(request.map(Body::from)).await.unwrap() }
            }
        };
        crate::accept_loop(&own, listener, &ServerOptions::default(), "front", make).await;
    });
    addr
}

async fn pass_through_a_chain(env: Env, any: SocketAddr) {
    let (back, seen) = serve_at(&env, any, &ServerOptions::default());
    let upstream = pool(&env, back, defaults());
    let front = forward(&env, any, upstream.clone());
    let pool = pool(&env, front, defaults());
    for size in [0, 1, 1_000_000, 3_000_000] {
        let body = vec![b'y'; size];
        assert_eq!(fetch(&pool, post("/stream", body.clone())).await, body);
    }
    assert_eq!(
        (
            seen.connections.get(),
            pool.connections(),
            upstream.connections()
        ),
        (1, 1, 1)
    );
    assert_eq!((pool.idle(), upstream.idle()), (1, 1));
}

#[test]
fn responses_without_a_body_pass_through_a_chain_with_their_headers() {
    run(|env| async move {
        let (back, _seen) = serve(&env, &ServerOptions::default());
        let front = forward(&env, ANY, pool(&env, back, defaults()));
        let pool = pool(&env, front, defaults());
        let mut head = get("/size/100");
        *head.method_mut() = http::Method::HEAD;
        let response = pool.send(head).await.unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], "100");
        assert!(response.body().is_end_stream());
        let response = pool.send(get("/none")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.body().is_end_stream()),
            (204, true)
        );
        assert_eq!((pool.connections(), pool.idle()), (1, 1));
    });
}

#[test]
fn a_connection_answered_early_is_idle_after_its_request_is_sent() {
    run(|env| async move {
        let back = serve_raw(&env, |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            while read(&mut stream).await.is_ok_and(|bytes| !bytes.is_empty()) {}
        });
        let upstream = pool(&env, back, defaults());
        let front = forward(&env, ANY, upstream.clone());
        let mut client = env.connect(front, None).await.unwrap();
        write(
            &mut client,
            b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\n\r\nhalf",
        )
        .await
        .unwrap();
        assert!(
            read_until(&mut client, "\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert_eq!((upstream.active(), upstream.idle()), (1, 0));
        write(&mut client, b"rest").await.unwrap();
        env.sleep(ms(1)).await;
        assert_eq!((upstream.active(), upstream.idle()), (0, 1));
    });
}
