//! Slices, instants and gauges: checks over time.

use super::*;

#[test]
fn slices_follow_the_temporal_word() {
    let mut run = Run::new(&[
        "always max(users) < 1s per 10s",
        "never max(users) > 900ms per 10s",
        "eventually max(users) > 1s per 10s",
        "max(users) > 1s per 10s within 20s of sick",
        "recovers max(users) < 1s per 10s within 20s of sick",
        "recovers max(users) < 1s per 10s within 5s of sick",
        "always max(users during 10s..20s) < 1s per 10s",
    ]);
    for second in [11, 21, 31, 41, 51] {
        let length = if second == 21 { 2 * S } else { 100 * MS };
        run.request(second * S, second * S + length, OK);
    }
    let expected = [false, false, true, true, true, false, true].map(Some);
    assert_eq!(run.verdicts(), expected);
}

#[test]
fn never_is_true_if_no_slice_is_true() {
    let mut run = Run::new(&[
        "never max(users) > 1s per 10s",
        "never max(users) < 1s per 10s",
        "never max(users during 10s..20s) > 100ms per 10s",
    ]);
    for second in [11, 21, 31, 41, 51] {
        run.request(second * S, second * S + 200 * MS, OK);
    }
    assert_eq!(run.verdicts(), [true, false, false].map(Some));
}

#[test]
fn a_window_shorter_than_a_slice_is_not_judged() {
    let run = Run::new(&["always count(users) >= 0 per 20s during 10s..20s"]);
    assert_eq!(
        run.observed(),
        ["not judged: its window is shorter than one slice"]
    );
}

#[test]
fn a_gauge_on_the_right_side_is_judged_at_every_instant_too() {
    let mut run = Run::new(&[
        "always 1 >= in-flight(users)",
        "eventually 2 == in-flight(users)",
    ]);
    run.request(22 * S, 32 * S, OK);
    run.request(24 * S, 34 * S, OK);
    assert_eq!(run.verdicts(), [false, true].map(Some));
}

#[test]
fn an_instant_without_a_value_keeps_all_from_being_judged() {
    let mut run = Run::new(&["always in-flight(users) / in-flight(web) <= 2"]);
    run.request(22 * S, 32 * S, OK);
    run.served(None, 0, 22 * S, 0, 30 * S, OK);
    assert_eq!(
        run.observed(),
        ["not judged: at some instant a side has no value"]
    );
}

#[test]
fn differences_are_taken_from_left_to_right() {
    let run = Run::new(&[
        "count(users) == 10 - 4 - 6",
        "count(users) == 8 / 4 / 2 - 1",
    ]);
    assert_eq!(run.verdicts(), [Some(true); 2]);
}

#[test]
fn an_empty_slice_before_the_deciding_ones_does_not_prevent_judging_recovery() {
    let mut run = Run::new(&[
        "recovers success(users) == 100% per 10s within 20s of sick",
        "recovers success(users) == 100% per 10s within 10s of sick",
    ]);
    run.request(45 * S, 46 * S, OK);
    run.request(55 * S, 56 * S, OK);
    assert_eq!(run.verdicts(), [Some(true), None]);
}

#[test]
fn gauges_are_judged_at_every_instant() {
    let mut run = Run::new(&[
        "always in-flight(users) <= 2",
        "always in-flight(users) < 2",
        "never in-flight(users) > 2",
        "eventually in-flight(users) == 2",
        "in-flight(users) == 2 within 5s of sick",
        "recovers in-flight(users) == 0 within 5s after sick",
        "recovers in-flight(users) == 0 within 1s after sick",
        "in-flight.mean(users during 20s..40s) == 1",
        "in-flight.max(users) == 2",
        "always in-flight(users) == in-flight(web) + in-flight(users)",
    ]);
    run.request(22 * S, 32 * S, OK);
    run.request(24 * S, 34 * S, OK);
    let expected = [true, false, true, true, true, true, false, true, true, true].map(Some);
    assert_eq!(run.verdicts(), expected);
}

#[test]
fn who_comes_into_the_queue_after_its_arrival_is_counted_as_waiting() {
    let mut run = Run::new(&[
        "queued.max(api) == 2",
        "never queued(api) > 0 during 10s..22s",
        "queued.mean(api during 20s..30s) == 0.6",
        "eventually queued(api) == 2 during 24s..26s",
    ]);
    let pod = PodId(1);
    run.served(None, 1, 20 * S, 0, 40 * S, OK);
    run.served(None, 1, 21 * S, 0, 40 * S, OK);
    // The request waits twice, as in parallel steps.
    for (from, to) in [(23, 26), (24, 27)] {
        run.at(from * S, Event::Queued { pod, endpoint: 0 });
        run.at(to * S, Event::Dequeued { pod, endpoint: 0 });
    }
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn what_changes_at_one_instant_is_seen_with_its_last_value_alone() {
    let mut run = Run::new(&[
        "never in-flight(users) == 0 during 20s..30s",
        "never in-flight(users) > 1 during 20s..30s",
    ]);
    run.request(15 * S, 25 * S, OK);
    run.request(25 * S, 35 * S, OK);
    assert_eq!(run.verdicts(), [Some(true), Some(true)]);
}

#[test]
fn a_window_named_after_an_item_is_the_time_of_its_faults() {
    let mut run = Run::new(&[
        "count(users during sick) == 1",
        "count(users before sick) == 1",
        "count(users after sick) == 1",
        "count(users within 1s of sick) == 0",
        "count(users during sick.end - 6s..sick.end) == 1",
    ]);
    for second in [15, 25, 35] {
        run.request(second * S, (second + 1) * S, OK);
    }
    assert_eq!(run.verdicts(), [Some(true); 5]);
}
