//! The network with faults: loss, partitions, crashed and restarted peers.

use super::*;

/// A server that logs each read until the end, and a client that writes a numbered line every 100 ms.
fn send_lines(envs: &[Env], log: &Log, count: u32) {
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            loop {
                let text = read_text(&mut stream).await;
                let over = !text.starts_with('l');
                seen.add(&env, text);
                if over {
                    return;
                }
            }
        }
    });
    let env = envs[0].clone();
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        for n in 0..count {
            write_all(&mut stream, format!("l{n}").as_bytes())
                .await
                .unwrap();
            env.sleep(100 * MS).await;
        }
    });
}

#[test]
fn what_a_partition_held_back_arrives_in_order_after_it() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    send_lines(&envs, &log, 5);
    sim.run_until(at(100)).unwrap();
    let cut = sim.net().partition([id(&sim, 0)], [id(&sim, 1)]);
    sim.run_until(at(900)).unwrap();
    assert_eq!(log.words(), ["l0"]);
    assert!(sim.net().hits(cut) >= 4);
    // l1 was sent at 120 ms and again at 320, 720 and 1520 ms, the last time with all the others.
    assert!(sim.net().heal(cut) >= 4);
    sim.run_until(at(20_000)).unwrap();
    let all = log.take();
    assert_eq!(
        all.iter()
            .map(|(_, what)| what.as_str())
            .collect::<String>(),
        "l1l2l3l4end"
    );
    assert!(all.iter().all(|(when, _)| *when == at(1530)), "{all:?}");
    assert_eq!((sim.stats().connections, sim.stats().live_timers), (0, 0));
}

#[test]
fn lost_acknowledgements_repeat_nothing_that_a_reader_sees() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    send_lines(&envs, &log, 5);
    sim.run_until(at(100)).unwrap();
    let cut = sim.net().partition([id(&sim, 1)], [id(&sim, 0)]);
    sim.run_until(at(2000)).unwrap();
    let received: Vec<_> = log.words();
    assert_eq!(
        received,
        ["l0", "l1", "l2", "l3", "l4", "end"],
        "data flows the other way"
    );
    assert!(sim.net().heal(cut) > 0);
    sim.run_until(at(200_000)).unwrap();
    assert_eq!(log.words(), [""; 0]);
    assert_eq!(
        sim.stats().connections,
        0,
        "the acknowledgements came in the end"
    );
}

#[test]
fn a_partition_that_never_heals_times_the_connection_out() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |_, mut stream| async move {
        while !read(&mut stream, 100).await.unwrap().is_empty() {}
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        env.sleep(1000 * MS).await;
        write_all(&mut stream, b"anybody?").await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
    });
    sim.run_until(at(500)).unwrap();
    sim.net().partition([id(&sim, 0)], [id(&sim, 1)]);
    sim.run_until(at(2_000_000)).unwrap();
    // Linux documents 924.6 s for tcp_retries2 = 15 with the smallest timeout.
    assert_eq!(log.take(), [(at(1020 + 924_600), "TimedOut".to_owned())]);
}

#[test]
fn a_syn_that_nobody_hears_times_out_after_127_seconds() {
    let (sim, envs) = hosts(2, 10 * MS);
    sim.net().crash(id(&sim, 1));
    let log = Log::new();
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let opened = env.connect(addr(1), None).await;
        seen.add(&env, format_result(opened));
    });
    sim.run_until(at(200_000)).unwrap();
    assert_eq!(log.take(), [(at(127_000), "Err(TimedOut)".to_owned())]);
}

#[test]
fn a_handshake_survives_the_loss_of_each_of_its_packets() {
    // SYN, SYN/ACK and its acknowledgement are sent at 0, 10 and 20 ms.
    for (from, to, leaves) in [(0, 1, 0), (1, 0, 10), (0, 1, 20)] {
        let (sim, envs) = hosts(2, 10 * MS);
        let log = Log::new();
        let seen = log.clone();
        serve(&envs[1], 1, move |env, mut stream| {
            let seen = seen.clone();
            async move {
                seen.add(&env, "accepted");
                write_all(&mut stream, b"welcome").await.unwrap();
            }
        });
        let (env, seen) = (envs[0].clone(), log.clone());
        envs[0].spawn("client", async move {
            let mut stream = env.connect(addr(1), None).await.unwrap();
            seen.add(&env, read_text(&mut stream).await);
        });
        if leaves > 0 {
            sim.run_until(at(leaves - 1)).unwrap();
        }
        let cut = sim.net().partition([id(&sim, from)], [id(&sim, to)]);
        sim.run_until(at(leaves + 1)).unwrap();
        assert_eq!(sim.net().heal(cut), 1, "the packet of {leaves} ms was cut");
        sim.run_until(at(100_000)).unwrap();
        assert_eq!(log.words(), ["accepted", "welcome"], "loss at {leaves} ms");
        assert_eq!(sim.stats().connections, 0);
    }
}

#[test]
fn a_peer_that_was_reborn_answers_an_old_connection_with_a_reset() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    serve(&envs[1], 1, |_, mut stream| async move {
        while !read(&mut stream, 100).await.unwrap().is_empty() {}
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        env.sleep(1000 * MS).await;
        write_all(&mut stream, b"still there?").await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
    });
    sim.run_until(at(500)).unwrap();
    sim.net().crash(id(&sim, 1));
    sim.run_until(at(1100)).unwrap();
    assert_eq!(log.words(), [""; 0], "a dead host is silent");
    sim.net().restart(id(&sim, 1));
    sim.run_until(at(3000)).unwrap();
    // Sent at 1020 ms, and again after 200 ms.
    assert_eq!(log.take(), [(at(1240), "ConnectionReset".to_owned())]);
}

#[test]
fn a_reborn_client_on_its_old_port_is_a_new_connection() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            seen.add(&env, format!("accepted {}", stream.peer_addr().port()));
            seen.add(&env, read_text(&mut stream).await);
        }
    });
    let connect = |env: Env| {
        let inner = env.clone();
        env.spawn("client", async move {
            let _stream = inner.connect(addr(1), None).await.unwrap();
            inner.sleep(Duration::from_secs(3600)).await;
        });
    };
    connect(envs[0].clone());
    sim.run_until(at(100)).unwrap();
    let reborn = sim.net().restart(id(&sim, 0));
    // All other ports are in use.
    let hold = reborn.clone();
    reborn.spawn("hog", async move {
        let mut bound = Vec::new();
        for port in 32_769..=60_999 {
            bound.push(hold.listen(SocketAddr::new(ip(0), port)).unwrap());
        }
        hold.sleep(Duration::from_secs(3600)).await;
    });
    sim.run_until(at(101)).unwrap();
    connect(reborn);
    sim.run_until(at(1000)).unwrap();
    assert_eq!(
        log.words(),
        ["accepted 32768", "ConnectionReset", "accepted 32768"]
    );
}

#[test]
fn random_loss_delays_and_loses_nothing() {
    let (sim, envs) = hosts(2, 10 * MS);
    set_link(
        &sim,
        SimLink {
            latency: LinkLatency::Constant(10 * MS),
            loss_ppm: 200_000,
            bandwidth: None,
        },
    );
    let log = Log::new();
    send_lines(&envs, &log, 50);
    sim.run_until(at(100_000)).unwrap();
    let expected: String = (0..50).map(|n| format!("l{n}")).collect::<String>() + "end";
    let got = log.take();
    assert_eq!(
        got.iter()
            .map(|(_, what)| what.as_str())
            .collect::<String>(),
        expected
    );
    assert!(
        got.len() < 51,
        "some packet was lost, and the next ones came with it"
    );
    assert_eq!(sim.stats().connections, 0);
}

#[test]
fn a_window_update_that_was_lost_is_asked_for() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let (total, gate) = (1024 * 1024, 1000);
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            env.sleep_until(at(gate)).await;
            let mut count = 0;
            while count < total {
                count += read(&mut stream, total).await.unwrap().len();
            }
            seen.add(&env, count);
        }
    });
    let env = envs[0].clone();
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        write_all(&mut stream, &vec![1; total]).await.unwrap();
        env.sleep(Duration::from_secs(3600)).await;
    });
    // By now the window is closed and all data is acknowledged.
    sim.run_until(at(gate - 1)).unwrap();
    let cut = sim.net().partition([id(&sim, 1)], [id(&sim, 0)]);
    sim.run_until(at(gate + 1)).unwrap();
    assert_eq!(sim.net().heal(cut), 1, "the window update");
    sim.run_until(at(20_000)).unwrap();
    assert_eq!(log.words(), [total.to_string()]);
}

#[test]
fn delays_add_up_and_end_when_healed() {
    let (sim, envs) = hosts(2, 10 * MS);
    let net = sim.net();
    let faults = [1, 2].map(|_| {
        net.add_delay(
            [id(&sim, 0)],
            [id(&sim, 1)],
            LinkLatency::Constant(100 * MS),
        )
    });
    let log = Log::new();
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        for _ in 0..2 {
            let _ = env.connect(addr(1), None).await;
            seen.add(&env, "refused");
        }
    });
    sim.run_until(at(100)).unwrap();
    for fault in faults {
        assert_eq!(net.heal(fault), 1);
    }
    sim.run_until(at(1000)).unwrap();
    assert_eq!(
        log.take(),
        [
            (at(220), "refused".to_owned()),
            (at(240), "refused".to_owned())
        ]
    );
}

#[test]
fn a_client_whose_server_was_reborn_in_the_handshake_asks_again() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let _listener = envs[1].listen(addr(1)).unwrap();
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let opened = env.connect(addr(1), None).await;
        seen.add(&env, format_result(opened));
    });
    let cut = sim.net().partition([id(&sim, 1)], [id(&sim, 0)]);
    sim.run_until(at(500)).unwrap();
    assert_eq!(sim.net().heal(cut), 1, "the SYN/ACK");
    sim.net().restart(id(&sim, 1));
    sim.run_until(at(5000)).unwrap();
    assert_eq!(
        log.take(),
        [(at(1020), "Err(ConnectionRefused)".to_owned())]
    );
}

#[test]
fn a_reset_that_was_lost_comes_when_the_data_is_sent_again() {
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
    sim.run_until(at(25)).unwrap();
    let cut = sim.net().partition([id(&sim, 1)], [id(&sim, 0)]);
    sim.run_until(at(35)).unwrap();
    assert_eq!(
        sim.net().heal(cut),
        2,
        "the acknowledgement of the data, and the RST"
    );
    sim.run_until(at(5000)).unwrap();
    // Sent at 20 ms, and again after 200 ms.
    assert_eq!(log.take(), [(at(240), "ConnectionReset".to_owned())]);
}
