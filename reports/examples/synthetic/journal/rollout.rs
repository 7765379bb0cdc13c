//! A synthetic run with a canary.

use shakedown_reports::JudgedChecks;
use shakedown_results::{Answer, Document, Event, Fate, ParticipantId, PodId, Record, Verdict};
use shakedown_types::CanaryPhase;

use super::frame::{check, fault, fold, participants, started};
use super::requests::{Chance, PlannedRequest, outcome, request};
use super::{MS, REVIEWS, SECOND};

/// A canary of reviews v2 that is promoted if `good`, else rolled back, with client retries and a queue.
#[allow(
    dead_code,
    reason = "not every target that includes this module uses it"
)]
pub(crate) fn rollout(good: bool) -> Document {
    let faults = vec![fault("rollout", "deploy reviews/v2", 60, None)];
    let participants = participants(600 * SECOND, 30 * SECOND, faults);
    let mut records = started(&participants);
    let mut chance = Chance(11);
    let bad_until = if good { 0 } else { 180 };
    for seq in 0..600 * 40 {
        let intended = seq * 25 * MS + chance.below(20) * MS;
        let at = intended / SECOND;
        let sick = (90..bad_until).contains(&at) && chance.below(12) == 0;
        let planned = PlannedRequest {
            took: 4 * MS + chance.below(3_000_000) * (1 + chance.below(4)),
            answer: if sick { Answer::Error } else { Answer::Ok },
            tries: if sick { 3 } else { 1 },
            ..PlannedRequest::default()
        };
        request(
            &mut records,
            &participants,
            ParticipantId(3),
            seq,
            intended,
            planned,
        );
        if (90..200).contains(&at) {
            queue(&mut records, intended, 40 * MS + chance.below(400) * MS);
        }
    }
    events_of_the_rollout(&mut records, good);
    let checks = vec![
        check(
            "success(others) >= 99.5%",
            Some(good),
            if good { "100%" } else { "98.1%" },
            "at least 99.5%",
        ),
        check(
            "canary(reviews) == rolled-back",
            Some(!good),
            if good { "promoted" } else { "rolled-back" },
            "rolled-back",
        ),
    ];
    let judgement = JudgedChecks {
        checks,
        invalid: vec![],
        verdict: if good { Verdict::Pass } else { Verdict::Fail },
    };
    let mut document = fold(&participants, records, judgement, "base");
    document.variant = if good { "good" } else { "base" }.to_owned();
    document
}

/// Adds an attempt that waits at the first replica of reviews.
fn queue(records: &mut Vec<Record>, at_ns: i64, wait_ns: i64) {
    let (pod, root, from) = (PodId(2), None, None);
    let arrived = Event::Arrived {
        root,
        pod,
        endpoint: 0,
        from,
        queued: true,
        copy: false,
    };
    let served = Event::Served {
        root,
        pod,
        endpoint: 0,
        from,
        arrived_ns: at_ns,
        queue_wait_ns: wait_ns,
        outcome: outcome(Answer::Ok),
        fate: Fate::Done,
        copy: false,
    };
    let dequeued = Event::Dequeued { pod, endpoint: 0 };
    let (left, done) = (at_ns + wait_ns, at_ns + wait_ns + MS);
    for (at_ns, event) in [(at_ns, arrived), (left, dequeued), (done, served)] {
        records.push(Record { at_ns, event });
    }
}

fn events_of_the_rollout(records: &mut Vec<Record>, good: bool) {
    let mut add = |at_s: i64, event| {
        let at_ns = at_s * SECOND;
        records.push(Record { at_ns, event });
    };
    let canary = |phase, percent: u32, reason: &str| Event::Canary {
        service: REVIEWS,
        phase,
        weight_ppm: percent * 10_000,
        version: Some(1),
        reason: reason.to_owned(),
    };
    let weight = |version, percent: u32| Event::Weight {
        service: REVIEWS,
        version,
        ppm: percent * 10_000,
    };
    let scaled = |version, replicas| Event::Scaled {
        service: REVIEWS,
        version,
        replicas,
    };
    add(-1, canary(CanaryPhase::Initialized, 0, "reviews is there"));
    add(-1, weight(0, 100));
    add(-1, weight(1, 0));
    add(
        60,
        Event::FaultStarted {
            fault: 0,
            pods: vec![],
        },
    );
    add(60, scaled(1, 1));
    add(75, canary(CanaryPhase::Progressing, 0, "new version v2"));
    let steps = if good { 5 } else { 3 };
    for step in 1..=steps {
        let at = 75 + i64::from(step) * 15;
        let words = "success rate 100% over 1m (2,391 requests), at least 99% wanted";
        add(at, canary(CanaryPhase::Progressing, step * 10, words));
        add(
            at,
            Event::ConfigChanged {
                version: u64::from(step) + 1,
            },
        );
        add(at, weight(0, 100 - step * 10));
        add(at, weight(1, step * 10));
    }
    if good {
        add(
            165,
            canary(CanaryPhase::Promoting, 50, "the last step held"),
        );
        add(180, weight(1, 100));
        add(180, weight(0, 0));
        add(195, canary(CanaryPhase::Finalising, 0, "v1 is scaled to 0"));
        add(195, scaled(0, 0));
        add(205, Event::Stopped { pod: PodId(2) });
        add(207, Event::Stopped { pod: PodId(3) });
        add(
            210,
            canary(CanaryPhase::Succeeded, 0, "v2 has all the traffic"),
        );
    } else {
        let words =
            "success rate 94.82% over 1m (1,121 requests) is below 99%: 2 of 2 failed checks";
        add(150, canary(CanaryPhase::Failed, 0, words));
        add(150, weight(0, 100));
        add(150, weight(1, 0));
        add(151, scaled(1, 0));
        add(155, Event::Stopped { pod: PodId(4) });
    }
    add(600, Event::FaultEnded { fault: 0, hits: 1 });
}
