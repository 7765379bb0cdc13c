//! A synthetic run with faults.

use shakedown_reports::JudgedChecks;
use shakedown_results::{Answer, Document, Event, ParticipantId, PodId, Record, Verdict};
use shakedown_types::{BreakerLimit, Detector};

use super::frame::{check, fault, fold, participants, started};
use super::requests::{Chance, PlannedRequest, request};
use super::{MS, REVIEWS, SECOND};

/// A run with a crash, a slow service, a second in which the generator was frozen, and a refused
/// configuration.
#[allow(
    dead_code,
    reason = "not every target that includes this module uses it"
)]
pub(crate) fn stormy() -> Document {
    let faults = vec![
        fault("lost-replica", "crash reviews/v1/0", 18, Some(24)),
        fault("sick", "slow 1 of productpage, factor 20", 36, Some(43)),
    ];
    let participants = participants(60 * SECOND, 5 * SECOND, faults);
    let mut records = started(&participants);
    events_of_the_storm(&mut records);
    let mut chance = Chance(7);
    for (load, every) in [(ParticipantId(2), 50 * MS), (ParticipantId(3), 5 * MS)] {
        for seq in 0..60 * SECOND / every {
            let intended = seq * every;
            let planned = storm(intended, &mut chance);
            request(&mut records, &participants, load, seq, intended, planned);
        }
    }
    let checks = vec![
        check(
            "success(jason) >= 99%",
            Some(false),
            "96.5% (1,063 of 1,102)",
            "at least 99%",
        ),
        check(
            "p99(others) < 250ms during sick",
            Some(false),
            "412 ms over 1,400 samples",
            "below 250 ms",
        ),
        check(
            "share(jason where via reviews/v2) == 100%",
            Some(true),
            "100% (1,100 of 1,100)",
            "exactly 100%",
        ),
        check(
            "count(reviews) == count(jason) + count(others)",
            Some(true),
            "12,100 and 12,100",
            "equal",
        ),
        check(
            "mean(others) ~= 5ms within 1% over seeds",
            None,
            "left to a sweep",
            "5 ms within 1%",
        ),
        check(
            "p99(jason after sick) < 20ms",
            Some(true),
            "9.41 ms over 340 samples",
            "below 20 ms",
        ),
    ];
    fold(
        &participants,
        records,
        JudgedChecks {
            checks,
            invalid: vec![],
            verdict: Verdict::Fail,
        },
        "fragile",
    )
}

fn storm(intended: i64, chance: &mut Chance) -> PlannedRequest {
    let at = intended / SECOND;
    let took = 3 * MS + chance.below(1_500_000) + chance.below(1_500_000) * chance.below(3);
    let tail = if chance.below(400) == 0 {
        chance.below(30) * MS
    } else {
        0
    };
    let calm = PlannedRequest {
        took: took + tail,
        ..PlannedRequest::default()
    };
    match at {
        18..20 if chance.below(2) == 0 => match chance.below(3) {
            0 => PlannedRequest {
                took: 1_000 * MS,
                answer: Answer::Timeout,
                ..calm
            },
            1 => PlannedRequest {
                took: 2 * MS,
                answer: Answer::Error,
                ..calm
            },
            _ => PlannedRequest {
                took: calm.took * 2,
                tries: 2,
                ..calm
            },
        },
        20..24 if chance.below(6) == 0 => PlannedRequest {
            took: calm.took * 2,
            tries: 2,
            ..calm
        },
        36..43 if chance.below(3) == 0 => PlannedRequest {
            took: calm.took * 20 + chance.below(200) * MS,
            ..calm
        },
        50 => {
            // A frozen second: requests due in it are sent at its end.
            let late = 51 * SECOND - intended;
            if late > 980 * MS {
                PlannedRequest {
                    answer: Answer::Dropped,
                    ..calm
                }
            } else {
                PlannedRequest { late, ..calm }
            }
        }
        _ => calm,
    }
}

fn events_of_the_storm(records: &mut Vec<Record>) {
    let mut add = |at_ms: i64, event| {
        records.push(Record {
            at_ns: at_ms * MS,
            event,
        })
    };
    faults(&mut add);
    configuration(&mut add);
    outages(&mut add);
}

fn faults(add: &mut impl FnMut(i64, Event)) {
    add(
        18_000,
        Event::FaultStarted {
            fault: 0,
            pods: vec![PodId(2)],
        },
    );
    add(18_000, Event::Crashed { pod: PodId(2) });
    add(24_000, Event::FaultEnded { fault: 0, hits: 1 });
    add(25_000, Event::Ready { pod: PodId(2) });
    add(
        25_100,
        Event::ConfigInForce {
            pod: PodId(2),
            version: 1,
        },
    );
    add(
        36_000,
        Event::FaultStarted {
            fault: 1,
            pods: vec![PodId(0)],
        },
    );
    add(
        43_000,
        Event::FaultEnded {
            fault: 1,
            hits: 1_412,
        },
    );
}

/// A push that one pod refuses.
fn configuration(add: &mut impl FnMut(i64, Event)) {
    add(30_000, Event::ConfigChanged { version: 2 });
    for pod in 0..4 {
        add(
            30_050 + i64::from(pod) * 7,
            Event::ConfigInForce {
                pod: PodId(pod),
                version: 2,
            },
        );
    }
    let (resource, reason) = (
        "Cluster outbound|8080||reviews".to_owned(),
        "no endpoints".to_owned(),
    );
    add(
        30_090,
        Event::ConfigRefused {
            pod: PodId(4),
            resource,
            reason,
        },
    );
}

/// Ejected hosts, and circuit breakers that open.
fn outages(add: &mut impl FnMut(i64, Event)) {
    for (at, out_ms, back_ms) in [(0, 37_000, 52_000), (1, 38_500, 54_000)] {
        let (at, pod) = (PodId(at), PodId(3));
        let by = Detector::Consecutive5xx;
        add(out_ms, Event::Ejected { at, pod, by });
        add(back_ms, Event::Returned { at, pod });
    }
    let (at, pod, detector) = (PodId(1), PodId(4), Detector::ConsecutiveGatewayFailure);
    let ejected = Event::Ejected {
        at,
        pod,
        by: detector,
    };
    add(55_000, ejected);
    for (at_ms, open) in [
        (36_500, true),
        (36_900, false),
        (37_000, true),
        (41_000, false),
    ] {
        let (to, limit) = (REVIEWS, BreakerLimit::Pending);
        add(
            at_ms,
            Event::Breaker {
                at: PodId(0),
                to,
                limit,
                open,
            },
        );
    }
}
