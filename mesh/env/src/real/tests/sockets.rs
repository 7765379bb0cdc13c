//! Connections and listeners on loopback.

use std::task::{Context, Poll, Waker};

use super::*;

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
