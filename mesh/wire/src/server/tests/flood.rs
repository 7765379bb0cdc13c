//! HTTP/2 clients that flood the server with cheap frames.

use futures_util::future::join_all;

use super::auto::serve_auto;
use super::*;
use crate::Flood;
use crate::scene::frames::{self, DATA, SETTINGS, WINDOW_UPDATE, frame, hello};
use crate::scene::{farewells, pool_http2, post, read, run_real, serve_auto_at};

const PRIORITY: u8 = 2;
const PING: u8 = 6;
const UNKNOWN: u8 = 0xfe;
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// Returns the start of `POST /never`, whose stream stays open.
fn half_open(stream: u32) -> Vec<u8> {
    frames::half_open(stream, "h", "/never")
}

/// Sends `flood` until the connection is closed, at most 100,000 times. Returns the number sent, the error codes of the
/// GOAWAY frames, and the results of the server's connections.
async fn flood(env: &Env, flood: &[u8]) -> (usize, Vec<u8>, Vec<Result<(), ServeError>>) {
    let (addr, seen, _) = serve_auto(env, &defaults());
    let mut stream = env.connect(addr, None).await.unwrap();
    let begin = [hello(), half_open(1)].concat();
    write(&mut stream, &begin).await.unwrap();
    env.sleep(ms(1)).await;
    assert_eq!(seen.requests.get(), 1);
    let mut sent = 0;
    while sent < 100_000 && write(&mut stream, &flood.repeat(10)).await.is_ok() {
        sent += 10;
        if sent % 1_000 == 0 {
            env.sleep(ms(1)).await;
        }
        if !seen.ended.borrow().is_empty() {
            break;
        }
    }
    env.sleep(ms(1)).await;
    let mut all = Vec::new();
    while let Ok(bytes) = read(&mut stream).await
        && !bytes.is_empty()
    {
        all.extend(bytes);
    }
    assert_eq!(seen.cancelled.get(), 1, "its stream has ended");
    (sent, farewells(&all), seen.ended.take())
}

#[test]
fn a_client_that_floods_a_connection_is_told_so_and_closed() {
    let ping = frame(PING, 0, 0, &[0; 8]);
    let kinds = [
        (frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]), Flood::Priority),
        (
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            Flood::WindowUpdate,
        ),
        (
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            Flood::WindowUpdate,
        ),
        (frame(DATA, 0, 1, b""), Flood::Empty),
        (frame(DATA, 0x8, 1, &[3, 0, 0, 0]), Flood::Empty),
        (ping, Flood::Control),
        (frame(SETTINGS, 0, 0, b""), Flood::Control),
        (frame(UNKNOWN, 0, 0, b"what?"), Flood::Control),
    ];
    for (bytes, kind) in kinds {
        run(move |env| async move {
            let (sent, farewells, ended) = flood(&env, &bytes).await;
            assert!(sent <= 3_000, "{kind:?}: {sent}");
            assert_eq!(farewells, [ENHANCE_YOUR_CALM], "{kind:?}");
            assert!(
                matches!(ended[..], [Err(ServeError::Flood(found))] if found == kind),
                "{kind:?}: {ended:?}"
            );
        });
    }
}

#[test]
fn a_client_that_pings_now_and_then_for_days_is_served() {
    run(|env| async move {
        let (addr, seen, _) = serve_auto(&env, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        let begin = [hello(), half_open(1)].concat();
        write(&mut stream, &begin).await.unwrap();
        for _ in 0..3_000 {
            let pings = frame(PING, 0, 0, &[0; 8]).repeat(3);
            write(&mut stream, &pings).await.unwrap();
            env.sleep(ms(1_000)).await;
            read(&mut stream).await.unwrap();
        }
        assert!(seen.ended.borrow().is_empty());
    });
}

#[test]
fn a_large_upload_and_its_answer_are_no_flood() {
    run(|env| async move {
        let (addr, _seen, _) = serve_auto(&env, &defaults());
        let pool = pool_http2(&env, addr);
        let uploads = (0..8).map(|_| fetch(&pool, post("/echo", vec![b'x'; 5_000_000])));
        let answers = join_all(uploads).await;
        assert!(answers.iter().all(|answer| answer.len() == 5_000_000));
    });
}

/// Uses real sockets, because tasks take no time in the simulator, so no other client would have to wait.
#[test]
fn a_client_opening_many_streams_at_once_does_not_delay_others() {
    run_real(async move |env| {
        let here = ([127, 0, 0, 1], 0).into();
        let (addr, seen, _) = serve_auto_at(&env, here, &defaults());
        let mut stream = env.connect(addr, None).await.unwrap();
        let mut bytes = hello();
        (0..1_000).for_each(|n| bytes.extend(half_open(2 * n + 1)));
        let other = pool(&env, addr, PoolOptions::default());
        fetch(&other, get("/size/1")).await;
        write(&mut stream, &bytes).await.unwrap();
        fetch(&other, get("/size/1")).await;
        let before = seen.requests.get() - 2;
        assert!(before < 500, "{before} of 1,000 before it");
        while seen.requests.get() < 1_002 {
            env.sleep(ms(1)).await;
        }
        drop(stream);
        while seen.cancelled.get() < 1_000 {
            env.sleep(ms(1)).await;
        }
    });
}
