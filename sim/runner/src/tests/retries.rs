//! An app's own retries and deadlines, without proxies and latency, so that times are exact.

use std::time::Duration;

use http::StatusCode;
use shakedown_results::{Answer, Event, Fate, ParticipantId, PodId};
use shakedown_scenarios::scenario::{
    Abandoned, AppRetries, AttemptBound, Call, DrawId, OnError, ResolvedScenario, Step,
    StepFailure, StepStatus,
};
use shakedown_scenarios::value::Share;

use super::build::{Build, all_of, millis, seconds};
use super::{Played, play, play_with};
use crate::RunnerOptions;
use shakedown_results::Engine;

const BACK: ParticipantId = ParticipantId(0);
const FRONT: PodId = PodId(1);

fn retries(times: u32) -> AppRetries {
    AppRetries {
        times,
        on_5xx: true,
        on_reset: true,
        on_timeout: true,
        backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        full_jitter: false,
        budget: None,
        draw_id: DrawId(0),
    }
}

/// A front whose one step calls a back that executes `steps`, with a request every 100 ms for one second.
fn chain(steps: impl FnOnce(&mut Build) -> Vec<Step>, edit: impl FnOnce(&mut Call)) -> Build {
    let mut build = Build::new(1);
    let draw_id = build.draw_id("services.front.v1.0/GET //0/retries");
    let steps = steps(&mut build);
    build.service("back", steps);
    let mut call = build.call(0);
    edit(&mut call);
    if let Some(retries) = &mut call.retries {
        retries.draw_id = draw_id;
    }
    build.service("front", vec![Step::Call(Box::new(call))]);
    build.load(1, "10/s").timeout = seconds(30);
    build.bare();
    build
}

fn failing(build: &mut Build) -> Vec<Step> {
    let draw_id = build.draw_id("fail");
    vec![Step::Fail {
        rate: Share::ALL,
        with: StepFailure::Status(StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR)),
        draw_id,
    }]
}

/// The number of attempts of every call of the front.
fn tries(played: &Played) -> Vec<u16> {
    let ends = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::CallEnded {
                from, to, tries, ..
            } if *from == FRONT && *to == BACK => Some(*tries),
            _ => None,
        });
    ends.collect()
}

fn numbers(played: &Played) -> Vec<u16> {
    let attempts = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Attempt { from, number, .. } if *from == FRONT => Some(*number),
            _ => None,
        });
    attempts.collect()
}

#[test]
fn an_apps_retries_are_inside_one_call() {
    let scenario = chain(failing, |call| call.retries = Some(retries(2))).scenario;
    let played = play(&scenario);
    played.check_laws();
    assert_eq!(tries(&played), [3; 10]);
    assert_eq!(numbers(&played), [1, 2, 3].repeat(10));
    assert!(played.finished().iter().all(|f| f.outcome.status == 502));
}

#[test]
fn a_retry_saves_what_fails_half_the_time() {
    let half = |build: &mut Build| {
        let draw_id = build.draw_id("fail");
        let with = StepFailure::Status(StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE));
        let rate = Share::parse("50%").unwrap();
        vec![Step::Fail {
            rate,
            with,
            draw_id,
        }]
    };
    let ok = |times| {
        let mut build = chain(half, |call| call.retries = Some(retries(times)));
        build.scenario.loads[0].entries[0].weight = 1;
        play(&build.scenario).answers(Answer::Ok)
    };
    assert!(ok(0) < 9);
    assert_eq!(ok(20), 10);
}

#[test]
fn the_timeout_bounds_a_try_and_the_deadline_all_of_them() {
    let slow = |build: &mut Build| vec![build.sleep("1s")];
    let ends_ms = |deadline| {
        let scenario = chain(slow, |call| {
            call.timeout = Some(AttemptBound::Span(millis(200)));
            call.deadline = deadline;
            call.retries = Some(retries(3));
        });
        let played = play(&scenario.scenario);
        played.check_laws();
        let finish = played.finished()[0];
        assert_eq!(finish.outcome.status, 504);
        (finish.latency_ns() / 1_000_000, tries(&played)[0])
    };
    assert_eq!(ends_ms(None), (800, 4));
    assert_eq!(ends_ms(Some(millis(500))), (500, 3));
}

#[test]
fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let scenario = chain(failing, |call| {
        call.deadline = Some(millis(250));
        call.retries = Some(AppRetries {
            backoff: millis(100),
            max_backoff: seconds(1),
            ..retries(5)
        });
    });
    let played = play(&scenario.scenario);
    // Attempts at 0 and 100 ms. The next would be at 300 ms.
    assert_eq!(tries(&played), [2; 10]);
    assert_eq!(played.finished()[0].latency_ns(), 100_000_000);
}

#[test]
fn a_budget_counts_over_all_calls_of_the_process() {
    let mut build = chain(failing, |call| {
        call.retries = Some(AppRetries {
            budget: Some(Share::parse("10%").unwrap()),
            ..retries(1)
        });
    });
    build.scenario.duration = seconds(10);
    build.scenario.loads[0].stop = seconds(10);
    let played = play(&build.scenario);
    // Every tenth first attempt earns one retry.
    let retried = tries(&played).iter().filter(|tries| **tries == 2).count();
    assert_eq!(retried, 10);
}

#[test]
fn a_meshed_app_retries_through_its_sidecar() {
    let mut build = chain(failing, |call| call.retries = Some(retries(2)));
    for service in &mut build.scenario.services {
        service.versions[0].sidecar = true;
    }
    let played = play(&build.scenario);
    played.check_laws();
    assert_eq!(tries(&played), [3; 10]);
    let arrived = played.count(|event| matches!(event, Event::Arrived { pod: PodId(0), .. }));
    assert_eq!(arrived, 30);
}

#[test]
fn jitter_repeats_itself_even_under_noise() {
    let scenario = chain(failing, |call| {
        call.retries = Some(AppRetries {
            backoff: millis(10),
            max_backoff: millis(100),
            full_jitter: true,
            ..retries(3)
        });
    })
    .scenario;
    let with = |seed, noise| {
        let options = RunnerOptions {
            seed,
            noise,
            ..RunnerOptions::default()
        };
        play_with(&scenario, options, Engine::Native).records
    };
    let first = with(1, None);
    assert_eq!(first, with(1, Some(5)));
    assert_ne!(first, with(2, None));
}

/// A core that serves 20 requests/s, with 100 offered and a timeout of 100 ms.
fn flooded(rule: Abandoned, meshed: bool) -> Played {
    let mut build = Build::new(2);
    let step = build.work("50ms");
    let version = build.service("server", vec![step]);
    (version.cores, version.cpu) = (Some(1), shakedown_scenarios::scenario::CpuScheduling::Fifo);
    version.queue.limit = None;
    version.abandoned = rule;
    build.load(0, "100/s").timeout = millis(100);
    if !meshed {
        build.bare();
    }
    build.scenario.drain = seconds(20);
    play(&build.scenario)
}

#[test]
fn a_caller_that_times_out_does_not_free_the_core_under_finish() {
    for meshed in [false, true] {
        let played = flooded(Abandoned::Finish, meshed);
        played.check_laws();
        // All 200 are completed, most of them for disconnected callers: 10 s of work.
        let served = played.served(Fate::Abandoned) + played.served(Fate::Done);
        assert_eq!(served, 200, "meshed: {meshed}");
        assert!(played.answers(Answer::Ok) < 10);
        let last = *played
            .times(|event| matches!(event, Event::Served { .. }))
            .last()
            .unwrap();
        assert!((9_900_000_000..10_200_000_000).contains(&last), "{last}");
    }
}

#[test]
fn a_caller_that_times_out_is_dropped_at_its_turn_under_drop() {
    for meshed in [false, true] {
        let played = flooded(Abandoned::Drop, meshed);
        played.check_laws();
        assert!(played.served(Fate::Shed) > 150, "meshed: {meshed}");
        let last = *played
            .times(|event| matches!(event, Event::Served { .. }))
            .last()
            .unwrap();
        assert!(last < 2_300_000_000, "{last}");
    }
}

#[test]
fn a_retry_storm_outlives_its_cause_and_a_budget_ends_it() {
    let storm = |budget: Option<&str>| {
        let mut build = Build::new(60);
        let draw_id = build.draw_id("load.users.retries");
        let step = build.work("10ms");
        let version = build.service("db", vec![step]);
        (version.cores, version.cpu) =
            (Some(1), shakedown_scenarios::scenario::CpuScheduling::Fifo);
        version.queue.limit = None;
        let load = build.load(0, "80/s");
        load.timeout = seconds(1);
        load.retries = Some(AppRetries {
            budget: budget.map(|budget| Share::parse(budget).unwrap()),
            draw_id,
            ..retries(1)
        });
        let target = all_of("db");
        let pause = shakedown_scenarios::scenario::ChaosAction::Pause(target);
        build.fault("5s", "5s", pause);
        let played = play(&build.scenario);
        let last = played
            .finished()
            .into_iter()
            .filter(|finish| finish.intended_ns > 50_000_000_000);
        last.filter(|finish| finish.outcome.answer == Answer::Ok)
            .count()
    };
    assert_eq!(storm(None), 0);
    assert_eq!(storm(Some("5%")), 799);
}

#[test]
fn on_error_ignore_goes_on_after_the_last_try() {
    let scenario = chain(failing, |call| {
        call.retries = Some(retries(1));
        call.on_error = OnError::Ignore;
    })
    .scenario;
    let scenario: ResolvedScenario = scenario;
    assert_eq!(play(&scenario).answers(Answer::Ok), 10);
}
