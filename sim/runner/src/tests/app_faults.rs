//! Faults that slow down or fail apps for a while, and loads that surge.

use http::StatusCode;
use shakedown_results::{Answer, PodId};
use shakedown_scenarios::scenario::{
    ChaosAction, Draw, EndpointId, LoadId, PodCount, PodSelector, PodTarget, ResolvedScenario,
    ServiceId, StepFailure, StepStatus, VersionId,
};
use shakedown_scenarios::value::{Ratio, Share};

use super::build::{Build, all_of};
use super::{Played, play};
use crate::RunnerOptions;
use shakedown_results::Engine;

/// A server that works for 2 ms, at 100 requests/s for three seconds. `edit` adds a fault from 1 s to 2 s.
fn scenario(edit: impl FnOnce(&mut Build)) -> ResolvedScenario {
    let mut build = Build::new(3);
    let step = build.work("2ms");
    build.service("server", vec![step]);
    build.load(0, "100/s");
    build.bare();
    edit(&mut build);
    build.scenario
}

fn slow(target: PodTarget, factor: i128, add: Option<Draw>) -> ChaosAction {
    ChaosAction::Slow {
        target,
        factor: Ratio::whole(factor),
        add,
    }
}

fn fail(rate: &str, with: StepFailure, only: Option<(u32, u32)>) -> ChaosAction {
    ChaosAction::Fail {
        target: all_of("server"),
        rate: Share::parse(rate).unwrap(),
        with,
        only: only.map(|(service, endpoint)| (ServiceId::new(service), EndpointId::new(endpoint))),
    }
}

/// Latencies in ms, by the second in which the requests were due.
fn by_second(played: &Played) -> Vec<Vec<i64>> {
    let mut seconds = vec![Vec::new(); 3];
    for finish in played.finished() {
        let second = usize::try_from(finish.intended_ns / 1_000_000_000).unwrap();
        seconds[second].push(finish.latency_ns() / 1_000_000);
    }
    seconds
}

#[test]
fn a_slow_app_takes_so_many_times_as_long_while_it_lasts() {
    let played = play(&scenario(|build| {
        build.fault("1s", "1s", slow(all_of("server"), 3, None));
    }));
    played.check_laws();
    assert_eq!(
        by_second(&played),
        [vec![2; 100], vec![6; 100], vec![2; 100]]
    );
    assert_eq!(played.hits(), [100]);
}

#[test]
fn overlapping_factors_multiply_and_delays_add() {
    let played = play(&scenario(|build| {
        let (one, two) = (build.draw("1ms"), build.draw("4ms"));
        build.fault("1s", "1s", slow(all_of("server"), 3, Some(one)));
        build.fault("1s", "1s", slow(all_of("server"), 2, Some(two)));
    }));
    assert_eq!(by_second(&played)[1], [17; 100]);
    assert_eq!(by_second(&played)[2], [2; 100]);
}

#[test]
fn slowness_may_be_one_replicas_own() {
    let played = play(&scenario(|build| {
        build.scenario.services[0].versions[0].replicas = 2;
        build.scenario.loads[0].new_connections = true;
        let mut one = all_of("server");
        one.part = PodCount::Count(1);
        build.fault("1s", "1s", slow(one, 5, None));
    }));
    let slow = by_second(&played)[1].iter().filter(|ms| **ms == 10).count();
    assert!((30..70).contains(&slow), "{slow}");
    assert_eq!(played.hits(), [slow as u64]);
}

#[test]
fn a_sick_app_fails_its_share_before_the_first_step() {
    let played = play(&scenario(|build| {
        let with = StepFailure::Status(StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR));
        build.fault("1s", "1s", fail("30%", with, None));
    }));
    played.check_laws();
    let failed: Vec<_> = played
        .finished()
        .into_iter()
        .filter(|finish| finish.outcome.status == 500)
        .collect();
    assert!((15..45).contains(&failed.len()), "{}", failed.len());
    assert!(failed.iter().all(|finish| finish.latency_ns() == 0));
    assert_eq!(played.hits(), [failed.len() as u64]);
}

#[test]
fn an_endpoint_that_is_not_meant_does_not_fail() {
    let sick = |only| {
        let played = play(&scenario(|build| {
            build
                .fault("1s", "1s", fail("100%", StepFailure::Reset, only))
                .may_miss = true;
        }));
        played.answers(Answer::Error)
    };
    assert_eq!(sick(Some((0, 0))), 100);
    assert_eq!(sick(Some((0, 1))), 0);
    assert_eq!(sick(Some((1, 0))), 0);
}

#[test]
fn what_ails_all_pods_ails_those_that_are_added() {
    let played = play(&scenario(|build| {
        build.scenario.loads[0].new_connections = true;
        build.fault("0s", "100s", slow(all_of("server"), 2, None));
        let scale = ChaosAction::Scale {
            service: ServiceId::new(0),
            version: None,
            to: 2,
        };
        build.fault("0s", "100s", scale);
    }));
    assert!(played.stays_ns(PodId(3)).len() > 50);
    assert!(by_second(&played).concat().iter().all(|ms| *ms == 4));
}

#[test]
fn a_version_that_comes_later_may_be_meant() {
    let mut build = Build {
        scenario: scenario(|build| {
            let mut second = build.scenario.services[0].versions[0].clone();
            "v2".clone_into(&mut second.name);
            second.replicas = 0;
            build.scenario.services[0].versions.push(second);
            build.scenario.loads[0].new_connections = true;
        }),
    };
    let deploy = ChaosAction::Deploy {
        service: ServiceId::new(0),
        version: VersionId::new(1),
        replicas: 2,
    };
    build.fault("0s", "100s", deploy);
    let target = PodTarget {
        of: PodSelector::Service {
            service: ServiceId::new(0),
            version: Some(VersionId::new(1)),
            replica: None,
        },
        part: PodCount::Count(1),
        text: "server/v2".to_owned(),
        ..all_of("server")
    };
    build.fault("2s", "100s", slow(target, 4, None));
    let played = play(&build.scenario);
    assert!(played.hits()[1] > 10, "{:?}", played.hits());
    let slow = by_second(&played)[2].iter().filter(|ms| **ms == 8).count();
    assert!((15..60).contains(&slow), "{slow}");
}

#[test]
fn a_surge_is_counted_by_its_requests() {
    let played = play(&scenario(|build| {
        let surge = ChaosAction::Surge {
            load: LoadId::new(0),
            factor: Ratio::whole(4),
        };
        build.fault("1s", "1s", surge);
    }));
    played.check_laws();
    let counts: Vec<usize> = by_second(&played).iter().map(Vec::len).collect();
    assert_eq!(counts, [100, 400, 100]);
    assert_eq!(played.hits(), [400]);
}

#[test]
fn ailments_repeat_themselves_even_under_noise() {
    let scenario = scenario(|build| {
        let add = build.draw("exp(2ms)");
        build.fault("500ms", "1s", slow(all_of("server"), 2, Some(add)));
        build.fault("1s", "1s", fail("40%", StepFailure::Reset, None));
    });
    let with = |seed, noise| {
        let options = RunnerOptions {
            seed,
            noise,
            ..RunnerOptions::default()
        };
        super::play_with(&scenario, options, Engine::Native).records
    };
    let first = with(1, None);
    assert_eq!(first, with(1, Some(3)));
    assert_ne!(first, with(2, None));
}
