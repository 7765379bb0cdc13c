//! The same scenarios on loopback sockets. Only properties that do not depend on the system's timing are
//! asserted.

use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::scenario::{ChaosAction, Step};
use shakedown_scenarios::value::Distribution;

use super::build::{Build, all_of, millis};
use super::{Played, play_with};
use crate::RunnerOptions;
use shakedown_results::Engine;

/// A front that calls a back, both with sidecars, with one second of load.
fn chain(edit: impl FnOnce(&mut Build)) -> Played {
    let mut build = Build::new(1);
    let work = build.work("2ms");
    build.service("back", vec![work]);
    let call = build.call(0);
    build.service("front", vec![Step::Call(Box::new(call))]);
    build.load(1, "50/s");
    edit(&mut build);
    play_with(
        &build.scenario,
        RunnerOptions {
            seed: 1,
            ..RunnerOptions::default()
        },
        Engine::Real,
    )
}

#[test]
fn a_story_plays_on_loopback_and_its_faults_touch() {
    let calm = chain(|_| {});
    calm.check_laws();
    assert_eq!(calm.answers(Answer::Ok), 50);
    assert_eq!(calm.served(Fate::Done), 100);
    assert!(
        calm.finished()
            .iter()
            .all(|finish| finish.latency_ns() >= 2_000_000)
    );

    let cut = chain(|build| {
        build.scenario.loads[0].timeout = millis(3_000);
        let link = ChaosAction::Partition {
            from: all_of("front"),
            to: all_of("back"),
            both: true,
        };
        build.fault("300ms", "300ms", link);
    });
    cut.check_laws();
    assert_eq!(cut.answers(Answer::Ok), 50);
    let held = cut
        .finished()
        .iter()
        .filter(|f| f.latency_ns() > 100_000_000)
        .count();
    assert!(held >= 5, "{held} were held up");
    let hits = cut.count(|event| matches!(event, Event::FaultEnded { hits, .. } if *hits > 0));
    assert_eq!(hits, 1);

    let crash = chain(|build| {
        // Long enough for lost SYNs to be retransmitted, after one second.
        build.scenario.duration = millis(2_500);
        build.scenario.loads[0].stop = millis(2_500);
        build.scenario.loads[0].timeout = millis(200);
        build.scenario.services[0].versions[0].boot = millis(100);
        build.fault("200ms", "200ms", ChaosAction::Crash(all_of("back")));
        build.fault("800ms", "100ms", ChaosAction::Pause(all_of("users")));
    });
    crash.check_laws();
    // Timeouts at first, then broken and refused connections.
    assert!(crash.answers(Answer::Timeout) >= 1);
    assert!(
        crash.answers(Answer::Ok) < 122,
        "{}",
        crash.answers(Answer::Ok)
    );
    let ready = crash.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready.len(), 2);
    assert!(ready[1] >= 500_000_000, "{ready:?}");
    let last = crash.finished();
    assert_eq!(
        last.last().map(|finish| finish.outcome.answer),
        Some(Answer::Ok)
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "two runs at a time are what is tested"
)]
fn two_concurrent_real_runs_do_not_interfere_with_each_other() {
    let other = std::thread::scope(|scope| {
        let other = scope.spawn(|| chain(|_| {}).answers(Answer::Ok));
        assert_eq!(chain(|_| {}).answers(Answer::Ok), 50);
        other.join().unwrap()
    });
    assert_eq!(other, 50);
}

/// Median latencies in the simulator and on loopback, ms, of calls over two hops with this latency.
fn medians(latency: &str) -> [i64; 2] {
    let mut build = Build::new(2);
    let work = build.work("2ms");
    build.service("back", vec![work]);
    let call = build.call(0);
    build.service("front", vec![Step::Call(Box::new(call))]);
    build.load(1, "40/s");
    build.scenario.latency.same_zone = Distribution::parse_duration(latency).unwrap();
    [Engine::Native, Engine::Real].map(|world| {
        let options = RunnerOptions {
            seed: 1,
            ..RunnerOptions::default()
        };
        let played = play_with(&build.scenario, options, world);
        played.check_laws();
        assert_eq!(played.answers(Answer::Ok), 80, "{world:?}");
        let finished = played.finished();
        let mut latencies: Vec<i64> = finished.iter().map(|f| f.latency_ns()).collect();
        latencies.sort_unstable();
        latencies[latencies.len() / 2] / 1_000_000
    })
}

#[test]
fn a_real_run_has_the_latencies_of_the_story() {
    for latency in ["15ms", "uniform(10ms..20ms)"] {
        let [simulated, real] = medians(latency);
        // Four one-way latencies and the work. The rest is the machine's.
        assert!((61..=64).contains(&simulated), "{latency}: {simulated} ms");
        let slack = simulated / 4;
        assert!(
            (simulated - 2..simulated + slack).contains(&real),
            "{latency}: {real} ms for real, {simulated} ms simulated"
        );
    }
}
