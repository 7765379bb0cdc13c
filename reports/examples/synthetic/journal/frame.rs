//! The participants of a synthetic run, and the conversion of its records to a document.

use shakedown_reports::{JudgedChecks, RunLabels, Summary, SummaryHeader};
use shakedown_results::{
    CheckResult, Digester, Document, Engine, Event, Participant, ParticipantId, ParticipantKind,
    Participants, PlannedFault, Pod, PodId, Record,
};

use super::{MS, PRODUCTPAGE, REVIEWS, SECOND};

pub(super) fn fault(name: &str, what: &str, from_s: i64, to_s: Option<i64>) -> PlannedFault {
    PlannedFault {
        name: name.to_owned(),
        what: what.to_owned(),
        start_ns: from_s * SECOND,
        end_ns: to_s.map(|s| s * SECOND),
        may_miss: false,
    }
}

/// Two services and two loads. Pods 0 and 1 belong to productpage, 2 and 3 to reviews v1, 4 to reviews v2, 5
/// and 6 to the loads.
pub(crate) fn participants(
    duration_ns: i64,
    warm_up_ns: i64,
    faults: Vec<PlannedFault>,
) -> Participants {
    let participant = |name: &str, kind, versions: &[&str], workers| Participant {
        name: name.to_owned(),
        kind,
        versions: versions.iter().map(|v| (*v).to_owned()).collect(),
        endpoints: vec!["GET /".to_owned()],
        workers,
        cores: None,
    };
    let pod = |participant, version, replica| Pod {
        participant,
        version,
        replica,
        zone: 0,
        meshed: true,
    };
    Participants {
        list: vec![
            participant("productpage", ParticipantKind::Service, &["v1"], Some(4)),
            participant("reviews", ParticipantKind::Service, &["v1", "v2"], Some(1)),
            participant("jason", ParticipantKind::Load, &[], None),
            participant("others", ParticipantKind::Load, &[], None),
            participant("control", ParticipantKind::Control, &[], None),
        ],
        pods: vec![
            pod(PRODUCTPAGE, 0, 0),
            pod(PRODUCTPAGE, 0, 1),
            pod(REVIEWS, 0, 0),
            pod(REVIEWS, 0, 1),
            pod(REVIEWS, 1, 0),
            pod(ParticipantId(2), 0, 0),
            pod(ParticipantId(3), 0, 0),
        ],
        zones: vec!["a".to_owned()],
        faults,
        warm_up_ns,
        duration_ns,
    }
}

/// The records of the start of the mesh.
pub(crate) fn started(participants: &Participants) -> Vec<Record> {
    let mut records = vec![Record {
        at_ns: -200 * MS,
        event: Event::ConfigChanged { version: 1 },
    }];
    for pod in 0..u32::try_from(participants.pods.len()).expect("a handful") {
        let at_ns = i64::from(pod) * MS - 100 * MS;
        records.push(Record {
            at_ns,
            event: Event::ConfigInForce {
                pod: PodId(pod),
                version: 1,
            },
        });
        records.push(Record {
            at_ns: at_ns + 50 * MS,
            event: Event::Ready { pod: PodId(pod) },
        });
    }
    records
}

/// Sorts the records by time, as in a Journal, and builds the document.
pub(crate) fn fold(
    participants: &Participants,
    mut records: Vec<Record>,
    judgement: JudgedChecks,
    variant: &str,
) -> Document {
    records.sort_by_key(|record| record.at_ns);
    let mut digester = Digester::new("0.1.0", "scenario: header-routing", 1, participants);
    let mut summary = Summary::new(participants);
    for record in &records {
        digester.record(record);
        summary.record(participants, record);
    }
    let edited = if variant == "base" {
        ""
    } else {
        " --variant fragile --set load.others.rate=200/s"
    };
    let header = SummaryHeader {
        scenario: "header-routing".to_owned(),
        variant: variant.to_owned(),
        version: "0.1.0+journal.1".to_owned(),
        digest: digester.finish(),
        labels: RunLabels {
            story: "Requests of user jason must reach reviews v2, all other requests v1, without exception.".to_owned(),
            set: if edited.is_empty() { vec![] } else { vec!["load.others.rate=200/s".to_owned()] },
            seed: 1,
            engine: Engine::Native,
            replay: format!("shakedown run header-routing --seed 1{edited}"),
            elapsed_ns: participants.duration_ns + SECOND,
            cut_ns: None,
            not_modelled: Vec::new(),
        },
    };
    summary.finish(header, judgement)
}

pub(super) fn check(
    words: &str,
    pass: Option<bool>,
    observed: &str,
    expected: &str,
) -> CheckResult {
    CheckResult {
        name: if words.starts_with("share") {
            "jason-v2".to_owned()
        } else {
            words.to_owned()
        },
        check: words.to_owned(),
        pass,
        over_seeds: words.ends_with("over seeds"),
        observed: observed.to_owned(),
        measured: None,
        expected: expected.to_owned(),
    }
}
