//! Synthetic requests, and the records that they produce.

use shakedown_results::{
    Answer, Event, Fate, Outcome, ParticipantId, Participants, PodId, Record, Root,
};
use shakedown_types::ResponseFlags;

use super::MS;

/// Course of a synthetic request: lateness and duration in ns, attempts, and result.
#[derive(Clone, Copy)]
pub(super) struct PlannedRequest {
    pub(super) late: i64,
    pub(super) took: i64,
    pub(super) tries: u16,
    pub(super) answer: Answer,
}

impl Default for PlannedRequest {
    fn default() -> PlannedRequest {
        PlannedRequest {
            late: 0,
            took: 5 * MS,
            tries: 1,
            answer: Answer::Ok,
        }
    }
}

/// Adds the records of a request of a load, through productpage to reviews.
pub(super) fn request(
    records: &mut Vec<Record>,
    participants: &Participants,
    load: ParticipantId,
    seq: i64,
    intended_ns: i64,
    planned: PlannedRequest,
) {
    let root = Root {
        load,
        entry: 0,
        seq: seq.unsigned_abs(),
    };
    let client = PodId(u32::from(load.0) + 3);
    let outcome = outcome(planned.answer);
    let end_ns = intended_ns + planned.late + planned.took;
    if planned.answer == Answer::Dropped {
        let event = Event::Finished {
            root,
            pod: client,
            intended_ns,
            sent_ns: None,
            outcome,
            tries: 0,
        };
        records.push(Record {
            at_ns: intended_ns,
            event,
        });
        return;
    }
    let sent_ns = intended_ns + planned.late;
    let page = PodId(u32::try_from(seq % 2).expect("0 or 1"));
    let reviews = PodId(if load.0 == 2 { 4 } else { 2 + page.0 });
    let reached = !matches!(planned.answer, Answer::Timeout);
    records.push(Record {
        at_ns: sent_ns,
        event: Event::Sent { root },
    });
    hop(
        records,
        participants,
        root,
        (client, page),
        (sent_ns, end_ns),
        1,
        outcome,
    );
    if reached {
        let (from, to) = (sent_ns + planned.took / 4, end_ns - planned.took / 8);
        hop(
            records,
            participants,
            root,
            (page, reviews),
            (from, to),
            planned.tries,
            outcome,
        );
    }
    let event = Event::Finished {
        root,
        pod: client,
        intended_ns,
        sent_ns: Some(sent_ns),
        outcome,
        tries: 1,
    };
    records.push(Record {
        at_ns: end_ns,
        event,
    });
}

/// Adds the records of a call between pods with its attempts, the last of which is served.
pub(super) fn hop(
    records: &mut Vec<Record>,
    participants: &Participants,
    root: Root,
    (from, to): (PodId, PodId),
    (start_ns, end_ns): (i64, i64),
    tries: u16,
    outcome: Outcome,
) {
    let root = Some(root);
    let to_participant = participants.participant_of(to);
    for number in 1..=tries {
        let attempt = Event::Attempt {
            root,
            from,
            to: Some(to),
            to_participant,
            start_ns,
            outcome,
            flags: ResponseFlags::empty(),
            number,
            hedge: false,
            plaintext: false,
        };
        records.push(Record {
            at_ns: end_ns,
            event: attempt,
        });
    }
    let wait = (end_ns - start_ns) / 10;
    let served = Event::Served {
        root,
        pod: to,
        endpoint: 0,
        from: Some(from),
        arrived_ns: start_ns,
        queue_wait_ns: wait,
        outcome,
        fate: Fate::Done,
        copy: false,
    };
    let ended = Event::CallEnded {
        root,
        from,
        to: to_participant,
        endpoint: 0,
        start_ns,
        outcome,
        tries: 1,
        hedges: 0,
        asked: None,
        pool_wait_ns: 0,
    };
    records.push(Record {
        at_ns: end_ns,
        event: served,
    });
    records.push(Record {
        at_ns: end_ns,
        event: ended,
    });
}

pub(crate) fn outcome(answer: Answer) -> Outcome {
    let status = match answer {
        Answer::Ok => 200,
        Answer::Error => 503,
        Answer::Timeout | Answer::Dropped | Answer::Cancelled => 0,
    };
    Outcome::new(status, answer)
}

/// A linear congruential generator, which gives the same numbers on every machine.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, n: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % n.unsigned_abs()).expect("less than n")
    }
}
