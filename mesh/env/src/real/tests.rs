//! Tests of the real backend on loopback sockets and real time. Deadlines are asserted as lower bounds only, because a
//! test cannot promise how late the system wakes a task.

mod sleeps;
mod sockets;
mod store;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use rand::Rng as _;
use shakedown_types::MeshEvent;

use super::*;
use crate::BoxStream;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world() -> (Runtime, Env) {
    let runtime = Runtime::new().unwrap();
    let env = runtime
        .host(HostOptions {
            seed: Some(1),
            ..HostOptions::new("here")
        })
        .unwrap();
    (runtime, env)
}

async fn read(stream: &mut BoxStream) -> io::Result<Vec<u8>> {
    let mut space = [0; 64];
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut space);
        let done = Pin::new(&mut *stream).poll_read(cx, buf.unfilled());
        done.map(|done| done.map(|()| buf.filled().to_vec()))
    })
    .await
}

async fn write(stream: &mut BoxStream, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await
}

/// The two ends of a connection from a host to itself.
async fn pair(env: &Env, from: Option<IpAddr>) -> (BoxStream, BoxStream) {
    let mut listener = env.listen(ANY).unwrap();
    let near = env.connect(listener.local_addr(), from).await.unwrap();
    let far = listener.accept().await.unwrap();
    (near, far)
}

#[test]
fn a_dropped_owner_ends_its_task() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let owned = env.spawn_owned("held", async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        env.sleep(ms(1)).await;
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(owned);
        env.sleep(ms(1)).await;
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[test]
fn tasks_end_with_their_runtime() {
    let (runtime, env) = world();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    runtime.block_on(async {
        let own = env.clone();
        env.spawn("sleeper", async move {
            own.sleep(ms(3_600_000)).await;
            drop(held);
        });
        env.sleep(ms(1)).await;
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn hosts_of_a_runtime_share_its_clock() {
    let (runtime, env) = world();
    let other = runtime.host(HostOptions::new("there")).unwrap();
    let (a, b, c) = (env.now(), other.now(), env.now());
    assert!(a <= b && b <= c);
}

#[test]
fn a_label_gives_its_stream_from_the_start_and_hosts_differ() {
    let (runtime, env) = world();
    let twin = HostOptions {
        seed: Some(1),
        ..HostOptions::new("there")
    };
    let other = runtime.host(twin).unwrap();
    let first = env.rng("x").next_u64();
    assert_eq!(env.rng("x").next_u64(), first);
    assert_ne!(env.rng("y").next_u64(), first);
    assert_ne!(other.rng("x").next_u64(), first);
}

#[test]
fn without_a_seed_two_hosts_of_one_name_draw_differently() {
    let runtime = Runtime::new().unwrap();
    let draw = || {
        runtime
            .host(HostOptions::new("here"))
            .unwrap()
            .rng("x")
            .next_u64()
    };
    assert_ne!(draw(), draw());
}

#[test]
fn names_are_looked_up_in_the_table_then_as_literals() {
    let runtime = Runtime::new().unwrap();
    let options = HostOptions::new("here");
    let names = options.names.clone();
    let env = runtime.host(options).unwrap();
    let pod = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 7));
    runtime.block_on(async {
        names.set("reviews", vec![pod]);
        assert_eq!(env.resolve("reviews").await.unwrap(), [pod]);
        names.set("reviews", vec![]);
        assert!(env.resolve("reviews").await.unwrap().is_empty());
        assert_eq!(env.resolve("127.1.0.7").await.unwrap(), [pod]);
    });
}

#[test]
fn what_a_host_emits_is_told_with_its_name() {
    let runtime = Runtime::new().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let on_event: OnEvent = Arc::new(move |_at, host: &str, event: MeshEvent| {
        sink.lock().unwrap().push((host.to_owned(), event));
    });
    let options = HostOptions {
        on_event: Some(on_event),
        ..HostOptions::new("here")
    };
    let env = runtime.host(options).unwrap();
    env.emit(MeshEvent::ConfigInForce { version: 3 });
    assert_eq!(
        *events.lock().unwrap(),
        [("here".to_owned(), MeshEvent::ConfigInForce { version: 3 })]
    );
}
