//! The cost of a simulated second at scale: 333 chains of client, two sidecars and server, with 1,000 requests per
//! second in total. Every proxy is the real one, configured over real xDS. Start-up (1,000 hosts, a push to each of 666
//! proxies) is not measured, because the clock runs from the first to the last event of the load's second.
//!
//! Bound: 0.15 s of CPU per simulated second. The run has one thread, so wall time equals CPU time apart from the
//! machine's noise.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use shakedown_results::Engine;
use shakedown_runner::{RunnerOptions, run};
use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{Edits, load_text};

const CHAINS: usize = 333;
const SECOND_NS: i64 = 1_000_000_000;

fn scenario() -> ResolvedScenario {
    let mut text = String::from(
        "scenario: chains\nstory: Many chains.\nduration: 2s\ntopology:\n  services:\n",
    );
    for at in 0..CHAINS {
        writeln!(
            text,
            "    s{at}: {{workers: 8, endpoints: {{GET /: [work: 100us]}}}}"
        )
        .expect("writing into a string succeeds");
    }
    text.push_str("load:\n");
    for at in 0..CHAINS {
        writeln!(text, "  l{at}: {{to: s{at} GET /, rate: 3/s}}")
            .expect("writing into a string succeeds");
    }
    text.push_str("expect: [success(l0) == 100%]\n");
    load_text("chains.yaml", &text, &Edits::default()).expect("the scenario is valid")
}

/// The wall time of the second simulated second.
fn one_second(scenario: &ResolvedScenario) -> Duration {
    let (mut first, mut last) = (None, None);
    run(
        scenario,
        RunnerOptions {
            seed: 1,
            ..RunnerOptions::default()
        },
        Engine::Native,
        &mut |_, record| {
            if (SECOND_NS..2 * SECOND_NS).contains(&black_box(record.at_ns)) {
                let now = now();
                first.get_or_insert(now);
                last = Some(now);
            }
        },
    )
    .expect("the run ends");
    last.expect("the load sends in that second") - first.expect("the load sends in that second")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn chains(c: &mut Criterion) {
    let scenario = scenario();
    let mut group = c.benchmark_group("stage");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(1));
    group.bench_function("333 chains, 1,000 requests/s, one simulated second", |b| {
        b.iter_custom(|times| (0..times).map(|_| one_second(&scenario)).sum());
    });
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);
