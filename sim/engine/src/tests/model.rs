//! A property test: for any schedule of writes, reads, losses and partitions, each direction delivers exactly
//! its bytes, in order.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

#[derive(Clone, Debug)]
struct Plan {
    writes: Vec<(u64, usize)>,
    reads: Vec<(u64, usize)>,
    cuts: Vec<(u64, u64, bool)>,
    loss_ppm: u32,
    latency_us: u64,
    bandwidth: Option<u64>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let writes = prop::collection::vec((0..40u64, 1..200_000usize), 1..20);
    let reads = prop::collection::vec((0..20u64, 1..150_000usize), 1..8);
    let cuts = prop::collection::vec((0..800u64, 1..600u64, any::<bool>()), 0..4);
    let bandwidth = prop::option::of(1_000_000..1_000_000_000u64);
    (writes, reads, cuts, 0..150_000u32, 0..20_000u64, bandwidth).prop_map(
        |(writes, reads, cuts, loss_ppm, latency_us, bandwidth)| Plan {
            writes,
            reads,
            cuts,
            loss_ppm,
            latency_us,
            bandwidth,
        },
    )
}

fn byte(at: usize) -> u8 {
    u8::try_from((at * 31 + at / 256) % 251).unwrap()
}

/// Writes as planned, then closes this direction.
async fn talk(env: &Env, stream: &Rc<RefCell<BoxStream>>, writes: &[(u64, usize)]) {
    let mut sent = 0;
    for (pause_ms, count) in writes {
        env.sleep(Duration::from_millis(*pause_ms)).await;
        let bytes: Vec<u8> = (sent..sent + count).map(byte).collect();
        let mut left = &bytes[..];
        while !left.is_empty() {
            let count = poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_write(cx, left))
                .await
                .unwrap();
            left = &left[count..];
        }
        sent += count;
    }
    poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_shutdown(cx))
        .await
        .unwrap();
}

/// Reads as planned to the end, and returns the number of bytes.
async fn receive(env: &Env, stream: &Rc<RefCell<BoxStream>>, reads: &[(u64, usize)]) -> usize {
    let mut received = 0;
    for (pause_ms, most) in reads.iter().cycle() {
        env.sleep(Duration::from_millis(*pause_ms)).await;
        let mut bytes = vec![0; *most];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_read(cx, buf.unfilled()))
            .await
            .unwrap();
        let got = buf.filled();
        if got.is_empty() {
            break;
        }
        assert!(
            got.iter()
                .enumerate()
                .all(|(n, got)| *got == byte(received + n)),
            "a byte is wrong after {received}"
        );
        received += got.len();
    }
    received
}

fn both_ways(env: Env, stream: BoxStream, plan: &Plan, log: &Log) {
    let stream = Rc::new(RefCell::new(stream));
    let (inner, plan, log, half) = (env.clone(), plan.clone(), log.clone(), stream.clone());
    env.spawn("hear", async move {
        let received = receive(&inner, &half, &plan.reads).await;
        log.add(&inner, received);
        talk(&inner, &half, &plan.writes).await;
    });
}

fn transfer(plan: &Plan) -> Vec<String> {
    let (sim, envs) = hosts(2, MS);
    set_link(
        &sim,
        SimLink {
            latency: LinkLatency::Constant(Duration::from_micros(plan.latency_us)),
            loss_ppm: plan.loss_ppm,
            bandwidth: plan.bandwidth,
        },
    );
    let log = Log::new();
    let (server_plan, server_log) = (plan.clone(), log.clone());
    serve(&envs[1], 1, move |env, stream| {
        both_ways(env, stream, &server_plan, &server_log);
        async {}
    });
    let (env, client_plan, client_log) = (envs[0].clone(), plan.clone(), log.clone());
    envs[0].spawn("client", async move {
        let stream = Rc::new(RefCell::new(env.connect(addr(1), None).await.unwrap()));
        talk(&env, &stream, &client_plan.writes).await;
        let received = receive(&env, &stream, &client_plan.reads).await;
        client_log.add(&env, received);
    });
    let (net, ends) = (sim.net(), [id(&sim, 0), id(&sim, 1)]);
    let stage = add(&sim, 9);
    for (from_ms, for_ms, back) in plan.cuts.clone() {
        let (env, net) = (stage.clone(), net.clone());
        let (from, to) = if back {
            (ends[1], ends[0])
        } else {
            (ends[0], ends[1])
        };
        stage.spawn("cut", async move {
            env.sleep(Duration::from_millis(from_ms)).await;
            let cut = net.partition([from], [to]);
            env.sleep(Duration::from_millis(for_ms)).await;
            net.heal(cut);
        });
    }
    sim.run_until(at(3_000_000)).unwrap();
    let stats = sim.stats();
    assert_eq!(
        (stats.connections, stats.live_timers, stats.tasks),
        (0, 0, 1),
        "only the listener is left: {stats:?}"
    );
    log.words()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_directions_deliver_exactly_their_bytes_in_order(plan in plans()) {
        let total: usize = plan.writes.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(transfer(&plan), [total.to_string(), total.to_string()]);
    }
}
