use shakedown_results::{
    Answer, Digester, Fate, Load, Outcome, Participant, ParticipantId, Pod, PodId, Root, Second,
};
use shakedown_types::ResponseFlags;

use super::*;

mod outage;
mod series;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const API: ParticipantId = ParticipantId(0);
const USERS: ParticipantId = ParticipantId(1);
const API_POD: PodId = PodId(0);
const CLIENT: PodId = PodId(1);

fn participants() -> Participants {
    let participant = |name: &str, kind, versions: Vec<String>, workers| Participant {
        name: name.to_owned(),
        kind,
        versions,
        endpoints: vec![],
        workers,
        cores: None,
    };
    let pod = |participant| Pod {
        participant,
        version: 0,
        replica: 0,
        zone: 0,
        meshed: true,
    };
    Participants {
        list: vec![
            participant(
                "api",
                ParticipantKind::Service,
                vec!["v1".to_owned()],
                Some(2),
            ),
            participant("users", ParticipantKind::Load, vec![], None),
        ],
        pods: vec![pod(API), pod(USERS)],
        zones: vec!["a".to_owned()],
        faults: vec![],
        warm_up_ns: 2 * SECOND,
        duration_ns: 10 * SECOND,
    }
}

fn outcome(answer: Answer) -> Outcome {
    Outcome::new(if answer == Answer::Ok { 200 } else { 0 }, answer)
}

fn finished(intended_ns: i64, sent_ns: Option<i64>, at_ns: i64, answer: Answer) -> Record {
    let root = Root {
        load: USERS,
        entry: 0,
        seq: 0,
    };
    let outcome = outcome(answer);
    Record {
        at_ns,
        event: Event::Finished {
            root,
            pod: CLIENT,
            intended_ns,
            sent_ns,
            outcome,
            tries: 1,
        },
    }
}

fn served(arrived_ns: i64, queue_wait_ns: i64, at_ns: i64, fate: Fate) -> Record {
    let event = Event::Served {
        root: None,
        pod: API_POD,
        endpoint: 0,
        from: None,
        arrived_ns,
        queue_wait_ns,
        outcome: outcome(Answer::Ok),
        fate,
        copy: false,
    };
    Record { at_ns, event }
}

/// Returns the document of these records, with one service and one load.
pub(crate) fn document(records: &[Record]) -> Document {
    fold(&participants(), records)
}

fn fold(participants: &Participants, records: &[Record]) -> Document {
    let mut summary = Summary::new(participants);
    for record in records {
        summary.record(participants, record);
    }
    let header = SummaryHeader {
        scenario: "s".to_owned(),
        variant: "base".to_owned(),
        version: "0".to_owned(),
        digest: Digester::new("0", "", 1, participants).finish(),
        labels: RunLabels {
            story: String::new(),
            set: vec![],
            seed: 1,
            engine: Engine::Native,
            replay: String::new(),
            elapsed_ns: 0,
            cut_ns: None,
            not_modelled: Vec::new(),
        },
    };
    summary.finish(
        header,
        JudgedChecks {
            checks: vec![],
            invalid: vec![],
            verdict: Verdict::Pass,
        },
    )
}

#[test]
fn a_loads_totals_add_up() {
    let at = 3 * SECOND;
    let document = document(&[
        finished(at, Some(at), at + MS, Answer::Ok),
        finished(at, Some(at), at + MS, Answer::Error),
        finished(at, Some(at), at + MS, Answer::Cancelled),
        finished(at, None, at + MS, Answer::Dropped),
        finished(at, Some(at), at + SECOND, Answer::Timeout),
    ]);
    let load = &document.loads[0];
    assert_eq!((load.scheduled, load.sent, load.dropped), (5, 4, 1));
    assert_eq!((load.ok, load.errors, load.timeouts), (1, 2, 1));
    assert_eq!(load.scheduled, load.sent + load.dropped);
    assert_eq!(load.sent, load.ok + load.errors + load.timeouts);
    assert_eq!(
        load.latency_ns.count, load.sent,
        "a drop has no latency, a timeout has its value"
    );
    assert_eq!(load.latency_ns.max, SECOND);
}

#[test]
fn the_clock_starts_at_the_intended_time() {
    let at = 3 * SECOND;
    let document = document(&[finished(at, Some(at + 900 * MS), at + 905 * MS, Answer::Ok)]);
    let load = &document.loads[0];
    assert_eq!(load.latency_ns.p50, 905 * MS);
    assert_eq!(load.uncorrected_ns.p50, 5 * MS);
    assert_eq!(load.send_lag_ns.p50, 900 * MS);
}

#[test]
fn the_warm_up_is_in_the_seconds_and_not_in_the_totals() {
    let last = 2 * SECOND - 1;
    let document = document(&[
        finished(last, Some(last), 2 * SECOND + MS, Answer::Ok),
        finished(2 * SECOND, Some(2 * SECOND), 2 * SECOND + MS, Answer::Ok),
    ]);
    let load = &document.loads[0];
    assert_eq!(load.scheduled, 1);
    let rows = [1, 2].map(|second| row(load, second).expect("something happened in it"));
    assert_eq!(rows.map(|row| (row.offered, row.ok)), [(1, 0), (1, 2)]);
}

#[test]
fn a_response_in_the_drain_counts_in_a_row_after_the_duration() {
    let at = 10 * SECOND - MS;
    let document = document(&[finished(at, Some(at), 12 * SECOND, Answer::Timeout)]);
    let load = &document.loads[0];
    assert_eq!(load.timeouts, 1);
    let rows: Vec<u64> = load.seconds.iter().map(|row| row.from_s).collect();
    assert_eq!(rows, [9, 12]);
    assert_eq!(load.seconds[1].failed, 1);
}

#[test]
fn a_seconds_percentiles_are_exact() {
    let at = 3 * SECOND;
    let mut records: Vec<Record> = (1..=100)
        .map(|i| finished(at, Some(at), at + i * 1_234_567, Answer::Ok))
        .collect();
    records.push(finished(
        4 * SECOND,
        Some(4 * SECOND),
        4 * SECOND + 7,
        Answer::Error,
    ));
    let document = document(&records);
    let row = |second| row(&document.loads[0], second).map(|row| (row.p50_ns, row.p99_ns));
    assert_eq!(row(3), Some((50 * 1_234_567, 99 * 1_234_567)));
    assert_eq!(row(4), Some((7, 7)));
    assert_eq!(row(5), None, "nothing happened in it");
}

/// Returns the row of a load that starts at this second.
fn row(load: &Load, second: u64) -> Option<&Second> {
    load.seconds.iter().find(|row| row.from_s == second)
}

#[test]
fn a_long_run_has_rows_of_several_seconds_with_the_highest_percentiles() {
    let hours = 10 * 3_600;
    let mut participants = participants();
    participants.duration_ns = hours * SECOND;
    let mut summary = Summary::new(&participants);
    for second in 0..hours {
        let at = second * SECOND;
        let record = finished(at, Some(at), at + (second % 5 + 1) * MS, Answer::Ok);
        summary.record(&participants, &record);
    }
    let load = &summary.loads.finish()[0];
    assert_eq!((load.seconds_each, load.seconds.len()), (5, 7_200));
    let ends = [&load.seconds[0], &load.seconds[7_199]];
    assert_eq!(ends.map(|row| (row.from_s, row.ok)), [(0, 5), (35_995, 5)]);
    assert_eq!(ends.map(|row| row.p99_ns), [5 * MS; 2]);
}

#[test]
fn an_idle_load_has_no_rows_however_long_the_run() {
    let mut participants = participants();
    participants.duration_ns = 365 * 86_400 * SECOND;
    let load = &Summary::new(&participants).loads.finish()[0];
    assert_eq!((load.seconds_each, load.seconds.len()), (7_200, 0));
}

#[test]
fn an_edge_counts_calls_attempts_and_errors_from_the_warm_up_on() {
    let at = 3 * SECOND;
    let call = |start_ns, answer| Event::CallEnded {
        root: None,
        from: CLIENT,
        to: API,
        endpoint: 0,
        start_ns,
        outcome: outcome(answer),
        tries: 1,
        hedges: 0,
        asked: None,
        pool_wait_ns: 0,
    };
    let attempt = |start_ns| Event::Attempt {
        root: None,
        from: CLIENT,
        to: None,
        to_participant: API,
        start_ns,
        outcome: outcome(Answer::Error),
        flags: ResponseFlags::empty(),
        number: 1,
        hedge: false,
        plaintext: false,
    };
    let events = [
        attempt(at),
        attempt(at),
        call(at, Answer::Error),
        call(SECOND, Answer::Ok),
        call(11 * SECOND, Answer::Ok),
    ];
    let records: Vec<Record> = events
        .into_iter()
        .map(|event| Record {
            at_ns: 12 * SECOND,
            event,
        })
        .collect();
    let document = document(&records);
    let [edge] = document.edges.as_slice() else {
        panic!("one edge, not {}", document.edges.len())
    };
    assert_eq!(
        (edge.source.as_str(), edge.destination.as_str()),
        ("users", "api")
    );
    assert_eq!(
        (edge.requests, edge.attempts, edge.errors),
        (2, 2, 1),
        "a call in the drain counts"
    );
}

#[test]
fn workers_are_busy_from_dequeue_to_answer_within_the_window() {
    let document = document(&[
        // In progress for one second, half of it before the end of the warm-up.
        served(SECOND, 500 * MS, 2 * SECOND + 500 * MS, Fate::Done),
        served(3 * SECOND, SECOND, 5 * SECOND, Fate::Done),
        served(5 * SECOND, SECOND, 6 * SECOND, Fate::Shed),
    ]);
    let service = &document.services[0];
    assert_eq!(
        service.busy_ppm,
        1_500 * 1_000_000 / 16_000,
        "1.5 s of 2 workers' 8 s"
    );
    assert_eq!(service.served, 2, "the first arrived in the warm-up");
    assert_eq!(service.queue_wait_ns.max, SECOND);
}

#[test]
fn cores_are_busy_as_far_as_their_work_lies_in_the_window() {
    let mut participants = participants();
    participants.list[0].workers = None;
    participants.list[0].cores = Some(1);
    let event = Event::Worked {
        pod: API_POD,
        since_ns: SECOND,
        core_ns: SECOND,
    };
    let document = fold(
        &participants,
        &[Record {
            at_ns: 3 * SECOND,
            event,
        }],
    );
    assert_eq!(document.services[0].busy_ppm, 500 * 1_000_000 / 8_000);
}

#[test]
fn a_replica_added_midway_counts_from_then_on() {
    let participants = participants();
    let added = Record {
        at_ns: 6 * SECOND,
        event: Event::PodAdded {
            pod: participants.pods[0].clone(),
        },
    };
    let document = fold(
        &participants,
        &[added, served(6 * SECOND, 0, 9 * SECOND, Fate::Done)],
    );
    assert_eq!(
        document.services[0].busy_ppm,
        3_000 * 1_000_000 / (2 * 12_000)
    );
}

#[test]
fn pods_that_start_together_share_a_row() {
    let ready = |at_ns, pod| Record {
        at_ns,
        event: Event::Ready { pod },
    };
    let document = document(&[
        ready(-5 * MS, API_POD),
        ready(0, CLIENT),
        ready(5 * SECOND, API_POD),
    ]);
    let rows: Vec<(&str, &str)> = document
        .events
        .iter()
        .map(|row| (row.subject.as_str(), row.detail.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("2 pods", "the last 5.00 ms after the first"),
            ("api/v1/0", "")
        ]
    );
}

#[test]
fn rows_of_events_are_bounded_and_say_so() {
    let refused = Record {
        at_ns: SECOND,
        event: Event::DocumentRefused {
            document: "d".to_owned(),
            reason: "r".to_owned(),
        },
    };
    let document = document(&vec![refused; 10_003]);
    assert_eq!(document.events.len(), 10_001);
    let last = document.events.last().expect("there are rows");
    assert_eq!(
        (last.kind.as_str(), last.subject.as_str()),
        ("left-out", "3 events more")
    );
}
