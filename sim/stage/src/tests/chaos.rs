//! Faults, and what they leave.

use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::story::{Action, Part, Story};

use super::build::{Build, all_of, millis};
use super::{Played, play};

const SECOND: i64 = 1_000_000_000;

/// Two bare replicas... one server, one client, and a fault at 1 s for 1 s, of 4.
fn story(edit: impl FnOnce(&mut Build)) -> Story {
    let mut build = Build::new(4);
    let step = build.work("5ms");
    build.service("server", vec![step]);
    build.load(0, "100/s").timeout = millis(500);
    build.bare();
    edit(&mut build);
    build.story
}

fn fault(action: Action) -> Story {
    story(|build| {
        build.fault("1s", "1s", action);
    })
}

/// Answers of the requests that should have been sent within these seconds.
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
    let played = play(&fault(Action::Crash(all_of("server"))));
    played.check_laws();
    assert!(all(&answers_within(&played, 0.0, 0.9), Answer::Ok));
    assert!(all(&answers_within(&played, 1.0, 1.4), Answer::Timeout));
    // Up at 2 s, booted at 3 s; in between connections are refused.
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
    let mut story = fault(Action::Crash(all_of("server")));
    story.services[0].versions[0].workers = Some(1);
    let work = shakedown_scenarios::value::Distribution::parse_duration("100ms").unwrap();
    if let Some([shakedown_scenarios::story::Step::Work(timed), ..]) =
        story.services[0].versions[0].endpoints[0].as_deref_mut()
    {
        timed.time.from = work;
    }
    let played = play(&story);
    played.check_laws();
    // One in hand, all others in the queue.
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
    let played = play(&fault(Action::Crash(all_of("server"))));
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
    let story = story(|build| {
        build
            .fault("1s", "1s", Action::Crash(all_of("server")))
            .length = None;
    });
    let played = play(&story);
    played.check_laws();
    assert!(all(&answers_within(&played, 1.0, 4.0), Answer::Timeout));
    assert_eq!(
        played.count(|event| matches!(event, Event::FaultEnded { hits: 1, .. })),
        1
    );
}

#[test]
fn a_paused_pod_answers_when_it_resumes() {
    let mut story = fault(Action::Pause(all_of("server")));
    story.loads[0].timeout = millis(5_000);
    let played = play(&story);
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
    let mut story = fault(Action::Pause(all_of("users")));
    story.loads[0].timeout = millis(5_000);
    let played = play(&story);
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
    let played = play(&fault(Action::Crash(all_of("users"))));
    played.check_laws();
    assert!(all(&answers_within(&played, 1.0, 2.0), Answer::Dropped));
    assert!(all(&answers_within(&played, 2.1, 4.0), Answer::Ok));
}

fn partition(both: bool) -> Action {
    Action::Partition {
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
fn a_fault_that_touched_nothing_makes_the_run_invalid() {
    let idle = |may_miss| {
        let mut story = story(|build| {
            let back = build.work("1ms");
            build.service("idle", vec![back]);
            let link = Action::Partition {
                from: all_of("server"),
                to: all_of("idle"),
                both: true,
            };
            build.fault("1s", "1s", link).may_miss = may_miss;
            build.bare();
        });
        // The place of the party of the load comes after all services.
        story.loads[0].entries[0].service = 0;
        play(&story)
    };
    let played = idle(false);
    assert_eq!(played.ended.invalid.len(), 1);
    assert!(
        played.ended.invalid[0].contains("touched nothing"),
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
    let played = play(&story(|build| {
        build.fault("1s", "1s", Action::Crash(all_of("server")));
        build
            .fault("1500ms", "1s", Action::Crash(all_of("server")))
            .may_miss = true;
    }));
    played.check_laws();
    assert_eq!(
        played.count(|event| matches!(event, Event::Crashed { .. })),
        1
    );
    let ready = played.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready, [0, 3_500_000_000]);
}

#[test]
fn a_crash_while_booting_starts_it_all_over() {
    let played = play(&story(|build| {
        build.fault("1s", "500ms", Action::Crash(all_of("server")));
        build.fault("2s", "500ms", Action::Crash(all_of("server")));
    }));
    played.check_laws();
    let ready = played.times(|event| *event == Event::Ready { pod: PodId(0) });
    assert_eq!(ready, [0, 3_500_000_000]);
}

#[test]
fn one_replica_of_several_is_drawn_by_the_seed() {
    let story = story(|build| {
        build.story.services[0].versions[0].replicas = 4;
        let mut one = all_of("server");
        one.part = Part::Count(1);
        build.fault("1s", "1s", Action::Crash(one));
    });
    let (first, again) = (play(&story), play(&story));
    assert_eq!(first.records, again.records);
    assert_eq!(
        first.count(|event| matches!(event, Event::Crashed { .. })),
        1
    );
}
