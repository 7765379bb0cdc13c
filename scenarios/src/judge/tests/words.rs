//! The wording of results.

use shakedown_results::Verdict;

use super::{ERROR, MS, OK, Run, S};
use crate::judge::{VariantOutcome, not_judged, verdict};

#[test]
fn results_say_what_was_seen_and_what_would_have_been_accepted() {
    let mut run = Run::new(&[
        "success(users) >= 99.9%",
        "p99(users) <= 1.5 * p99(web)",
        "always max(users) < 1s per 10s",
        "mean(users) ~= 1s within 1%",
        "count(users where latency > 1s and not ok) > 2",
        "mean(users) < 1s over seeds",
        "in-flight.max(users) <= 5",
    ]);
    for second in [11, 21, 31, 41, 51] {
        let root = run.request(
            second * S,
            second * S + 500 * MS,
            if second == 21 { ERROR } else { OK },
        );
        run.served(Some(root), 0, second * S, 0, second * S + 400 * MS, OK);
    }
    let lines: Vec<String> = run
        .checks()
        .iter()
        .map(|c| {
            format!(
                "{:?} | {} | {} | {}",
                c.pass, c.name, c.observed, c.expected
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Some(false) | success(users) >= 99.9% | 80% (4 of 5) | >= 99.9%
    Some(true) | p99(users) <= 1.5 * p99(web) | 500ms | <= 600ms = 1.5 * p99(web)
    Some(true) | always max(users) < 1s per 10s | true in all 5 slices | always < 1s per 10s
    Some(false) | mean(users) ~= 1s within 1% | 500ms | ~= 1s within 1%
    Some(false) | count(users where latency > 1s and not ok) > 2 | 0 | > 2
    None | mean(users) < 1s over seeds | 500ms | < 1s over seeds
    Some(true) | in-flight.max(users) <= 5 | 1 | <= 5
    ");
}

#[test]
fn one_that_cannot_be_judged_says_why() {
    let mut run = Run::new(&[
        "p99(users during sick) < 1s",
        "always success(web) == 100% per 10s",
        "mean(users) / count(web) < 1s",
    ]);
    run.request(35 * S, 36 * S, OK);
    insta::assert_snapshot!(run.observed().join("\n"), @r"
    not judged: `p99(users during sick)` has no matching requests
    not judged: `success(web)` has no matching requests in the slice from 10s on
    not judged: a division by zero, or a number out of range
    ");
}

#[test]
fn what_would_be_accepted_is_told_with_slices_words_and_seeds() {
    let mut run = Run::new(&[
        "recovers max(users) < 1s per 10s within 20s of sick",
        "max(users) < 1s in >= 99% of seeds",
    ]);
    run.request(35 * S, 36 * S, OK);
    let expected: Vec<String> = run
        .checks()
        .into_iter()
        .map(|check| check.expected)
        .collect();
    assert_eq!(
        expected,
        [
            "recovers < 1s per 10s to the end",
            "< 1s in >= 99% of seeds"
        ]
    );
}

#[test]
fn the_right_side_is_told_as_written_without_what_follows_it() {
    let mut run = Run::new(&[
        "count(users where latency < 500ms) < 2 * count(users where latency < 9s)",
        "count(users) >= count(users during sick) during 10s..1m",
        "count(users) >= 2 * count(users during sick) after sick",
        "count(users) >= 2 * count(users during sick) before sick",
    ]);
    run.request(35 * S, 36 * S, OK);
    let expected: Vec<String> = run
        .checks()
        .into_iter()
        .map(|check| check.expected)
        .collect();
    assert_eq!(
        expected,
        [
            "< 2 = 2 * count(users where latency < 9s)",
            ">= 0 = count(users during sick)",
            ">= 0 = 2 * count(users during sick)",
            ">= 0 = 2 * count(users during sick)",
        ]
    );
}

#[test]
fn a_variant_with_an_unjudged_check_is_itself_not_judged() {
    let mut run = Run::new(&["success(users) == 100%", "p99(users during sick) < 1s"]);
    let scenario = run.scenario.clone();
    run.request(35 * S, 36 * S, ERROR);
    let outcome = VariantOutcome::new(&scenario, &run.checks());
    assert!(
        matches!(&outcome, VariantOutcome::NotJudged(lines) if lines.len() == 1),
        "{outcome:?}"
    );
}

#[test]
fn verdicts_rank_invalid_before_fail_before_pass() {
    let mut run = Run::new(&[
        "success(users) == 100%",
        "p99(users during sick) < 1s",
        "mean(users) < 1s over seeds",
    ]);
    run.request(35 * S, 36 * S, ERROR);
    let checks = run.checks();
    assert_eq!(verdict(&checks, &[]), Verdict::Invalid);
    assert_eq!(not_judged(&checks).len(), 1);
    assert_eq!(verdict(&checks[..1], &[]), Verdict::Fail);
    assert_eq!(
        verdict(&checks[..1], &["diverged".to_owned()]),
        Verdict::Invalid
    );
    assert_eq!(
        verdict(&checks[2..], &[]),
        Verdict::NotJudged,
        "a single run judges no check over seeds"
    );
    assert_eq!(verdict(&[], &[]), Verdict::Invalid);
}

#[test]
fn a_variant_is_as_told_if_exactly_its_checks_are_false() {
    let mut run = Run::new(&[
        "a: success(users) == 100%",
        "b: count(users) > 0",
        "c: mean(users) < 1s over seeds",
    ]);
    let mut scenario = run.scenario.clone();
    run.request(35 * S, 36 * S, ERROR);
    let checks = run.checks();
    let outcome = |scenario: &_| VariantOutcome::new(scenario, &checks);
    assert!(matches!(outcome(&scenario), VariantOutcome::Otherwise(lines) if lines.len() == 1));
    scenario.breaks = Some(vec!["a".to_owned()]);
    assert_eq!(outcome(&scenario), VariantOutcome::As);
    scenario.breaks = Some(vec!["a".to_owned(), "c".to_owned()]);
    assert_eq!(
        outcome(&scenario),
        VariantOutcome::As,
        "checks over seeds are left aside"
    );
    scenario.breaks = Some(vec!["a".to_owned(), "b".to_owned()]);
    assert!(
        matches!(outcome(&scenario), VariantOutcome::Otherwise(lines) if lines[0].starts_with("`b` should be false"))
    );
}

#[test]
fn laws_that_are_broken_make_a_run_invalid() {
    let mut whole = Run::new(&["count(users) > 0"]);
    let root = whole.request(11 * S, 12 * S, OK);
    whole.served(Some(root), 1, 11 * S, 100 * MS, 11 * S + 200 * MS, OK);
    assert_eq!(whole.judge().invariants, Vec::<String>::new());

    let mut lost = Run::new(&["count(users) > 0"]);
    lost.request(11 * S, 12 * S, OK);
    lost.records.truncate(1);
    assert_eq!(
        lost.judge().invariants,
        ["users: 1 requests were sent, 0 of them ended"]
    );

    let mut unserved = Run::new(&["count(users) > 0"]);
    unserved.served(None, 1, 11 * S, 0, 12 * S, OK);
    unserved.records.truncate(1);
    assert_eq!(
        unserved.judge().invariants,
        ["api: 1 requests arrived, 0 have a recorded end"]
    );

    let mut queue = Run::new(&["count(users) > 0"]);
    queue.served(None, 1, 11 * S, S, 13 * S, OK);
    for record in &mut queue.records {
        if let shakedown_results::Event::Served { queue_wait_ns, .. } = &mut record.event {
            *queue_wait_ns = 2 * S;
        }
    }
    assert!(queue.judge().invariants[0].contains("Little's law"));
}
