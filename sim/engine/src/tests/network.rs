//! The network without faults: handshake, data, flow control, close.

use super::*;

#[test]
fn connect_takes_one_rtt_and_accept_one_and_a_half_rtt() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, stream| {
        seen.add(&env, format!("accepted from {}", stream.peer_addr()));
        async {}
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let stream = env.connect(addr(1), None).await.unwrap();
        seen.add(&env, format!("connected from {}", stream.local_addr()));
        env.sleep(Duration::from_secs(1)).await;
    });
    sim.run_until(at(100)).unwrap();
    let expected = [
        (at(20), "connected from 10.0.0.1:32768"),
        (at(30), "accepted from 10.0.0.1:32768"),
    ];
    assert_eq!(log.take(), expected.map(|(at, what)| (at, what.to_owned())));
}

#[test]
fn loopback_takes_no_time() {
    let (sim, envs) = hosts(1, 10 * MS);
    let log = Log::new();
    serve(&envs[0], 0, |_, mut stream| async move {
        let bytes = read(&mut stream, 100).await.unwrap();
        write_all(&mut stream, &bytes).await.unwrap();
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(0), Some(ip(0))).await.unwrap();
        write_all(&mut stream, b"ping").await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
        seen.add(&env, read_text(&mut stream).await);
    });
    sim.run_until(at(1)).unwrap();
    assert_eq!(
        log.take(),
        [
            (Time::ZERO, "ping".to_owned()),
            (Time::ZERO, "end".to_owned())
        ]
    );
    assert_eq!((sim.stats().connections, sim.stats().packets), (0, 0));
}

#[test]
fn a_closed_port_refuses_and_a_strange_address_is_silent() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    for to in [addr(1), addr(99)] {
        let (env, seen) = (envs[0].clone(), log.clone());
        envs[0].spawn("client", async move {
            let answer = env
                .timeout(Duration::from_secs(5), env.connect(to, None))
                .await;
            let answer = answer.map(|opened| opened.map(|_| ()).map_err(|error| error.kind()));
            seen.add(&env, format!("{answer:?}"));
        });
    }
    sim.run_until(at(10_000)).unwrap();
    let expected = [
        (at(20), "Ok(Err(ConnectionRefused))"),
        (at(5000), "Err(Elapsed)"),
    ];
    assert_eq!(log.take(), expected.map(|(at, what)| (at, what.to_owned())));
    assert_eq!((sim.stats().connections, sim.stats().live_timers), (0, 0));
}

#[test]
fn a_source_address_must_belong_to_the_host_and_ports_bind_once() {
    let (sim, envs) = hosts(2, MS);
    let log = Log::new();
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let opened = env.connect(addr(1), Some(ip(1))).await;
        seen.add(&env, format_result(opened));
        let _bound = env.listen(addr(0)).unwrap();
        seen.add(&env, format_result(env.listen(addr(0))));
        seen.add(&env, format_result(env.listen(addr(1))));
    });
    sim.run_until(at(10)).unwrap();
    assert_eq!(
        log.words(),
        [
            "Err(AddrNotAvailable)",
            "Err(AddrInUse)",
            "Err(AddrNotAvailable)"
        ]
    );
}

#[test]
fn a_closed_stream_ends_after_its_last_byte_and_leaves_nothing() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            seen.add(&env, read_text(&mut stream).await);
            seen.add(&env, read_text(&mut stream).await);
        }
    });
    let env = envs[0].clone();
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        write_all(&mut stream, b"bye").await.unwrap();
    });
    sim.run_until(at(1000)).unwrap();
    assert_eq!(
        log.take(),
        [(at(30), "bye".to_owned()), (at(30), "end".to_owned())]
    );
    assert_eq!((sim.stats().connections, sim.stats().live_timers), (0, 0));
}

#[test]
fn a_half_closed_stream_still_carries_the_answer() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |env, mut stream| async move {
        while !read(&mut stream, 100).await.unwrap().is_empty() {}
        env.sleep(10 * MS).await;
        write_all(&mut stream, b"answer").await.unwrap();
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        write_all(&mut stream, b"question").await.unwrap();
        shutdown(&mut stream).await.unwrap();
        seen.add(&env, format_result(write(&mut stream, b"more").await));
        seen.add(&env, read_text(&mut stream).await);
        seen.add(&env, read_text(&mut stream).await);
    });
    sim.run_until(at(1000)).unwrap();
    assert_eq!(log.words(), ["Err(BrokenPipe)", "answer", "end"]);
    assert_eq!(sim.stats().connections, 0);
}

#[test]
fn a_stream_dropped_with_unread_data_resets_after_what_it_had_sent() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |env, mut stream| async move {
        write_all(&mut stream, b"hello").await.unwrap();
        env.sleep(50 * MS).await;
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        write_all(&mut stream, b"unread").await.unwrap();
        env.sleep(Duration::from_millis(500)).await;
        seen.add(&env, read_text(&mut stream).await);
        seen.add(&env, read_text(&mut stream).await);
        seen.add(&env, format_result(write(&mut stream, b"x").await));
        seen.add(&env, format_result(write(&mut stream, b"x").await));
    });
    sim.run_until(at(1000)).unwrap();
    assert_eq!(
        log.words(),
        [
            "hello",
            "ConnectionReset",
            "Err(ConnectionReset)",
            "Err(BrokenPipe)"
        ]
    );
    assert_eq!(sim.stats().connections, 0);
}

#[test]
fn an_abrupt_drop_resets_though_all_was_read() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |_, mut stream| async move {
        read(&mut stream, 100).await.unwrap();
        stream.reset_on_drop();
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        write_all(&mut stream, b"x").await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
    });
    sim.run_until(at(1000)).unwrap();
    assert_eq!(log.take(), [(at(40), "ConnectionReset".to_owned())]);
}

#[test]
fn a_write_to_a_closed_peer_is_answered_with_a_reset() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |_, stream| async move { drop(stream) });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
        write_all(&mut stream, b"anybody?").await.unwrap();
        env.sleep(100 * MS).await;
        seen.add(&env, format_result(write(&mut stream, b"x").await));
    });
    sim.run_until(at(1000)).unwrap();
    assert_eq!(log.words(), ["end", "Err(BrokenPipe)"]);
}

#[test]
fn a_dropped_listener_resets_what_it_had_not_accepted() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let listener = envs[1].listen(addr(1)).unwrap();
    let server = envs[1].clone();
    envs[1].spawn("listener", async move {
        server.sleep(100 * MS).await;
        drop(listener);
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
        let again = env.connect(addr(1), None).await;
        seen.add(&env, format_result(again));
    });
    sim.run_until(at(1000)).unwrap();
    let expected = [
        (at(110), "ConnectionReset"),
        (at(130), "Err(ConnectionRefused)"),
    ];
    assert_eq!(log.take(), expected.map(|(at, what)| (at, what.to_owned())));
}

#[test]
fn a_full_backlog_drops_the_syn_which_is_retransmitted_after_a_second() {
    let (sim, envs) = hosts(2, 10 * MS);
    sim.net().set_backlog(id(&sim, 1), 2);
    let log = Log::new();
    let mut listener = envs[1].listen(addr(1)).unwrap();
    let server = envs[1].clone();
    envs[1].spawn("late", async move {
        server.sleep(500 * MS).await;
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    for n in 0..3 {
        let (env, seen) = (envs[0].clone(), log.clone());
        envs[0].spawn("client", async move {
            let _stream = env.connect(addr(1), None).await.unwrap();
            seen.add(&env, n);
            env.sleep(Duration::from_secs(9)).await;
        });
    }
    sim.run_until(at(3000)).unwrap();
    assert_eq!(
        log.take(),
        [
            (at(20), "0".to_owned()),
            (at(20), "1".to_owned()),
            (at(1020), "2".to_owned())
        ]
    );
}

#[test]
fn flow_control_blocks_a_writer_and_wakes_it_seldom() {
    const TOTAL: usize = 8 * 1024 * 1024;
    let (sim, envs) = hosts(2, MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            env.sleep(1000 * MS).await;
            let mut total = 0;
            loop {
                // Small reads, each of which frees a small part of the window.
                let count = read(&mut stream, 1000).await.unwrap().len();
                if count == 0 {
                    break;
                }
                total += count;
            }
            seen.add(&env, total);
        }
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        let bytes = vec![7; TOTAL];
        let mut left = &bytes[..];
        let mut blocked = None;
        while !left.is_empty() {
            let before = env.now();
            let count = write(&mut stream, left).await.unwrap();
            if env.now() > before + 500 * MS {
                blocked = Some(TOTAL - left.len());
            }
            left = &left[count..];
        }
        seen.add(&env, format!("blocked after {}", blocked.unwrap()));
    });
    sim.run_until(at(10_000)).unwrap();
    // Both buffers fill, and not more.
    assert_eq!(
        log.words(),
        [format!("blocked after {}", 512 * 1024), TOTAL.to_string()]
    );
    assert!(sim.stats().polls < 300, "{} polls", sim.stats().polls);
    assert_eq!(sim.stats().connections, 0);
}

#[test]
fn bandwidth_is_shared_by_the_connections_of_a_pair() {
    let (sim, envs) = hosts(2, Duration::ZERO);
    set_link(
        &sim,
        SimLink {
            bandwidth: Some(1_000_000),
            ..SimLink::default()
        },
    );
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            let mut total = 0;
            while total < 50_000 {
                total += read(&mut stream, 100_000).await.unwrap().len();
            }
            seen.add(&env, total);
        }
    });
    for _ in 0..2 {
        let env = envs[0].clone();
        envs[0].spawn("client", async move {
            let mut stream = env.connect(addr(1), None).await.unwrap();
            write_all(&mut stream, &[0; 50_000]).await.unwrap();
            env.sleep(1000 * MS).await;
        });
    }
    sim.run_until(at(900)).unwrap();
    let times: Vec<u64> = log
        .take()
        .into_iter()
        .map(|(at, _)| at.as_nanos() / 1_000_000)
        .collect();
    assert_eq!(times, [50, 100]);
}
