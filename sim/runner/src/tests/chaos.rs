//! Faults and their effects.

use std::time::Duration;

use http::StatusCode;
use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::scenario::{
    Callee, ChaosAction, CpuScheduling, FireTimes, PodCount, ResolvedScenario, ServiceId,
    StepFailure, StepStatus,
};
use shakedown_scenarios::value::{Rate, Ratio, Share};

use super::build::{Build, all_of, millis};
use super::{Played, play};

const SECOND: i64 = 1_000_000_000;

/// A server and a client without sidecars, for 4 s. `edit` adds a fault from 1 s to 2 s.
fn scenario(edit: impl FnOnce(&mut Build)) -> ResolvedScenario {
    let mut build = Build::new(4);
    let step = build.work("5ms");
    build.service("server", vec![step]);
    build.load(0, "100/s").timeout = millis(500);
    build.bare();
    edit(&mut build);
    build.scenario
}

fn fault(action: ChaosAction) -> ResolvedScenario {
    scenario(|build| {
        build.fault("1s", "1s", action);
    })
}

/// Outcomes of the requests that were due between `from` and `to`, in seconds.
fn answers_within(played: &Played, from: f64, to: f64) -> Vec<Answer> {
    let within = |ns: i64| ns as f64 >= from * 1e9 && (ns as f64) < to * 1e9;
    let finished = played
        .finished()
        .into_iter()
        .filter(|f| within(f.intended_ns));
    finished.map(|f| f.outcome.answer).collect()
}

fn all(answers: &[Answer], answer: Answer) -> bool {
    !answers.is_empty() && answers.iter().all(|had| *had == answer)
}

#[test]
fn a_crashed_pod_is_silent_until_it_has_booted() {
    let played = play(&fault(ChaosAction::Crash(all_of("server"))));
    played.check_laws();
    assert!(all(&answers_within(&played, 0.0, 0.9), Answer::Ok));
    assert!(all(&answers_within(&played, 1.0, 1.4), Answer::Timeout));
    // The host is up at 2 s and the app has booted at 3 s. Between them connections are refused.
    assert!(all(&answers_within(&played, 2.5, 2.9), Answer::Error));
    assert!(all(&answers_within(&played, 3.1, 4.0), Answer::Ok));
    assert_eq!(
        played.times(|event| *event == Event::Crashed { pod: PodId(0) }),
        [SECOND]
    );
    let ready = played.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready, [0, 3 * SECOND]);
}

#[test]
fn what_a_pod_had_in_hand_dies_with_it() {
    let mut scenario = fault(ChaosAction::Crash(all_of("server")));
    scenario.services[0].versions[0].workers = Some(1);
    let work = shakedown_scenarios::value::Distribution::parse_duration("100ms").unwrap();
    if let Some([shakedown_scenarios::scenario::Step::Work(timed), ..]) =
        scenario.services[0].versions[0].endpoints[0].as_deref_mut()
    {
        timed.time.from = work;
    }
    let played = play(&scenario);
    played.check_laws();
    // A single request is in progress, and all others are queued.
    assert!(
        played.served(Fate::Crashed) > 10,
        "{}",
        played.served(Fate::Crashed)
    );
    let crashed = played.times(|event| {
        matches!(
            event,
            Event::Served {
                fate: Fate::Crashed,
                ..
            }
        )
    });
    assert!(crashed.iter().all(|at| *at == SECOND));
}

#[test]
fn a_crash_tells_its_beginning_and_its_end() {
    let played = play(&fault(ChaosAction::Crash(all_of("server"))));
    let started = Event::FaultStarted {
        fault: 0,
        pods: vec![PodId(0)],
    };
    assert_eq!(played.times(|event| *event == started), [SECOND]);
    let ended = Event::FaultEnded { fault: 0, hits: 1 };
    assert_eq!(played.times(|event| *event == ended), [2 * SECOND]);
    assert_eq!(played.ended.invalid, [""; 0]);
}

#[test]
fn a_crash_without_an_end_lasts_to_the_end_of_the_run() {
    let scenario = scenario(|build| {
        build
            .fault("1s", "1s", ChaosAction::Crash(all_of("server")))
            .length = None;
    });
    let played = play(&scenario);
    played.check_laws();
    assert!(all(&answers_within(&played, 1.0, 4.0), Answer::Timeout));
    assert_eq!(
        played.count(|event| matches!(event, Event::FaultEnded { hits: 1, .. })),
        1
    );
}

#[test]
fn a_paused_pod_answers_when_it_resumes() {
    let mut scenario = fault(ChaosAction::Pause(all_of("server")));
    scenario.loads[0].timeout = millis(5_000);
    let played = play(&scenario);
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 400);
    for finish in played.finished() {
        let intended = finish.intended_ns;
        if (SECOND..2 * SECOND - 10_000_000).contains(&intended) {
            assert!(finish.end_ns >= 2 * SECOND, "{finish:?}");
        }
    }
}

#[test]
fn a_paused_client_sends_late_and_its_latency_shows_it() {
    let mut scenario = fault(ChaosAction::Pause(all_of("users")));
    scenario.loads[0].timeout = millis(5_000);
    let played = play(&scenario);
    played.check_laws();
    let late = played.records.iter().filter(|record| match &record.event {
        Event::Finished {
            sent_ns: Some(sent),
            intended_ns,
            ..
        } => sent - intended_ns > 0,
        _ => false,
    });
    assert_eq!(late.count(), 100);
    assert_eq!(played.answers(Answer::Ok), 400);
}

#[test]
fn a_crashed_client_drops_what_it_should_have_sent() {
    let played = play(&fault(ChaosAction::Crash(all_of("users"))));
    played.check_laws();
    assert!(all(&answers_within(&played, 1.0, 2.0), Answer::Dropped));
    assert!(all(&answers_within(&played, 2.1, 4.0), Answer::Ok));
}

fn partition(both: bool) -> ChaosAction {
    ChaosAction::Partition {
        from: all_of("users"),
        to: all_of("server"),
        both,
    }
}

#[test]
fn a_partition_drops_packets_and_counts_them() {
    for both in [false, true] {
        let played = play(&fault(partition(both)));
        played.check_laws();
        assert!(all(&answers_within(&played, 1.0, 1.4), Answer::Timeout));
        assert!(all(&answers_within(&played, 3.5, 4.0), Answer::Ok));
        let hits: Vec<u64> = played
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::FaultEnded { hits, .. } => Some(*hits),
                _ => None,
            })
            .collect();
        assert!(hits.len() == 1 && hits[0] > 50, "{hits:?}");
        let touched = Event::FaultStarted {
            fault: 0,
            pods: vec![PodId(1), PodId(0)],
        };
        assert_eq!(played.count(|event| *event == touched), 1);
    }
}

#[test]
fn a_fault_that_affected_nothing_makes_the_run_invalid() {
    let idle = |may_miss| {
        let mut scenario = scenario(|build| {
            let back = build.work("1ms");
            build.service("idle", vec![back]);
            let link = ChaosAction::Partition {
                from: all_of("server"),
                to: all_of("idle"),
                both: true,
            };
            build.fault("1s", "1s", link).may_miss = may_miss;
            build.bare();
        });
        scenario.loads[0].entries[0].callee = Callee::Service(ServiceId::new(0));
        play(&scenario)
    };
    let played = idle(false);
    assert_eq!(played.ended.invalid.len(), 1);
    assert!(
        played.ended.invalid[0].contains("affected nothing"),
        "{:?}",
        played.ended.invalid
    );
    assert_eq!(
        played.count(|event| matches!(event, Event::Invalid { .. })),
        1
    );
    assert_eq!(idle(true).ended.invalid, [""; 0]);
}

#[test]
fn overlapping_crashes_end_with_the_last() {
    let played = play(&scenario(|build| {
        build.fault("1s", "1s", ChaosAction::Crash(all_of("server")));
        build.fault("1500ms", "1s", ChaosAction::Crash(all_of("server")));
    }));
    played.check_laws();
    assert_eq!(
        played.count(|event| matches!(event, Event::Crashed { .. })),
        1
    );
    let ready = played.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready, [0, 3_500_000_000]);
    assert_eq!((played.hits(), played.ended.invalid), (vec![1, 1], vec![]));
}

#[test]
fn overlapping_firings_of_one_item_each_touch_something() {
    let every = |action: ChaosAction| {
        let mut scenario = fault(action);
        let mut build = Build { scenario };
        let interval = build.draw("500ms");
        scenario = build.scenario;
        let item = &mut scenario.chaos[0];
        item.when = FireTimes::Every {
            interval,
            from: Duration::ZERO,
            until: millis(2_500),
        };
        play(&scenario)
    };
    let always = ChaosAction::Fail {
        target: all_of("server"),
        rate: Share::ALL,
        with: StepFailure::Status(StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE)),
        only: None,
    };
    for action in [
        ChaosAction::Pause(all_of("server")),
        ChaosAction::Crash(all_of("server")),
        partition(true),
        always,
    ] {
        let played = every(action.clone());
        played.check_laws();
        assert_eq!(played.hits().len(), 4, "{action:?}");
        assert_eq!(played.ended.invalid, [""; 0], "{action:?}");
    }
}

#[test]
fn a_single_firing_may_affect_nothing_but_not_all_firings() {
    // Ten requests a second, and slowness of 10 ms every 45 ms: most firings hit no work.
    let played = |rate: &str| {
        let mut scenario = fault(ChaosAction::Slow {
            target: all_of("server"),
            factor: Ratio::whole(2),
            add: None,
        });
        let mut build = Build { scenario };
        let (interval, length) = (build.draw("45ms"), build.draw("10ms"));
        scenario = build.scenario;
        let level = Rate::parse(rate).unwrap();
        (
            scenario.loads[0].stages[0].from,
            scenario.loads[0].stages[0].to,
        ) = (level, level);
        let item = &mut scenario.chaos[0];
        item.length = Some(length);
        item.when = FireTimes::Every {
            interval,
            from: Duration::ZERO,
            until: millis(2_500),
        };
        play(&scenario)
    };
    let some = played("10/s");
    assert!(some.hits().contains(&0) && some.hits().iter().sum::<u64>() > 0);
    assert_eq!(some.ended.invalid, [""; 0]);
    let none = played("1/h");
    assert_eq!(none.ended.invalid.len(), 1);
    assert!(none.ended.invalid[0].contains("affected nothing in 55 firings"));
}

#[test]
fn a_pause_that_outlasts_the_crash_it_starts_in_takes_effect() {
    let played = play(&scenario(|build| {
        build.fault("1s", "1s", ChaosAction::Crash(all_of("server")));
        build.fault("1500ms", "1500ms", ChaosAction::Pause(all_of("server")));
    }));
    played.check_laws();
    assert_eq!(played.ended.invalid, [""; 0]);
}

#[test]
fn a_fault_outlasting_the_load_ends_on_schedule_during_the_drain() {
    for (action, ok) in [
        (ChaosAction::Pause(all_of("server")), 400),
        (ChaosAction::Crash(all_of("server")), 350),
        (partition(true), 400),
    ] {
        let played = play(&scenario(|build| {
            build.fault("3500ms", "1s", action.clone());
            let load = &mut build.scenario.loads[0];
            load.timeout = millis(5_000);
        }));
        played.check_laws();
        let ended = played.times(|event| matches!(event, Event::FaultEnded { .. }));
        assert_eq!(ended, [4_500_000_000], "{action:?}");
        assert!(played.answers(Answer::Ok) >= ok, "{action:?}");
        assert_eq!(played.answers(Answer::Timeout), 0, "{action:?}");
    }
}

/// The latency of work of 1,100 ms that starts at about 500 ms, with a pause of 1 s at each of `pauses`.
fn latency_of_paused_work(pauses: &[&str], edit: impl FnOnce(&mut Build)) -> i64 {
    let mut build = Build::new(4);
    let step = build.work("1100ms");
    build.service("server", vec![step]);
    let load = build.load(0, "2/s");
    (load.start, load.stop) = (millis(500), millis(900));
    load.timeout = millis(10_000);
    build.bare();
    for at in pauses {
        build.fault(at, "1s", ChaosAction::Pause(all_of("server")));
    }
    edit(&mut build);
    let played = play(&build.scenario);
    played.check_laws();
    let finished = played.finished();
    assert_eq!(finished.len(), 1);
    finished[0].latency_ns() / 1_000_000
}

#[test]
fn work_is_suspended_while_its_pod_is_paused() {
    let cores = |cpu: CpuScheduling| {
        move |build: &mut Build| {
            let version = &mut build.scenario.services[0].versions[0];
            (version.cores, version.cpu) = (Some(1), cpu);
        }
    };
    for pauses in [&["1s"][..], &["1s", "1s"]] {
        assert_eq!(latency_of_paused_work(pauses, |_| {}), 2_100);
        assert_eq!(
            latency_of_paused_work(pauses, cores(CpuScheduling::Ps)),
            2_100
        );
        assert_eq!(
            latency_of_paused_work(pauses, cores(CpuScheduling::Fifo)),
            2_100
        );
    }
    // Two pauses that overlap by half a second, and two in sequence.
    assert_eq!(latency_of_paused_work(&["1s", "1500ms"], |_| {}), 2_600);
    assert_eq!(latency_of_paused_work(&["1s", "2100ms"], |_| {}), 3_100);
}

#[test]
fn a_sleep_that_is_over_in_a_pause_ends_with_the_pause() {
    let sleeps = |build: &mut Build| {
        let step = build.sleep("1100ms");
        build.scenario.services[0].versions[0].endpoints[0] = Some(vec![step]);
    };
    assert_eq!(latency_of_paused_work(&["1s"], sleeps), 1_500);
    assert_eq!(latency_of_paused_work(&["2s"], sleeps), 1_100);
}

#[test]
fn a_paused_core_is_not_counted_as_working() {
    let played = play(&scenario(|build| {
        let step = build.work("2s");
        let version = &mut build.scenario.services[0].versions[0];
        (version.cores, version.cpu) = (Some(1), CpuScheduling::Fifo);
        version.endpoints[0] = Some(vec![step]);
        let load = &mut build.scenario.loads[0];
        (load.stop, load.timeout) = (millis(10), millis(5_000));
        build.fault("1s", "1s", ChaosAction::Pause(all_of("server")));
    }));
    let worked = played
        .records
        .iter()
        .filter_map(|record| match record.event {
            Event::Worked { core_ns, .. } => Some(core_ns),
            _ => None,
        });
    assert_eq!(worked.sum::<i64>(), 2 * SECOND);
}

#[test]
fn a_crash_while_booting_starts_it_all_over() {
    let played = play(&scenario(|build| {
        build.fault("1s", "500ms", ChaosAction::Crash(all_of("server")));
        build.fault("2s", "500ms", ChaosAction::Crash(all_of("server")));
    }));
    played.check_laws();
    let ready = played.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready, [0, 3_500_000_000]);
}

#[test]
fn one_replica_of_several_is_drawn_by_the_seed() {
    let scenario = scenario(|build| {
        build.scenario.services[0].versions[0].replicas = 4;
        let mut one = all_of("server");
        one.part = PodCount::Count(1);
        build.fault("1s", "1s", ChaosAction::Crash(one));
    });
    let (first, again) = (play(&scenario), play(&scenario));
    assert_eq!(first.records, again.records);
    assert_eq!(
        first.count(|event| matches!(event, Event::Crashed { .. })),
        1
    );
}
