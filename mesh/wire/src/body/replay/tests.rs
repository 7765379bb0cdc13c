//! Bodies that are read while they arrive, again, and by two readers at the same time.

use std::rc::Rc;

use futures_util::future::join;
use http::Request;
use shakedown_env::Env;

use super::*;
use crate::scene::{ANY, ms, read, read_until, run, serve_raw, write};

/// Returns a request's body on an HTTP/1.1 server, and the client that sends it.
async fn arriving(env: &Env, head: &str) -> (Body, shakedown_env::BoxStream, shakedown_env::Owned) {
    let slot = Rc::new(RefCell::new(None));
    let (own, sink) = (env.clone(), Rc::clone(&slot));
    let mut listener = env.listen(ANY).unwrap();
    let addr = listener.local_addr();
    let server = env.spawn_owned("server", async move {
        let stream = listener.accept().await.unwrap();
        let service = |request: Request<hyper::body::Incoming>| {
            *sink.borrow_mut() = Some(Body::from(request.into_body()));
            std::future::pending::<http::Response<Body>>()
        };
        let _ = crate::serve_http1(&own, stream, &crate::ServerOptions::default(), service).await;
    });
    let mut client = env.connect(addr, None).await.unwrap();
    write(&mut client, head.as_bytes()).await.unwrap();
    env.sleep(ms(1)).await;
    let body = slot.take().unwrap();
    (body, client, server)
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";

/// Keeps up to `most` bytes of a body, without a shared budget.
fn kept(body: Body, most: usize) -> Replay {
    Replay::new(body, most, None)
}

async fn whole(body: Body) -> Result<Bytes, crate::CollectError> {
    body.collect(10_000).await
}

#[test]
fn a_body_that_came_with_its_head_is_there_at_once() {
    run(|env| async move {
        let head = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello";
        let (body, _client, _server) = arriving(&env, head).await;
        let began = env.now();
        let replay = kept(body, 100);
        assert_eq!(replay.arrive().await.as_deref(), Some(&b"hello"[..]));
        assert_eq!(env.now(), began);
    });
}

#[test]
fn a_reader_gets_data_as_it_arrives_and_another_gets_it_all() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 100);
        assert_eq!(replay.arrive().await, None);
        write(&mut client, b"3\r\none\r\n").await.unwrap();
        let mut first = replay.reader();
        let frame = poll_fn(|cx| Pin::new(&mut first).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "one");
        // The first reader is dropped in the middle, and the second starts from the beginning.
        drop(first);
        assert!(replay.is_repeatable());
        let send = async {
            env.sleep(ms(5)).await;
            write(&mut client, b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        };
        let (second, ()) = join(whole(replay.reader()), send).await;
        assert_eq!(second.unwrap(), "onetwo");
        assert_eq!(whole(replay.reader()).await.unwrap(), "onetwo");
    });
}

#[test]
fn two_readers_at_once_get_the_same() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = Rc::new(kept(body, 100));
        let send = async {
            for _ in 0..3 {
                env.sleep(ms(1)).await;
                write(&mut client, b"3\r\nabc\r\n").await.unwrap();
            }
            env.sleep(ms(1)).await;
            write(&mut client, b"0\r\n\r\n").await.unwrap();
        };
        let readers = join(whole(replay.reader()), whole(replay.reader()));
        let ((one, two), ()) = join(readers, send).await;
        assert_eq!(
            (&one.unwrap()[..], &two.unwrap()[..]),
            (&b"abcabcabc"[..], &b"abcabcabc"[..])
        );
    });
}

#[test]
fn a_reader_that_waited_beside_a_dropped_one_goes_on() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 100);
        let (one, two) = (replay.reader(), replay.reader());
        let slow = env.spawn_owned("first", async move {
            let _ = whole(one).await;
        });
        let done = Rc::new(RefCell::new(None));
        let sink = Rc::clone(&done);
        env.spawn("second", async move {
            *sink.borrow_mut() = Some(whole(two).await)
        });
        // The first reader polls after the second, so that the body stores the waker of only its task.
        env.sleep(ms(1)).await;
        write(&mut client, b"3\r\nabc\r\n").await.unwrap();
        env.sleep(ms(1)).await;
        drop(slow);
        env.sleep(ms(1)).await;
        write(&mut client, b"0\r\n\r\n").await.unwrap();
        env.sleep(ms(1)).await;
        assert_eq!(done.take().unwrap().unwrap(), "abc");
    });
}

#[test]
fn a_body_longer_than_is_kept_is_read_once() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 5);
        let send = async {
            for _ in 0..3 {
                write(&mut client, b"3\r\nabc\r\n").await.unwrap();
                env.sleep(ms(1)).await;
            }
            write(&mut client, b"0\r\n\r\n").await.unwrap();
        };
        assert!(replay.is_repeatable());
        let (all, ()) = join(whole(replay.reader()), send).await;
        assert_eq!(all.unwrap(), "abcabcabc");
        assert!(!replay.is_repeatable());
        assert!(whole(replay.reader()).await.is_err());
        let source = replay.source.borrow();
        assert_eq!(source.kept.start(), source.kept.end(), "nothing is kept");
    });
}

#[test]
fn a_body_that_breaks_off_is_told_and_not_read_again() {
    run(|env| async move {
        let (body, client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 100);
        let leave = async {
            env.sleep(ms(1)).await;
            drop(client);
        };
        let complete = poll_fn(|cx| replay.poll_complete(cx));
        let (broken, ((), ())) = join(whole(replay.reader()), join(leave, complete)).await;
        assert!(broken.is_err() && !replay.is_repeatable());
        assert!(whole(replay.reader()).await.is_err());
    });
}

#[test]
fn a_body_exactly_as_long_as_is_kept_is_read_again() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 6);
        let send = async {
            for _ in 0..2 {
                write(&mut client, b"3\r\nabc\r\n").await.unwrap();
                env.sleep(ms(1)).await;
            }
            write(&mut client, b"0\r\n\r\n").await.unwrap();
        };
        let (all, ()) = join(whole(replay.reader()), send).await;
        assert_eq!(all.unwrap(), "abcabc");
        assert!(replay.is_repeatable());
        assert_eq!(whole(replay.reader()).await.unwrap(), "abcabc");
    });
}

#[test]
fn every_reader_gets_the_trailers_and_such_bodies_are_never_returned_whole() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 100);
        let end = b"3\r\nabc\r\n0\r\nx-end: 1\r\n\r\n";
        write(&mut client, end).await.unwrap();
        env.sleep(ms(1)).await;
        assert_eq!(replay.arrive().await, None);
        for _ in 0..2 {
            let mut reader = replay.reader();
            let mut next = async || poll_fn(|cx| Pin::new(&mut reader).poll_frame(cx)).await;
            let data = next().await.unwrap().unwrap();
            assert_eq!(data.into_data().unwrap(), "abc");
            let trailers = next().await.unwrap().unwrap().into_trailers().unwrap();
            assert_eq!(trailers["x-end"], "1");
            assert!(next().await.is_none());
        }
    });
}

#[test]
fn readers_in_tasks_of_their_own_all_get_what_comes() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 100);
        let done = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..3 {
            let (reader, sink) = (replay.reader(), Rc::clone(&done));
            env.spawn("reader", async move {
                let all = whole(reader).await.unwrap();
                sink.borrow_mut().push(all);
            });
        }
        for piece in [&b"3\r\nabc\r\n"[..], b"3\r\ndef\r\n", b"0\r\n\r\n"] {
            env.sleep(ms(1)).await;
            write(&mut client, piece).await.unwrap();
        }
        env.sleep(ms(1)).await;
        assert_eq!(*done.borrow(), ["abcdef"; 3]);
    });
}

#[test]
fn a_body_that_is_read_tells_its_length_and_its_end() {
    run(|env| async move {
        let back = serve_raw(&env, |mut stream| async move {
            let request = read_until(&mut stream, "hello").await;
            assert!(request.contains("content-length: 5\r\n"), "{request}");
            write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            let _ = read(&mut stream).await;
        });
        let head = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe";
        let (body, mut client, _server) = arriving(&env, head).await;
        let replay = kept(body, 100);
        assert_eq!(replay.arrive().await, None);
        let reader = replay.reader();
        assert_eq!(reader.size_hint().exact(), Some(5));
        let pool = crate::scene::pool(&env, back, crate::PoolOptions::default());
        let request = Request::post("/").header("host", "h").body(reader).unwrap();
        let rest = async {
            env.sleep(ms(1)).await;
            write(&mut client, b"llo").await.unwrap();
        };
        let (response, ()) = join(pool.send(request), rest).await;
        assert_eq!(response.unwrap().status(), 200);
        env.sleep(ms(1)).await;
        assert_eq!(pool.idle(), 1);
    });
}

#[test]
fn long_body_readers_share_the_slowest_readers_pace_and_leave_followers_behind() {
    run(|env| async move {
        let (body, mut client, _server) = arriving(&env, CHUNKED).await;
        let replay = kept(body, 5);
        let (mut slow, fast) = (replay.reader(), replay.reader());
        let mut follower = replay.follower().reader();
        let first = poll_fn(|cx| Pin::new(&mut follower).poll_frame(cx));
        let send = async {
            for _ in 0..4 {
                write(&mut client, b"3\r\nabc\r\n").await.unwrap();
                env.sleep(ms(1)).await;
            }
            write(&mut client, b"0\r\n\r\n").await.unwrap();
        };
        let done = Rc::new(RefCell::new(None));
        let sink = Rc::clone(&done);
        env.spawn("fast", async move {
            *sink.borrow_mut() = Some(whole(fast).await)
        });
        let (first, ()) = join(first, send).await;
        assert_eq!(first.unwrap().unwrap().into_data().unwrap(), "abc");
        env.sleep(ms(1)).await;
        assert!(done.borrow().is_none(), "it waits for the slow one");
        // Small pieces are read as one.
        let next = poll_fn(|cx| Pin::new(&mut slow).poll_frame(cx)).await;
        assert_eq!(next.unwrap().unwrap().into_data().unwrap(), "abcabc");
        drop(slow);
        env.sleep(ms(1)).await;
        assert_eq!(done.take().unwrap().unwrap(), "abcabcabcabc");
        assert!(whole(follower).await.is_err());
    });
}

#[test]
fn bodies_of_one_connection_share_what_may_be_kept() {
    run(|env| async move {
        let budget = KeptBudget::new(10);
        let mut all = Vec::new();
        for _ in 0..3 {
            let (body, mut client, server) = arriving(&env, CHUNKED).await;
            write(&mut client, b"4\r\nabcd\r\n").await.unwrap();
            env.sleep(ms(1)).await;
            let replay = Replay::new(body, 100, Some(&budget));
            assert_eq!(replay.arrive().await, None);
            all.push((replay, client, server));
        }
        let repeatable: Vec<bool> = all.iter().map(|(one, ..)| one.is_repeatable()).collect();
        assert_eq!(repeatable, [true, true, false]);
        assert_eq!(budget.0.get(), 2);
        // The third body exceeds the budget, so it can be read only once.
        let (third, mut client, _server) = all.pop().unwrap();
        let send = async { write(&mut client, b"4\r\nefgh\r\n0\r\n\r\n").await.unwrap() };
        let (once, ()) = join(whole(third.reader()), send).await;
        assert_eq!(once.unwrap(), "abcdefgh");
        drop((third, all));
        env.sleep(ms(1)).await;
        assert_eq!(budget.0.get(), 10, "all of it is given back");
    });
}
