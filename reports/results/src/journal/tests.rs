use super::*;
use crate::{Answer, Participants};

fn records() -> Vec<Record> {
    let root = Root {
        load: ParticipantId(1),
        entry: 2,
        seq: u64::MAX,
    };
    let outcome = Outcome::new(503, Answer::Error);
    let events = vec![
        Event::Sent { root },
        Event::Finished {
            root,
            pod: PodId(1),
            intended_ns: -1,
            sent_ns: None,
            outcome,
            tries: 0,
        },
        Event::Attempt {
            root: None,
            from: PodId(0),
            to: None,
            to_participant: ParticipantId(0),
            start_ns: i64::MIN,
            outcome,
            flags: ResponseFlags::all(),
            number: 1,
            hedge: true,
            plaintext: true,
        },
        Event::Served {
            root: Some(root),
            pod: PodId(1),
            endpoint: u16::MAX,
            from: Some(PodId(u32::MAX)),
            arrived_ns: 1,
            queue_wait_ns: 0,
            outcome: Outcome::none(Answer::Cancelled),
            fate: Fate::Abandoned,
            copy: false,
        },
        Event::FaultStarted {
            fault: 0,
            pods: vec![PodId(1), PodId(2)],
        },
        Event::PodAdded {
            pod: Pod {
                participant: ParticipantId(0),
                version: 1,
                replica: 2,
                zone: 0,
                meshed: false,
            },
        },
        Event::ConfigRefused {
            pod: PodId(1),
            resource: "Cluster \"a\"\n".to_owned(),
            reason: "µ".to_owned(),
        },
        Event::Invalid {
            reason: String::new(),
        },
        Event::Canary {
            service: ParticipantId(0),
            phase: CanaryPhase::WaitingPromotion,
            weight_ppm: 0,
            version: None,
            reason: String::new(),
        },
        Event::Ejected {
            at: PodId(0),
            pod: PodId(1),
            by: Detector::Consecutive5xx,
        },
        Event::Breaker {
            at: PodId(0),
            to: ParticipantId(0),
            limit: BreakerLimit::Pending,
            open: true,
        },
    ];
    (0i64..)
        .zip(events)
        .map(|(at_ns, event)| Record { at_ns, event })
        .collect()
}

#[test]
fn a_record_is_the_same_after_json() {
    for record in records() {
        let line = serde_json::to_string(&record).expect("a record serialises");
        assert!(
            !line.contains('\n'),
            "a journal holds a record a line: {line}"
        );
        assert_eq!(
            serde_json::from_str::<Record>(&line).expect("and reads back"),
            record,
            "{line}"
        );
    }
}

#[test]
fn an_events_kind_is_its_name_in_kebab_case() {
    let line = serde_json::to_string(&records()[4]).expect("a record serialises");
    assert_eq!(
        line,
        r#"{"at_ns":4,"event":{"kind":"fault-started","fault":0,"pods":[1,2]}}"#
    );
}

#[test]
fn mesh_terms_are_serialised_as_names_and_flags_as_a_number() {
    let written: Vec<String> = [2, 8, 9, 10]
        .map(|at| serde_json::to_string(&records()[at].event).expect("an event serialises"))
        .to_vec();
    assert_eq!(
        written,
        [
            r#"{"kind":"attempt","root":null,"from":0,"to":null,"to_participant":0,"start_ns":-9223372036854775808,"outcome":{"status":503,"answer":"error"},"flags":33554431,"number":1,"hedge":true,"plaintext":true}"#,
            r#"{"kind":"canary","service":0,"phase":"waiting-promotion","weight_ppm":0,"version":null,"reason":""}"#,
            r#"{"kind":"ejected","at":0,"pod":1,"by":"consecutive-5xx"}"#,
            r#"{"kind":"breaker","at":0,"to":0,"limit":"pending","open":true}"#,
        ]
    );
}

#[test]
fn a_pods_name_says_whose_replica_it_is() {
    let participants = Participants::default();
    assert_eq!(
        participants.pod_name(PodId(7)),
        "pod 7",
        "a stranger is named by number"
    );
}
