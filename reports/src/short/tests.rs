use shakedown_results::series::{Canary, CanaryStep, Counts, Stretches};
use shakedown_results::{Document, EventRow, Load, Second};

use super::*;
use crate::summary::tests::document;

fn run() -> Document {
    let document = document(&[]);
    Document {
        duration_ns: 120 * SECOND_NS,
        loads: vec![],
        events: vec![],
        series: shakedown_results::Series {
            bin_ns: SECOND_NS,
            ..shakedown_results::Series::default()
        },
        ..document
    }
}

fn event(at: i64, kind: &str, subject: &str, detail: &str) -> EventRow {
    EventRow {
        at_ns: at * SECOND_NS,
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
    }
}

/// Two minutes of 100 requests a second that take 10 ms, except for the seconds in `but`.
fn load(but: &[(usize, Second)]) -> Load {
    let usual = |from_s| Second {
        from_s,
        offered: 100,
        admitted: 100,
        ok: 100,
        failed: 0,
        p50_ns: 5_000_000,
        p99_ns: 10_000_000,
    };
    let mut seconds: Vec<Second> = (0..120).map(usual).collect();
    for (at, second) in but {
        let from_s = *at as u64;
        seconds[*at] = Second { from_s, ..*second };
    }
    Load {
        name: "users".to_owned(),
        seconds_each: 1,
        seconds,
        ..document(&[]).loads[0].clone()
    }
}

fn lines(document: &Document) -> Vec<String> {
    let line = |link: &ChainLink| {
        let when = when(link, document.duration_ns);
        format!("{when}: {} {}", link.subject, link.words)
    };
    chain(document).iter().map(line).collect()
}

#[test]
fn a_run_in_which_nothing_stands_out_has_nothing_to_tell() {
    let mut document = run();
    document.loads = vec![load(&[])];
    document.series.queued = vec![counts("db", &[(60, 9)])];
    assert_eq!(lines(&document), [""; 0]);
}

fn counts(name: &str, peaks: &[(usize, u64)]) -> Counts {
    let mut bins = vec![0; 120];
    for (at, number) in peaks {
        bins[*at] = *number;
    }
    Counts {
        name: name.to_owned(),
        bins,
    }
}

#[test]
fn what_led_to_it_comes_before_what_followed() {
    let mut document = run();
    document.events = vec![
        event(30, "fault-started", "outage", "pause db/v1/0"),
        event(40, "fault-ended", "outage", "affected 1"),
    ];
    let bad = Second {
        from_s: 0,
        offered: 100,
        admitted: 100,
        ok: 20,
        failed: 80,
        p50_ns: 900_000_000,
        p99_ns: 1_000_000_000,
    };
    document.loads = vec![load(&[(30, bad), (31, bad), (35, bad)])];
    document.series.queued = vec![counts("db", &[(30, 200), (31, 150), (32, 30)])];
    document.series.retries = vec![counts("users -> db", &[(31, 50), (32, 40)])];
    document.series.ejected = vec![Stretches {
        name: "db/v1/0".to_owned(),
        spans: vec![(32 * SECOND_NS, 62 * SECOND_NS)],
    }];
    document.series.breakers = vec![Stretches {
        name: "users -> db (pending)".to_owned(),
        spans: vec![
            (33 * SECOND_NS, 34 * SECOND_NS),
            (35 * SECOND_NS, 36 * SECOND_NS),
        ],
    }];
    assert_eq!(
        lines(&document),
        [
            "30s – 40s: outage pause db/v1/0",
            "30s – 33s: db up to 200 requests queued",
            "30s – 36s: users 240 of 600 requests failed (40%), p99 up to 1.00 s, usually 10.0 ms",
            "31s – 33s: users -> db 90 retries, up to 50/s",
            "32s – 1m2s: db/v1/0 ejected",
            "33s – 36s: users -> db breaker at its limit of pending for 2.00 s, 2 times",
        ]
    );
}

#[test]
fn distant_bad_seconds_are_two_intervals_and_a_rare_failure_is_none() {
    let bad = |failed| Second {
        from_s: 0,
        ok: 100,
        failed,
        p99_ns: 10_000_000,
        ..Second::default()
    };
    let mut document = run();
    document.loads = vec![load(&[(10, bad(50)), (17, bad(50)), (60, bad(1))])];
    assert_eq!(
        lines(&document),
        [
            "10s – 11s: users 50 of 150 requests failed (33.33%)",
            "17s – 18s: users 50 of 150 requests failed (33.33%)",
        ]
    );
    document.loads = vec![load(&[(10, bad(2))])];
    assert_eq!(lines(&document).len(), 1);
}

#[test]
fn a_queue_that_never_drains_is_reported_with_its_remaining_length() {
    let mut document = run();
    let grown: Vec<(usize, u64)> = (60..120).map(|at| (at, (at as u64 - 59) * 100)).collect();
    document.series.queued = vec![counts("db", &grown)];
    assert_eq!(
        lines(&document),
        ["from 1m5s on: db up to 6,000 requests queued, and 6,000 at the end"]
    );
}

#[test]
fn requests_that_are_slow_and_do_not_fail_are_told_of_too() {
    let slow = Second {
        from_s: 0,
        ok: 100,
        p99_ns: 51_000_000,
        ..Second::default()
    };
    let mut document = run();
    document.loads = vec![load(&[(10, slow), (11, slow), (40, slow)])];
    // A single slow second may be chance.
    assert_eq!(
        lines(&document),
        ["10s – 12s: users p99 up to 51.0 ms, usually 10.0 ms"]
    );
}

#[test]
fn a_breaker_is_reported_by_its_rejecting_limit_and_its_longest_interval() {
    let row = |limit: &str, spans: &[(i64, i64)]| Stretches {
        name: format!("web -> db ({limit})"),
        spans: spans
            .iter()
            .map(|(from, to)| (from * SECOND_NS, to * SECOND_NS))
            .collect(),
    };
    let mut document = run();
    let connections = row("connections", &[(0, 120)]);
    document.series.breakers = vec![
        connections.clone(),
        row("pending", &[(2, 3), (60, 70), (72, 80), (100, 101)]),
    ];
    assert_eq!(
        lines(&document),
        ["1m – 1m20s: web -> db breaker at its limit of pending for 20.0 s, 4 times"]
    );
    document.series.breakers = vec![connections];
    assert_eq!(
        lines(&document),
        ["from 0s on: web -> db breaker at its limit of connections for 2m00s"]
    );
}

#[test]
fn a_fault_that_comes_again_and_again_is_one_line() {
    let mut document = run();
    for at in [10, 20, 30] {
        document
            .events
            .push(event(at, "fault-started", "gc", "pause api/v1/0"));
        document
            .events
            .push(event(at + 1, "fault-ended", "gc", "affected 1"));
    }
    assert_eq!(lines(&document), ["10s – 31s: gc pause api/v1/0; 3 times"]);
}

#[test]
fn a_rollout_is_told_by_how_it_came_out() {
    let step = |at: i64, phase: &str, reason: &str| CanaryStep {
        at_ns: at * SECOND_NS,
        phase: phase.to_owned(),
        version: "v2".to_owned(),
        weight_ppm: 100_000,
        reason: reason.to_owned(),
    };
    let mut document = run();
    document.series.canaries = vec![Canary {
        service: "reviews".to_owned(),
        steps: vec![
            step(0, "initialized", "there is no other version"),
            step(20, "progressing", "v2 is there"),
            step(50, "failed", "success rate 94.1% is below 99%"),
        ],
    }];
    assert_eq!(
        lines(&document),
        ["20s – 50s: reviews/v2 canary failed: success rate 94.1% is below 99%"]
    );
}
