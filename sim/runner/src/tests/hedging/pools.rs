//! Call pools and fan-outs.

use super::*;

#[test]
fn a_pool_sends_one_call_after_the_other() {
    let mut build = chain(
        |build| vec![build.sleep("250ms")],
        |call| {
            call.pool = Some(CallConcurrency {
                size: 1,
                wait: None,
            })
        },
    );
    build.scenario.drain = seconds(30);
    let played = play(&build.scenario);
    played.check_laws();
    let arrived = played.times(|event| matches!(event, Event::Arrived { pod: BACK_POD, .. }));
    let at: Vec<i64> = (0..10).map(|call| call * 250_000_000).collect();
    assert_eq!(arrived, at);
    assert_eq!(played.answers(Answer::Ok), 10);
    // A call starts when it is sent.
    assert_eq!(took_ms(&played), [250; 10]);
}

#[test]
fn a_call_that_finds_no_place_in_time_fails_unsent() {
    let scenario = chain(
        |build| vec![build.sleep("250ms")],
        |call| {
            call.pool = Some(CallConcurrency {
                size: 1,
                wait: Some(millis(20)),
            })
        },
    );
    let played = play(&scenario.scenario);
    played.check_laws();
    // A permit is free at 0, 300, 600 and 900 ms.
    let (ok, not) = (200, 502);
    assert_eq!(
        statuses(&played),
        [ok, not, not, ok, not, not, ok, not, not, ok]
    );
    assert_eq!(played.finished()[1].latency_ns(), 20_000_000);
    let tries: Vec<u16> = calls(&played).iter().map(|call| call.tries.0).collect();
    assert_eq!(tries, [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]);
}

#[test]
fn a_calls_deadline_runs_while_it_waits_for_a_place() {
    let scenario = chain(
        |build| vec![build.sleep("250ms")],
        |call| {
            call.pool = Some(CallConcurrency {
                size: 1,
                wait: None,
            });
            call.deadline = Some(millis(50));
        },
    );
    let played = play(&scenario.scenario);
    assert_eq!(statuses(&played), [504; 10]);
    assert!(
        played
            .finished()
            .iter()
            .all(|end| end.latency_ns() == 50_000_000)
    );
}

#[test]
fn a_fan_out_sends_all_at_once_and_needs_all_answers() {
    let fan = |steps: fn(&mut Build) -> Vec<Step>, on_error| {
        let mut build = chain(steps, |call| {
            call.fan_out.from = Distribution::constant_count(100);
            call.on_error = on_error;
        });
        build.scenario.services[0].versions[0].queue.order = Order::Fifo;
        let played = play(&build.scenario);
        played.check_laws();
        assert_eq!(
            played.count(|event| matches!(event, Event::Arrived { pod: BACK_POD, .. })),
            1_000
        );
        played
    };
    use shakedown_scenarios::scenario::OnError;
    let even = fan(|build| vec![build.sleep("20ms")], OnError::Fail);
    assert!(
        even.finished()
            .iter()
            .all(|end| end.latency_ns() == 20_000_000)
    );
    assert_eq!(statuses(&even), [200; 10]);
    // A twentieth of the calls fails, so none of ten pages succeeds completely.
    let some = |build: &mut Build| {
        let draw_id = build.draw_id("fail");
        let rate = Share::parse("5%").unwrap();
        let with = StepFailure::Status(StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE));
        vec![Step::Fail {
            rate,
            with,
            draw_id,
        }]
    };
    assert_eq!(statuses(&fan(some, OnError::Fail)), [502; 10]);
    assert_eq!(statuses(&fan(some, OnError::Ignore)), [200; 10]);
}

#[test]
fn a_fan_out_waits_for_its_slowest_call() {
    let steps = |build: &mut Build| vec![build.sleep("mix(99% 2ms | 1% 60ms)")];
    let build = chain(steps, |call| {
        call.fan_out.from = Distribution::constant_count(50)
    });
    let played = play(&build.scenario);
    let stays = played.stays_ns(BACK_POD);
    let slow = stays.iter().filter(|stay| **stay == 60_000_000).count();
    assert!(slow > 0);
    let late = played
        .finished()
        .iter()
        .filter(|end| end.latency_ns() == 60_000_000)
        .count();
    assert!((1..=slow).contains(&late), "{late} of {slow}");
}
