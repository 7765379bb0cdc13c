//! Runs with the same seed are identical.

use std::sync::Arc;

use rand::{Rng as _, RngExt as _};

use super::*;

type Trace = Vec<(Time, String)>;

/// Ten hosts that communicate over links with random latencies and loss, through crashes and partitions.
fn scenario(seed: u64, noise: Option<u64>) -> (Trace, crate::Stats) {
    let sim = seeded(seed, noise);
    let envs: Vec<Env> = (0..10).map(|n| add(&sim, n)).collect();
    let drawn = LinkLatency::Drawn(Arc::new(|rng| {
        Duration::from_nanos(rng.random_range(0..3_000_000))
    }));
    set_link(
        &sim,
        SimLink {
            latency: drawn,
            loss_ppm: 10_000,
            bandwidth: Some(10_000_000),
        },
    );
    let log = Log::new();
    for (n, env) in (0..).zip(&envs) {
        serve(env, n, |_, mut stream| async move {
            while let Ok(bytes) = read(&mut stream, 1000).await {
                if bytes.is_empty() || write_all(&mut stream, &bytes).await.is_err() {
                    break;
                }
            }
        });
        let (inner, seen) = (env.clone(), log.clone());
        env.spawn("client", async move {
            let mut rng = inner.rng("client");
            loop {
                inner
                    .sleep(Duration::from_micros(rng.random_range(0..20_000)))
                    .await;
                let to = addr(rng.random_range(0..10));
                let call = async {
                    let mut stream = inner.connect(to, None).await?;
                    write_all(&mut stream, b"hello").await?;
                    read(&mut stream, 100).await
                };
                let answer = inner.timeout(500 * MS, call).await;
                let answer = answer.map(|answer| answer.map_err(|error| error.kind()));
                seen.add(&inner, format!("{n} {to} {answer:?}"));
            }
        });
    }
    let net = sim.net();
    sim.run_until(at(500)).unwrap();
    net.crash(id(&sim, 3));
    let cut = net.partition([id(&sim, 1), id(&sim, 2)], [id(&sim, 4)]);
    sim.run_until(at(1000)).unwrap();
    net.restart(id(&sim, 3));
    net.heal(cut);
    sim.run_until(at(1500)).unwrap();
    (log.take(), sim.stats())
}

#[test]
fn the_same_seed_gives_the_same_run_also_with_noise() {
    let first = scenario(7, None);
    assert!(first.0.len() > 300, "{} calls", first.0.len());
    assert_eq!(first, scenario(7, None));
    assert_eq!(first, scenario(7, Some(1)));
    assert_eq!(first, scenario(7, Some(2)));
}

#[test]
fn another_seed_gives_another_run() {
    assert_ne!(scenario(7, None).0, scenario(8, None).0);
}

#[test]
fn a_label_names_a_stream_of_its_own() {
    let (_sim, envs) = hosts(2, MS);
    let draw = |env: &Env, label| env.rng(label).next_u64();
    assert_eq!(draw(&envs[0], "a"), draw(&envs[0], "a"));
    assert_ne!(draw(&envs[0], "a"), draw(&envs[0], "b"));
    assert_ne!(draw(&envs[0], "a"), draw(&envs[1], "a"));
}
