//! A pool that speaks HTTP/2, with this crate's server and with scripted ones.

mod carried;
mod peer;

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

/// Starts a server that advertises a limit of `most` streams, and passes each stream to `handle`, in order of arrival.
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
fn enough_connections_are_opened_for_the_queue_given_max_requests_per_connection() {
    run_apart(|near, far| async move {
        let (addr, seen, _) = serve_auto_at(&far, ANY_FAR, &ServerOptions::default());
        let options = PoolOptions {
            max_requests_per_connection: Some(2),
            ..http2()
        };
        let pool = pool(&near, addr, options);
        let began = near.now();
        join_all((0..5).map(|_| size(&pool, "/slow/20"))).await;
        // Connections opened one after another would take three connects.
        assert_eq!(near.now().since(began), LATENCY * 4 + ms(20));
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
fn an_idle_connection_times_out_but_not_with_an_open_stream() {
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
                    bound: crate::QuotaBound::Requests
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

/// Returns the events of a run in order, with their times.
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
