//! Scenarios with the whole mesh: proxies, control plane, xDS.

use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::scenario::{ChaosAction, ResolvedScenario};

use super::build::{Build, all_of, millis};
use super::{Played, play, play_with};
use crate::RunnerOptions;
use crate::run::native::on_this_thread;
use shakedown_results::Engine;

/// A front that calls a back of two replicas, all with sidecars.
fn chain(rate: &str, seconds: u64) -> ResolvedScenario {
    let mut build = Build::new(seconds);
    let work = build.work("exp(2ms)");
    let back = build.service("back", vec![work]);
    back.replicas = 2;
    back.workers = Some(8);
    let call = build.call(0);
    build.service(
        "front",
        vec![shakedown_scenarios::scenario::Step::Call(Box::new(call))],
    );
    build.load(1, rate);
    build.scenario
}

/// Pods of the chain: back/v1/0, back/v1/1, front/v1/0, users/0, control/0.
const BACKS: [PodId; 2] = [PodId(0), PodId(1)];
const FRONT: PodId = PodId(2);
const USERS: PodId = PodId(3);

fn attempts(played: &Played, from: PodId) -> usize {
    played.count(|event| matches!(event, Event::Attempt { from: by, .. } if *by == from))
}

#[test]
fn a_request_travels_through_every_proxy_on_its_way() {
    let played = play(&chain("50/s", 2));
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 100);
    assert_eq!(played.served(Fate::Done), 200);
    assert_eq!(
        (attempts(&played, USERS), attempts(&played, FRONT)),
        (100, 100)
    );
    assert_eq!(
        played.count(|event| matches!(event, Event::Proxied { .. })),
        200
    );
    let roots = played.count(|event| matches!(event, Event::Proxied { root: Some(_), .. }));
    assert_eq!(roots, 200, "proxies keep the request id");
}

#[test]
fn both_replicas_get_their_share() {
    let played = play(&chain("100/s", 2));
    for back in BACKS {
        assert!(
            played.stays_ns(back).len() > 60,
            "{}",
            played.stays_ns(back).len()
        );
    }
}

#[test]
fn the_mesh_is_ready_before_0_s() {
    let played = play(&chain("10/s", 1));
    let in_force = played.times(|event| matches!(event, Event::ConfigInForce { .. }));
    assert_eq!(in_force.len(), 4);
    assert!(in_force.iter().all(|at| *at <= 0), "{in_force:?}");
    assert!(played.count(|event| matches!(event, Event::ConfigChanged { .. })) >= 1);
}

#[test]
fn a_meshed_run_repeats_itself_even_under_noise() {
    let scenario = chain("50/s", 2);
    let with = |noise| {
        play_with(
            &scenario,
            RunnerOptions {
                seed: 3,
                noise,
                ..RunnerOptions::default()
            },
            Engine::Native,
        )
        .records
    };
    let first = with(None);
    assert_eq!(first, with(None));
    assert_eq!(first, with(Some(4)));
}

#[test]
fn a_crash_behind_proxies_leaves_no_loose_end() {
    let mut build = Build {
        scenario: chain("100/s", 6),
    };
    build.fault("1s", "1s", ChaosAction::Crash(all_of("back")));
    build.fault("4s", "500ms", ChaosAction::Pause(all_of("front")));
    build.scenario.loads[0].timeout = millis(800);
    let played = play(&build.scenario);
    played.check_laws();
    let last = played.finished();
    assert!(
        last[550..]
            .iter()
            .all(|finish| finish.outcome.answer == Answer::Ok)
    );
    assert!(played.answers(Answer::Ok) < 600);
    // Two crashed, and each accepted its configuration again after its boot.
    let in_force = played
        .count(|event| matches!(event, Event::ConfigInForce { pod, .. } if BACKS.contains(pod)));
    assert_eq!(in_force, 4);
}

#[test]
fn the_data_plane_survives_its_control_plane() {
    let mut build = Build {
        scenario: chain("50/s", 4),
    };
    build.fault("1s", "1s", ChaosAction::Crash(all_of("control")));
    let played = play(&build.scenario);
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 200);
}

#[test]
fn neither_tasks_nor_timers_grow_with_the_requests() {
    let scenario = chain("200/s", 20);
    let options = RunnerOptions {
        seed: 1,
        ..RunnerOptions::default()
    };
    // Tasks and timers at each whole second of the simulation.
    let mut stats = std::collections::BTreeMap::new();
    on_this_thread(&scenario, options, &mut |_, _| {}, &mut |sim| {
        let second = sim.now().as_nanos() / 1_000_000_000;
        stats.entry(second).or_insert_with(|| sim.stats());
    })
    .unwrap();
    let (early, late) = (stats[&5], stats[&20]);
    assert!(early.tasks > 10 && early.live_timers > 0, "{early:?}");
    assert!(late.tasks <= early.tasks + 20, "{early:?} {late:?}");
    assert!(
        late.live_timers <= early.live_timers + 20,
        "{early:?} {late:?}"
    );
    assert!(
        late.connections <= early.connections + 20,
        "{early:?} {late:?}"
    );
}
