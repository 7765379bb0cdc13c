//! Signals of an HTTP/2 peer about its streams: the limit of concurrent streams, resets, and GOAWAY.

use super::*;
use crate::h2::kind;
use crate::scene::frames::{SETTINGS, frame};

#[test]
fn streams_beyond_the_peers_limit_open_another_connection() {
    run(|env| async move {
        let options = ServerOptions {
            max_concurrent_streams: 2,
            ..ServerOptions::default()
        };
        let (addr, seen, _) = serve_auto_at(&env, ANY, &options);
        let pool = pool_http2(&env, addr);
        // The client knows the limit after this request.
        size(&pool, "/size/1").await;
        env.sleep(ms(1)).await;
        join_all((0..4).map(|_| size(&pool, "/slow/20"))).await;
        assert_eq!(seen.connections.get(), 2);
        assert_eq!((pool.connections(), pool.idle(), pool.active()), (2, 2, 0));
    });
}

#[test]
fn a_stream_limit_not_yet_announced_by_the_peer_causes_refused_streams() {
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
fn a_refused_stream_was_not_on_the_wire_unlike_other_resets() {
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
fn a_peer_that_sends_goaway_finishes_its_streams_and_gets_no_more() {
    run(|env| async move {
        let (addr, seen, drain) = serve_auto_at(&env, ANY, &ServerOptions::default());
        let pool = pool_http2(&env, addr);
        let old = size(&pool, "/slow/20");
        let new = async {
            env.sleep(ms(5)).await;
            drain.begin();
            env.sleep(ms(5)).await;
            // A new connection is needed, but the listener has been closed.
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
fn streams_unprocessed_when_the_peer_sends_goaway_are_refused() {
    run(|env| async move {
        // The peer answers the first stream, and sends GOAWAY without having processed the second.
        let addr = serve_raw(&env, |mut stream| async move {
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            write(&mut stream, &settings).await.unwrap();
            // The client's handshake and its two requests.
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

/// Returns a SETTINGS frame with a limit of concurrent streams.
fn limit_of_streams(most: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 3], &most.to_be_bytes()[..]].concat())
}

/// Returns a HEADERS frame that answers a stream with 200 and ends it.
fn answer_of(stream: u32) -> Vec<u8> {
    // END_STREAM and END_HEADERS.
    frame(kind::HEADERS, 0x5, stream, &[0x88])
}

/// Starts a server that plays a script of waits and frames on its first connection, and answers at once on later ones.
/// Returns the number of connections.
fn serve_script(env: &Env, script: Vec<(u64, Vec<u8>)>) -> (SocketAddr, Rc<Cell<usize>>) {
    let (own, count) = (env.clone(), Rc::new(Cell::new(0)));
    let seen = Rc::clone(&count);
    let addr = serve_raw(env, move |mut stream| {
        let (env, script) = (own.clone(), script.clone());
        seen.set(seen.get() + 1);
        let first = seen.get() == 1;
        async move {
            read(&mut stream).await.unwrap();
            if !first {
                write(&mut stream, &limit_of_streams(100)).await.unwrap();
                write(&mut stream, &answer_of(1)).await.unwrap();
            }
            for (wait, frame) in script.iter().filter(|_| first) {
                env.sleep(ms(*wait)).await;
                write(&mut stream, frame).await.unwrap();
            }
            while read(&mut stream).await.is_ok_and(|bytes| !bytes.is_empty()) {}
        }
    });
    (addr, count)
}

#[test]
fn a_limit_that_the_peer_lowers_counts_for_the_next_request() {
    run(|env| async move {
        let script = vec![
            (0, limit_of_streams(2)),
            (5, limit_of_streams(1)),
            (20, answer_of(1)),
        ];
        let (addr, connections) = serve_script(&env, script);
        let pool = pool_http2(&env, addr);
        let second = async {
            env.sleep(ms(10)).await;
            let began = env.now();
            pool.send(get("/2")).await.unwrap();
            env.now().since(began)
        };
        let (first, took) = join(pool.send(get("/1")), second).await;
        assert_eq!(first.unwrap().status(), 200);
        assert!(took < ms(5), "it does not wait for the first: {took:?}");
        assert_eq!(connections.get(), 2);
    });
}

#[test]
fn a_limit_that_the_peer_raises_lets_in_who_waits_in_line() {
    run(|env| async move {
        let script = vec![
            (0, limit_of_streams(1)),
            (10, limit_of_streams(2)),
            (5, answer_of(3)),
            (20, answer_of(1)),
        ];
        let (addr, connections) = serve_script(&env, script);
        let quota = Quota::new(QuotaLimits {
            connections: 1,
            ..QuotaLimits::default()
        });
        let options = PoolOptions {
            quota: Some(quota),
            ..http2()
        };
        let pool = pool(&env, addr, options);
        let second = async {
            env.sleep(ms(5)).await;
            pool.send(get("/2")).await.unwrap();
            env.now()
        };
        let (first, second) = join(
            async {
                pool.send(get("/1")).await.unwrap();
                env.now()
            },
            second,
        )
        .await;
        assert!(second < first, "{second} {first}");
        assert_eq!(connections.get(), 1);
    });
}

#[test]
fn a_peer_that_goes_away_and_holds_its_connection_is_left() {
    run(|env| async move {
        let away = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let script = vec![(0, limit_of_streams(9)), (0, answer_of(1)), (5, away)];
        let (addr, connections) = serve_script(&env, script);
        let pool = pool_http2(&env, addr);
        pool.send(get("/1")).await.unwrap();
        assert_eq!(pool.connections(), 1);
        env.sleep(ms(10)).await;
        assert_eq!((pool.connections(), pool.idle()), (0, 0));
        pool.send(get("/2")).await.unwrap();
        assert_eq!(connections.get(), 2);
    });
}
