//! Windows that depend on the drawn times of faults.

use shakedown_results::{Event, PodId};

use super::{OK, Run, S};
use crate::scenario::{Draw, FireTimes};
use crate::value::Distribution;

fn seconds(seconds: i64) -> Distribution {
    Distribution::constant_ns(u64::try_from(seconds * S).expect("a time"))
}

/// A run whose item `sick` starts at this second and lasts 10 s.
fn sick_at(second: i64, checks: &[&str]) -> Run {
    let mut run = Run::new(checks);
    let draw_id = run.scenario.chaos[0].draw_id;
    let from = seconds(second);
    run.scenario.chaos[0].when = FireTimes::At(Draw { from, draw_id });
    run
}

/// Adds one request per second, each ending immediately.
fn a_request_a_second(run: &mut Run) {
    for second in 0..60 {
        run.request(second * S, second * S, OK);
    }
}

#[test]
fn before_an_item_is_after_the_warm_up() {
    let mut run = Run::new(&["count(users before sick) == 10"]);
    a_request_a_second(&mut run);
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn a_window_that_the_faults_leave_empty_is_not_judged() {
    let run = sick_at(10, &["count(users before sick) == 0"]);
    assert_eq!(
        run.observed(),
        ["not judged: its window is empty: 10s to 10s"]
    );
}

#[test]
fn a_window_that_the_faults_put_outside_the_run_is_not_judged() {
    let early = sick_at(15, &["count(users during sick - 20s..sick) == 0"]);
    assert_eq!(
        early.observed(),
        ["not judged: its window is outside the run: -5s to 25s"]
    );
    let late = sick_at(55, &["count(users within 10s of sick) == 0"]);
    assert_eq!(
        late.observed(),
        ["not judged: its window is outside the run: 55s to 1m5s"]
    );
}

#[test]
fn a_repeating_item_lasts_from_its_first_start_to_its_last_end() {
    let mut run = Run::new(&[
        "count(users during sick) == 25",
        "count(users before sick) == 10",
        "count(users after sick) == 15",
    ]);
    let draw_id = run.scenario.chaos[0].draw_id;
    let second = |at: u64| std::time::Duration::from_secs(at);
    // At 20, 30 and 40 s, for 5 s each.
    run.scenario.chaos[0].when = FireTimes::Every {
        interval: Draw {
            from: seconds(10),
            draw_id,
        },
        from: second(10),
        until: second(45),
    };
    let from = seconds(5);
    run.scenario.chaos[0].length = Some(Draw { from, draw_id });
    a_request_a_second(&mut run);
    assert_eq!(run.verdicts(), [Some(true); 3]);
}

#[test]
fn an_item_without_an_end_lasts_until_the_end_of_the_run() {
    let mut run = Run::new(&["count(users during sick) == 40"]);
    run.scenario.chaos[0].length = None;
    a_request_a_second(&mut run);
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn what_an_item_hit_in_the_warm_up_counts() {
    let mut run = sick_at(5, &["hits(sick) == 7", "hits(sick during 10s..1m) == 0"]);
    run.at(15 * S, Event::FaultEnded { fault: 0, hits: 7 });
    assert_eq!(run.verdicts(), [Some(true); 2]);
}

#[test]
fn what_is_still_false_as_the_run_ends_has_not_recovered() {
    let mut run = Run::new(&[
        "recovers in-flight(users) == 0 within 1m",
        "recovers in-flight(web) == 0 within 1m",
    ]);
    run.request(50 * S, 70 * S, OK);
    run.served(None, 0, 40 * S, 0, 50 * S, OK);
    let checks = run.checks();
    assert_eq!(
        (checks[0].pass, checks[0].observed.as_str()),
        (Some(false), "still false at the end, with 1")
    );
    assert_eq!(checks[1].pass, Some(true));
}

#[test]
fn a_queue_is_empty_once_its_pod_has_nothing_in_hand() {
    let mut run = Run::new(&[
        "always queued(api) == 1 during 20s..25s",
        "always queued(api) == 0 during 25s..1m",
    ]);
    run.served(None, 1, 20 * S, 9 * S, 25 * S, OK);
    // The request died in the queue and was never dequeued.
    run.records
        .retain(|record| !matches!(record.event, Event::Dequeued { pod: PodId(1), .. }));
    assert_eq!(run.verdicts(), [Some(true); 2]);
}

#[test]
fn what_one_item_hit_is_not_counted_of_another() {
    let mut run = Run::new(&["hits(sick) == 7"]);
    let mut other = run.scenario.chaos[0].clone();
    other.name = "other".to_owned();
    run.scenario.chaos.push(other);
    for (fault, hits) in [(0, 7), (1, 5)] {
        run.at(30 * S, Event::FaultEnded { fault, hits });
    }
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn a_window_in_parentheses_is_the_same_for_every_slice() {
    let mut run = Run::new(&[
        "always count(users) == count(users during 10s..20s) per 10s",
        "always count(users) == count(users during 10s..30s) / 2 per 10s",
    ]);
    a_request_a_second(&mut run);
    assert_eq!(run.verdicts(), [Some(true); 2]);
}
