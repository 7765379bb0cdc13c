//! Tests of the real backend on loopback sockets and real time. Deadlines are asserted as lower bounds only, because a
//! test cannot promise how late the system wakes a task.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use rand_core::Rng as _;
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
fn sleeps_end_in_the_order_of_their_deadlines_and_never_early() {
    let (runtime, env) = world();
    let ends = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        for span in [9, 3, 6] {
            let (own, ends) = (env.clone(), Arc::clone(&ends));
            env.spawn("sleeper", async move {
                let deadline = own.now() + ms(span);
                own.sleep_until(deadline).await;
                ends.lock().unwrap().push((span, own.now() >= deadline));
            });
        }
        env.sleep(ms(20)).await;
    });
    assert_eq!(*ends.lock().unwrap(), [(3, true), (6, true), (9, true)]);
}

#[test]
fn a_sleep_that_has_elapsed_is_ready_whenever_it_is_asked() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(1));
        sleep.as_mut().await;
        sleep.as_mut().await;
    });
}

#[test]
fn a_reset_sleep_ends_at_its_new_deadline() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(3_600_000));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let sooner = env.now() + ms(2);
        sleep.as_mut().reset(sooner);
        sleep.as_mut().await;
        assert!(env.now() >= sooner);
        let later = env.now() + ms(2);
        sleep.as_mut().reset(later);
        sleep.as_mut().await;
        assert!(env.now() >= later);
    });
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(3_600_000));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(runtime.timers.waiting(), 1);
        drop(sleep);
        assert_eq!(runtime.timers.waiting(), 0);
    });
}

#[test]
fn an_earlier_sleep_is_not_held_up_by_a_later_one() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut later = env.sleep(ms(3_600_000));
        assert!(
            later
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        env.timeout(ms(60_000), env.sleep(ms(1)))
            .await
            .expect("a millisecond ends before a minute");
    });
}

/// `cargo test -p shakedown-env -- --ignored --nocapture late`, on an idle core.
#[test]
#[ignore = "measures the machine"]
fn sleeps_are_late_by_less_than_200_us_at_p99() {
    let (runtime, env) = world();
    let mut late: Vec<Duration> = runtime.block_on(async {
        let mut late = Vec::new();
        for n in 0..2000u64 {
            let deadline = env.now() + Duration::from_micros(250 + n % 700);
            env.sleep_until(deadline).await;
            late.push(env.now().since(deadline));
        }
        late
    });
    late.sort();
    println!(
        "late: p50 {:?} p99 {:?} max {:?}",
        late[1000], late[1980], late[1999]
    );
    assert!(
        late[1980] < Duration::from_micros(200),
        "p99 {:?}",
        late[1980]
    );
}

#[test]
fn what_is_written_at_one_end_is_read_at_the_other() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let (mut near, mut far) = pair(&env, None).await;
        write(&mut near, b"ping").await.unwrap();
        assert_eq!(read(&mut far).await.unwrap(), b"ping");
        write(&mut far, b"pong").await.unwrap();
        assert_eq!(read(&mut near).await.unwrap(), b"pong");
    });
}

#[test]
fn a_connection_comes_from_the_address_that_was_asked_for() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let from = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 5));
        let (near, far) = pair(&env, Some(from)).await;
        assert_eq!(far.peer_addr().ip(), from);
        assert_eq!(far.peer_addr(), near.local_addr());
        assert_eq!(near.peer_addr(), far.local_addr());
    });
}

#[test]
fn a_connection_comes_from_its_hosts_address_by_default() {
    let runtime = Runtime::new().unwrap();
    let address = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 6));
    let env = runtime
        .host(HostOptions {
            address,
            ..HostOptions::new("pod")
        })
        .unwrap();
    let (_near, far) = runtime.block_on(pair(&env, None));
    assert_eq!(far.peer_addr().ip(), address);
}

#[test]
fn a_dropped_stream_is_seen_as_an_end() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let (near, mut far) = pair(&env, None).await;
        drop(near);
        assert_eq!(read(&mut far).await.unwrap(), b"");
    });
}

#[test]
fn a_reset_stream_is_seen_as_an_error() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let (mut near, mut far) = pair(&env, None).await;
        near.reset_on_drop();
        drop(near);
        assert_eq!(
            read(&mut far).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn a_port_without_a_listener_refuses() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let gone = env.listen(ANY).unwrap().local_addr();
        let refused = env.connect(gone, None).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn an_address_in_use_is_refused_to_a_second_listener() {
    let (_runtime, env) = world();
    let first = env.listen(ANY).unwrap();
    let second = env.listen(first.local_addr()).err().unwrap();
    assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn an_address_may_be_shared_where_the_host_says_so() {
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        reuse_port: true,
        ..HostOptions::new("worker")
    };
    let (one, two) = (
        runtime.host(options.clone()).unwrap(),
        runtime.host(options).unwrap(),
    );
    let first = one.listen(ANY).unwrap();
    assert!(two.listen(first.local_addr()).is_ok());
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
fn a_store_in_a_directory_survives_its_host() {
    let directory = std::env::temp_dir().join(format!("shakedown-store-{}", std::process::id()));
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        store: Some(directory.clone()),
        ..HostOptions::new("here")
    };
    let env = runtime.host(options.clone()).unwrap();
    env.store().write("last-good", b"one").unwrap();
    env.store().write("last-good", b"two").unwrap();
    env.store().write("../ä/last good", b"three").unwrap();
    drop(env);
    let env = runtime.host(options).unwrap();
    let values =
        ["last-good", "../ä/last good", "last-good.new", "other"].map(|k| env.store().read(k));
    let files = std::fs::read_dir(&directory).unwrap().count();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(
        values,
        [Some(b"two".to_vec()), Some(b"three".to_vec()), None, None]
    );
    assert_eq!(files, 2);
}

#[test]
fn a_store_in_memory_keeps_what_was_written_last() {
    let (_runtime, env) = world();
    env.store().write("k", b"one").unwrap();
    env.store().write("k", b"two").unwrap();
    assert_eq!(env.store().read("k"), Some(b"two".to_vec()));
}

#[test]
fn a_key_too_long_for_a_file_is_refused() {
    let directory = std::env::temp_dir().join(format!("shakedown-keys-{}", std::process::id()));
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        store: Some(directory.clone()),
        ..HostOptions::new("here")
    };
    let env = runtime.host(options).unwrap();
    let refused = env.store().write(&"k".repeat(300), b"");
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidFilename);
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

#[test]
fn an_accept_waits_for_a_connection() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut listener = env.listen(ANY).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(listener.poll_accept(&mut cx), Poll::Pending));
        let _near = env.connect(listener.local_addr(), None).await.unwrap();
        assert!(listener.accept().await.is_ok());
    });
}

#[test]
fn a_precise_sleep_is_never_early_and_its_watching_is_no_work() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep_precisely_until(env.now());
        let before = env.cpu_time().unwrap();
        for _ in 0..50 {
            let deadline = env.now() + Duration::from_micros(300);
            sleep.as_mut().reset(deadline);
            sleep.as_mut().await;
            assert!(env.now() >= deadline);
        }
        assert!(env.cpu_time().unwrap() >= before);
        assert!(runtime.timers.spun() > Duration::ZERO);
    });
}

#[test]
fn whoever_catches_up_finds_what_had_arrived_read() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let (mut near, mut far) = pair(&env, None).await;
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        env.spawn("reader", async move {
            while read(&mut near).await.is_ok_and(|bytes| !bytes.is_empty()) {
                *count.lock().unwrap() += 1;
            }
        });
        for round in 1..=20 {
            // A reader that is already waiting, and bytes in the kernel that the reactor has not polled yet.
            env.catch_up().await;
            write(&mut far, b"x").await.unwrap();
            env.catch_up().await;
            assert_eq!(*seen.lock().unwrap(), round);
        }
    });
}
