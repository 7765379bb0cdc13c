//! Hedges, times drawn per request, call pools and fan-outs, without latency, so that times are exact.

mod pools;

use std::collections::BTreeMap;

use http::StatusCode;
use shakedown_results::{Answer, Event, ParticipantId, PodId, Root};
use shakedown_scenarios::scenario::{
    AppHedge, AppRetries, AttemptBound, Call, CallConcurrency, Drawn, Order, Step, StepFailure,
    StepStatus, Timed,
};
use shakedown_scenarios::value::{Distribution, Share};

use super::build::{Build, millis, seconds};
use super::{Played, play};

const BACK: ParticipantId = ParticipantId(0);
const BACK_POD: PodId = PodId(0);
const FRONT: PodId = PodId(1);

/// A front whose one step calls a back that executes `steps`, with a request every 100 ms for one second.
fn chain(steps: impl FnOnce(&mut Build) -> Vec<Step>, edit: impl FnOnce(&mut Call)) -> Build {
    let mut build = Build::new(1);
    let steps = steps(&mut build);
    build.service("back", steps);
    let mut call = build.call(0);
    edit(&mut call);
    build.service("front", vec![Step::Call(Box::new(call))]);
    build.load(1, "10/s").timeout = seconds(30);
    build.bare();
    build
}

fn hedge(after: u64, times: u32) -> Option<AppHedge> {
    let after = millis(after);
    Some(AppHedge { after, times })
}

fn fail(build: &mut Build, with: StepFailure) -> Step {
    let draw_id = build.draw_id("fail");
    Step::Fail {
        rate: Share::ALL,
        with,
        draw_id,
    }
}

/// A sleep that is drawn once per request.
fn sleep_of_request(build: &mut Build, text: &str) -> Step {
    let time = build.draw(text);
    Step::Sleep(Timed {
        time,
        drawn: Drawn::Request,
    })
}

/// A call of the front: its start and end, the numbers of its attempts and hedges, and each attempt's number,
/// hedge flag and outcome.
#[derive(Debug, Default)]
struct Made {
    start_ns: i64,
    end_ns: i64,
    tries: (u16, u16),
    attempts: Vec<(u16, bool, Answer)>,
}

fn calls(played: &Played) -> Vec<Made> {
    let mut made: BTreeMap<Option<Root>, Made> = BTreeMap::new();
    for record in &played.records {
        match &record.event {
            Event::Attempt {
                root,
                from: FRONT,
                number,
                hedge,
                outcome,
                ..
            } => made
                .entry(*root)
                .or_default()
                .attempts
                .push((*number, *hedge, outcome.answer)),
            Event::CallEnded {
                root,
                from: FRONT,
                to: BACK,
                start_ns,
                tries,
                hedges,
                ..
            } => {
                let call = made.entry(*root).or_default();
                (call.start_ns, call.end_ns) = (*start_ns, record.at_ns);
                call.tries = (*tries, *hedges);
            }
            _ => {}
        }
    }
    made.into_values().collect()
}

/// Latency of each call of the front, ms.
fn took_ms(played: &Played) -> Vec<i64> {
    let took = |call: &Made| (call.end_ns - call.start_ns) / 1_000_000;
    calls(played).iter().map(took).collect()
}

fn statuses(played: &Played) -> Vec<u16> {
    let finished = played.finished();
    finished.iter().map(|end| end.outcome.status).collect()
}

#[test]
fn hedges_are_sent_after_a_delay_and_cancelled_by_the_first_response() {
    use Answer::{Cancelled, Ok};
    let played = play(
        &chain(
            |build| vec![build.sleep("50ms")],
            |call| call.hedge = hedge(20, 1),
        )
        .scenario,
    );
    played.check_laws();
    assert_eq!(took_ms(&played), [50; 10]);
    for call in calls(&played) {
        assert_eq!(call.tries, (2, 1));
        assert_eq!(call.attempts, [(1, false, Ok), (2, true, Cancelled)]);
    }
    assert_eq!(
        played.count(|event| matches!(event, Event::Arrived { pod: BACK_POD, .. })),
        20
    );
}

#[test]
fn no_hedge_is_sent_where_the_answer_comes_in_time() {
    let played = play(
        &chain(
            |build| vec![build.sleep("19ms")],
            |call| call.hedge = hedge(20, 1),
        )
        .scenario,
    );
    assert!(calls(&played).iter().all(|call| call.tries == (1, 0)));
}

#[test]
fn hedges_follow_each_other_as_often_as_is_said() {
    let played = play(
        &chain(
            |build| vec![build.sleep("100ms")],
            |call| call.hedge = hedge(30, 2),
        )
        .scenario,
    );
    let arrived = played.times(|event| matches!(event, Event::Arrived { pod: BACK_POD, .. }));
    let offsets: Vec<i64> = arrived
        .iter()
        .map(|at| at % 100_000_000 / 1_000_000)
        .collect();
    assert_eq!(offsets, [0, 30, 60].repeat(10));
}

#[test]
fn the_first_answer_is_taken_whichever_try_it_is_of() {
    let slow = |build: &mut Build| vec![build.sleep("uniform(1ms..90ms)")];
    let played = play(&chain(slow, |call| call.hedge = hedge(10, 1)).scenario);
    played.check_laws();
    let mut won = 0;
    for call in calls(&played) {
        let taken: Vec<_> = call
            .attempts
            .iter()
            .filter(|(.., answer)| *answer == Answer::Ok)
            .collect();
        assert_eq!(taken.len(), 1, "{call:?}");
        assert_eq!(call.attempts.len(), usize::from(call.tries.0));
        won += usize::from(taken[0].1);
    }
    assert!((1..10).contains(&won), "{won} of 10 hedges came first");
    assert_eq!(played.answers(Answer::Ok), 10);
}

#[test]
fn an_answer_counts_whatever_its_status_but_a_broken_connection_is_none() {
    let ends_ms = |with| {
        let steps = |build: &mut Build| {
            let sleep = build.sleep("30ms");
            let fail = fail(build, with);
            vec![sleep, fail]
        };
        let played = play(&chain(steps, |call| call.hedge = hedge(20, 1)).scenario);
        played.check_laws();
        assert_eq!(statuses(&played), [502; 10]);
        took_ms(&played)
    };
    assert_eq!(
        ends_ms(StepFailure::Status(StepStatus::Http(
            StatusCode::SERVICE_UNAVAILABLE
        ))),
        [30; 10]
    );
    assert_eq!(ends_ms(StepFailure::Reset), [50; 10]);
}

#[test]
fn each_hedge_has_the_per_try_timeout_and_the_deadline_bounds_all() {
    let ends_ms = |deadline| {
        let scenario = chain(
            |build| vec![build.sleep("1s")],
            |call| {
                call.timeout = Some(AttemptBound::Span(millis(50)));
                call.deadline = deadline;
                call.hedge = hedge(20, 1);
            },
        );
        let played = play(&scenario.scenario);
        assert_eq!(statuses(&played), [504; 10]);
        took_ms(&played)
    };
    assert_eq!(ends_ms(None), [70; 10]);
    assert_eq!(ends_ms(Some(millis(60))), [60; 10]);
}

#[test]
fn retries_are_counted_without_their_hedges() {
    let steps = |build: &mut Build| {
        let sleep = build.sleep("30ms");
        let fail = fail(
            build,
            StepFailure::Status(StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR)),
        );
        vec![sleep, fail]
    };
    let mut draw_id = None;
    let scenario = chain(
        |build| {
            draw_id = Some(build.draw_id("retries"));
            steps(build)
        },
        |call| call.hedge = hedge(20, 1),
    );
    let mut scenario = scenario.scenario;
    if let Some([Step::Call(call)]) = scenario.services[1].versions[0].endpoints[0].as_deref_mut() {
        call.retries = Some(AppRetries {
            times: 1,
            on_5xx: true,
            on_reset: true,
            on_timeout: true,
            backoff: millis(0),
            max_backoff: millis(0),
            full_jitter: false,
            budget: None,
            draw_id: draw_id.unwrap(),
        });
    }
    let played = play(&scenario);
    played.check_laws();
    assert_eq!(took_ms(&played), [60; 10]);
    for call in calls(&played) {
        assert_eq!(call.tries, (4, 2));
        let numbers: Vec<_> = call
            .attempts
            .iter()
            .map(|(number, hedge, _)| (*number, *hedge))
            .collect();
        assert_eq!(numbers, [(1, false), (2, true), (3, false), (4, true)]);
    }
}

#[test]
fn a_meshed_app_hedges_through_its_sidecar() {
    let mut build = chain(
        |build| vec![build.sleep("50ms")],
        |call| call.hedge = hedge(20, 1),
    );
    for service in &mut build.scenario.services {
        service.versions[0].sidecar = true;
    }
    let played = play(&build.scenario);
    played.check_laws();
    assert!(calls(&played).iter().all(|call| call.tries == (2, 1)));
    assert_eq!(
        played.count(|event| matches!(event, Event::Arrived { pod: BACK_POD, .. })),
        20
    );
    // The sidecar saw its app cancel the second of each two attempts.
    let left = |event: &Event| matches!(event, Event::Attempt { from: FRONT, outcome, .. } if outcome.answer == Answer::Cancelled);
    assert_eq!(played.count(left), 10);
}

#[test]
fn a_per_request_duration_is_the_same_for_hedges_on_any_replica() {
    let won = |drawn: fn(&mut Build) -> Step| {
        let mut build = chain(|build| vec![drawn(build)], |call| call.hedge = hedge(10, 2));
        build.scenario.services[0].versions[0].replicas = 5;
        build.scenario.duration = seconds(5);
        build.scenario.loads[0].stop = seconds(5);
        let mut won = 0;
        let played = play(&build.scenario);
        for record in &played.records {
            if let Event::Attempt {
                from,
                hedge: true,
                outcome,
                ..
            } = &record.event
            {
                won += usize::from(*from == PodId(5) && outcome.answer == Answer::Ok);
            }
        }
        won
    };
    assert_eq!(
        won(|build| sleep_of_request(build, "uniform(1ms..90ms)")),
        0
    );
    assert!(won(|build| build.sleep("uniform(1ms..90ms)")) > 10);
}

#[test]
fn tries_of_one_call_draw_the_same_time_and_another_call_another() {
    let steps = |build: &mut Build| {
        let sleep = sleep_of_request(build, "uniform(1ms..90ms)");
        let fail = fail(
            build,
            StepFailure::Status(StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE)),
        );
        vec![sleep, fail]
    };
    let mut build = chain(steps, |_| ());
    let draw_id = build.draw_id("retries");
    let version = &mut build.scenario.services[1].versions[0];
    if let Some([Step::Call(call)]) = version.endpoints[0].as_deref_mut() {
        call.retries = Some(AppRetries {
            times: 2,
            on_5xx: true,
            on_reset: true,
            on_timeout: true,
            backoff: millis(0),
            max_backoff: millis(0),
            full_jitter: false,
            budget: None,
            draw_id,
        });
    }
    // Requests are sent one at a time, so that the stays are in the order of the calls.
    build.scenario.duration = seconds(10);
    build.scenario.loads[0].stop = seconds(10);
    build.scenario.loads[0].stages[0].from =
        shakedown_scenarios::value::Rate::parse("1/s").unwrap();
    build.scenario.loads[0].stages[0].to = build.scenario.loads[0].stages[0].from;
    let stays = play(&build.scenario).stays_ns(BACK_POD);
    assert_eq!(stays.len(), 30);
    for tries in stays.chunks(3) {
        assert!(tries.iter().all(|stay| *stay == tries[0]), "{tries:?}");
    }
    let mut firsts: Vec<i64> = stays.iter().step_by(3).copied().collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 10);
}
