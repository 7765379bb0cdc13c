use super::*;
use crate::{Answer, Cast};

fn records() -> Vec<Record> {
    let root = Root {
        load: PartyId(1),
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
            to_party: PartyId(0),
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
                party: PartyId(0),
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
fn a_pods_name_says_whose_replica_it_is() {
    let cast = Cast::default();
    assert_eq!(
        cast.pod_name(PodId(7)),
        "pod 7",
        "a stranger is named by number"
    );
}
