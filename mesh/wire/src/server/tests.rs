//! Servers with hand-written clients and with a pool, on a simulated network.

use std::cell::Cell;

use http::header::{CONNECTION, DATE};
use hyper::rt::Write as _;

use super::*;
use crate::PoolOptions;
use crate::scene::{ANY, ServerLog, answer, fetch, get, ms, pool, read_until, run, serve, write};

mod auto;
mod flood;

const GET: &[u8] = b"GET /size/1 HTTP/1.1\r\nhost: h\r\n\r\n";

fn defaults() -> ServerOptions {
    ServerOptions::default()
}

#[test]
fn a_connection_serves_many_requests_and_bears_no_date() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &defaults());
        let pool = pool(&env, addr, PoolOptions::default());
        let response = pool.send(get("/none")).await.unwrap();
        assert!(!response.headers().contains_key(DATE));
        assert!(!response.headers().contains_key(CONNECTION));
        fetch(&pool, get("/none")).await;
        assert_eq!((seen.connections.get(), seen.requests.get()), (1, 2));
    });
}

#[test]
fn the_last_request_of_a_connection_is_told_so() {
    run(|env| async move {
        let options = ServerOptions {
            max_requests_per_connection: Some(2),
            ..defaults()
        };
        let (addr, _seen) = serve(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, GET).await.unwrap();
        assert!(
            !read_until(&mut stream, "x")
                .await
                .contains("connection: close")
        );
        write(&mut stream, GET).await.unwrap();
        let last = read_until(&mut stream, "never comes").await;
        assert!(
            last.contains("connection: close") && last.ends_with('x'),
            "{last}"
        );
    });
}

#[test]
fn an_idle_connection_times_out_and_a_busy_one_does_not() {
    run(|env| async move {
        let options = ServerOptions {
            idle_timeout: Some(ms(30)),
            ..defaults()
        };
        let (addr, seen) = serve(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        let slow = b"GET /slow/80 HTTP/1.1\r\nhost: h\r\n\r\n";
        write(&mut stream, slow).await.unwrap();
        assert!(
            read_until(&mut stream, "\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let answered = env.now();
        assert_eq!(read_until(&mut stream, "never comes").await, "");
        assert_eq!(env.now().since(answered), ms(30));
        assert_eq!(seen.cancelled.get(), 0);
    });
}

#[test]
fn late_request_heads_are_answered_by_the_service_and_end_the_connection() {
    run(|env| async move {
        let options = ServerOptions {
            service_refuses: true,
            ..defaults()
        };
        options.head_timeout.set(Some(ms(20)));
        let (addr, seen) = serve(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        env.sleep(ms(100)).await;
        write(&mut stream, GET).await.unwrap();
        let whole = read_until(&mut stream, "x").await;
        assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
        env.sleep(ms(100)).await;
        let began = env.now();
        write(&mut stream, b"GET / HTTP/1.1\r\nhos").await.unwrap();
        let late = read_until(&mut stream, "never comes").await;
        assert!(late.contains("connection: close\r\n"), "{late}");
        assert_eq!(env.now().since(began), ms(20));
        assert_eq!(seen.requests.get(), 2, "the one that stands for it, too");
    });
}

#[test]
fn a_body_that_takes_long_is_no_late_head() {
    run(|env| async move {
        let options = defaults();
        options.head_timeout.set(Some(ms(20)));
        let (addr, _seen) = serve(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        let head = b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n";
        write(&mut stream, head).await.unwrap();
        for _ in 0..3 {
            env.sleep(ms(15)).await;
            write(&mut stream, b"y").await.unwrap();
        }
        let answer = read_until(&mut stream, "yyy").await;
        assert!(answer.ends_with("yyy"), "{answer}");
    });
}

#[test]
fn a_head_beyond_its_limit_is_answered_431() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nhost: h\r\nbig: {}\r\n\r\n",
            "x".repeat(61 * 1024)
        );
        write(&mut stream, head.as_bytes()).await.unwrap();
        assert!(
            read_until(&mut stream, "never comes")
                .await
                .starts_with("HTTP/1.1 431")
        );
        assert_eq!(seen.requests.get(), 0);
    });
}

#[test]
fn more_headers_than_allowed_are_answered_431() {
    run(|env| async move {
        let options = ServerOptions {
            max_headers: Some(2),
            ..defaults()
        };
        let (addr, _seen) = serve(&env, &options);
        let mut stream = env.connect(addr, None).await.unwrap();
        write(
            &mut stream,
            b"GET / HTTP/1.1\r\nhost: h\r\na: 1\r\nb: 2\r\n\r\n",
        )
        .await
        .unwrap();
        assert!(
            read_until(&mut stream, "never comes")
                .await
                .starts_with("HTTP/1.1 431")
        );
    });
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, b"GET /never HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        env.sleep(ms(5)).await;
        drop(stream);
        env.sleep(ms(5)).await;
        assert_eq!((seen.requests.get(), seen.cancelled.get()), (1, 1));
    });
}

#[test]
fn a_sent_request_reaches_its_service_even_if_the_caller_disconnected() {
    run(|env| async move {
        let mut listener = env.listen(ANY).unwrap();
        let mut stream = env.connect(listener.local_addr(), None).await.unwrap();
        write(&mut stream, GET).await.unwrap();
        drop(stream);
        env.sleep(ms(5)).await;
        let stream = listener.accept().await.unwrap();
        let calls = Cell::new(0);
        let service = |_: Request<Incoming>| {
            calls.set(calls.get() + 1);
            std::future::pending::<Response<Body>>()
        };
        let _ = serve_http1_until(&env, stream, &defaults(), &Drain::new(), service).await;
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn a_client_that_closes_its_half_is_answered_where_that_is_allowed() {
    run(|env| async move {
        let (addr, seen) = serve(
            &env,
            &ServerOptions {
                half_close: true,
                ..defaults()
            },
        );
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, b"GET /slow/10 HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_shutdown(cx))
            .await
            .unwrap();
        assert!(
            read_until(&mut stream, "\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert_eq!(seen.cancelled.get(), 0);
    });
}

/// Starts a server with a handle to drain it.
fn serve_with_drain(env: &Env) -> (SocketAddr, Rc<ServerLog>, Drain, shakedown_env::Owned) {
    let (seen, drain) = (Rc::new(ServerLog::default()), Drain::new());
    let listener = env.listen(ANY).unwrap();
    let addr = listener.local_addr();
    let (own, count, handle) = (env.clone(), Rc::clone(&seen), drain.clone());
    let owned = env.spawn_owned("server", async move {
        let make = |_connected| {
            let (env, seen) = (own.clone(), Rc::clone(&count));
            move |request: Request<Incoming>| answer(env.clone(), Rc::clone(&seen), request)
        };
        accept_loop_until(&own, listener, &defaults(), "connection", &handle, make).await;
    });
    (addr, seen, drain, owned)
}

#[test]
fn a_drain_closes_idle_connections_and_lets_busy_ones_finish() {
    run(|env| async move {
        let (addr, seen, drain, _owned) = serve_with_drain(&env);
        let (mut idle, mut busy, mut fresh) = (
            env.connect(addr, None).await.unwrap(),
            env.connect(addr, None).await.unwrap(),
            env.connect(addr, None).await.unwrap(),
        );
        write(&mut idle, GET).await.unwrap();
        read_until(&mut idle, "x").await;
        write(&mut busy, b"GET /slow/30 HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        env.sleep(ms(5)).await;
        assert_eq!(drain.connections(), 3);
        drain.begin();
        assert_eq!(read_until(&mut idle, "never comes").await, "");
        assert_eq!(read_until(&mut fresh, "never comes").await, "");
        assert_eq!(drain.connections(), 1);
        assert!(env.connect(addr, None).await.is_err());
        let last = read_until(&mut busy, "never comes").await;
        assert!(
            last.starts_with("HTTP/1.1 200") && last.contains("connection: close"),
            "{last}"
        );
        drain.finished().await;
        assert_eq!((drain.connections(), seen.cancelled.get()), (0, 0));
    });
}

#[test]
fn an_accept_loop_takes_its_connections_with_it() {
    run(|env| async move {
        let (addr, seen, drain, owned) = serve_with_drain(&env);
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, b"GET /never HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        env.sleep(ms(5)).await;
        drop(owned);
        assert_eq!(read_until(&mut stream, "never comes").await, "");
        assert_eq!((drain.connections(), seen.cancelled.get()), (0, 1));
        assert!(env.connect(addr, None).await.is_err());
    });
}
