use std::sync::Arc;
use std::task::{Context, Waker};

use shakedown_env::Time;
use shakedown_results::{
    Answer, Event, Fate, Outcome, Participant, ParticipantId, ParticipantKind, Participants, Pod,
    PodId, Record,
};
use shakedown_types::{AttemptEvent, MeshEvent, RequestEvent, ResponseFlags, Side};

use super::Journal;
use crate::layout::Addresses;

fn participant(name: &str, kind: ParticipantKind) -> Participant {
    let versions = if kind == ParticipantKind::Service {
        vec!["v1".to_owned()]
    } else {
        Vec::new()
    };
    Participant {
        name: name.to_owned(),
        kind,
        versions,
        endpoints: Vec::new(),
        workers: None,
        cores: None,
    }
}

/// A Journal of a service and a load, both with sidecars.
fn journal() -> Arc<Journal> {
    let participants = vec![
        participant("web", ParticipantKind::Service),
        participant("users", ParticipantKind::Load),
    ];
    let pod = |participant| Pod {
        participant: ParticipantId(participant),
        version: 0,
        replica: 0,
        zone: 0,
        meshed: true,
    };
    let participants = Participants {
        list: participants,
        pods: vec![pod(0), pod(1)],
        ..Participants::default()
    };
    let addresses = [0, 1].map(|pod| Addresses::SIMULATED.address(PodId(pod)));
    Journal::new(Arc::new(participants), &addresses)
}

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn taken(journal: &Journal) -> Vec<Record> {
    let mut records = Vec::new();
    journal.take(&mut records);
    records
}

fn attempt(upstream: &str) -> MeshEvent {
    MeshEvent::Attempt(AttemptEvent {
        grpc: None,
        id: None,
        cluster: Arc::from("outbound|8080||web.default.svc.cluster.local"),
        upstream: upstream.parse().unwrap(),
        started: at(2_000),
        number: 1,
        hedge: false,
        status: 200,
        flags: ResponseFlags::empty(),
        plaintext: true,
    })
}

#[test]
fn what_happens_before_0_s_waits_and_has_a_negative_time() {
    let journal = journal();
    journal.receive(at(400), PodId(0), MeshEvent::ConfigInForce { version: 1 });
    assert_eq!(taken(&journal), []);
    journal.set_zero(at(1_000));
    journal.record(at(1_500), Event::Ready { pod: PodId(0) });
    let records = taken(&journal);
    assert_eq!(
        records[0],
        Record {
            at_ns: -600,
            event: Event::ConfigInForce {
                pod: PodId(0),
                version: 1
            },
        }
    );
    assert_eq!(records[1].at_ns, 500);
}

#[test]
fn records_never_go_back_in_time() {
    let journal = journal();
    journal.set_zero(at(1_000));
    journal.record(at(3_000), Event::Ready { pod: PodId(0) });
    journal.record(at(2_000), Event::Ready { pod: PodId(1) });
    let times: Vec<i64> = taken(&journal).iter().map(|record| record.at_ns).collect();
    assert_eq!(times, [2_000, 2_000]);
}

#[test]
fn a_proxys_attempt_names_the_replica_by_its_address() {
    let journal = journal();
    journal.set_zero(at(1_000));
    journal.receive(at(3_000), PodId(1), attempt("10.0.0.1:8080"));
    let records = taken(&journal);
    let Event::Attempt {
        from,
        to,
        to_participant,
        start_ns,
        ..
    } = &records[0].event
    else {
        panic!("{records:?}")
    };
    assert_eq!(
        (*from, *to, *to_participant),
        (PodId(1), Some(PodId(0)), ParticipantId(0))
    );
    assert_eq!(*start_ns, 1_000);
}

#[test]
fn a_proxys_attempt_to_its_own_app_is_not_recorded() {
    let journal = journal();
    journal.set_zero(at(1_000));
    journal.receive(at(3_000), PodId(0), attempt("10.0.0.1:20000"));
    assert_eq!(taken(&journal), []);
}

#[test]
fn only_the_callers_side_of_a_proxied_request_is_told() {
    let journal = journal();
    journal.set_zero(at(0));
    let request = |side, flags, status| {
        MeshEvent::Request(RequestEvent {
            grpc: None,
            own: std::time::Duration::ZERO,
            side,
            id: None,
            cluster: Arc::from("outbound|8080|v1|web.default.svc.cluster.local"),
            started: at(10),
            status,
            flags,
            attempts: 1,
            details: "via_upstream".into(),
        })
    };
    journal.receive(
        at(20),
        PodId(0),
        request(Side::Inbound, ResponseFlags::empty(), 200),
    );
    journal.receive(
        at(20),
        PodId(1),
        request(Side::Outbound, ResponseFlags::UT, 504),
    );
    journal.receive(
        at(20),
        PodId(1),
        request(Side::Outbound, ResponseFlags::DC, 0),
    );
    let answers: Vec<(Option<ParticipantId>, Answer)> = taken(&journal)
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Proxied { to, outcome, .. } => Some((to, outcome.answer)),
            _ => None,
        })
        .collect();
    let web = Some(ParticipantId(0));
    assert_eq!(answers, [(web, Answer::Timeout), (web, Answer::Cancelled)]);
}

#[test]
fn once_closed_what_is_torn_away_has_timed_out() {
    let journal = journal();
    journal.set_zero(at(0));
    let arrived = Event::Arrived {
        root: None,
        pod: PodId(0),
        endpoint: 0,
        from: None,
        queued: false,
        copy: false,
    };
    journal.record(at(5), arrived);
    assert_eq!(taken(&journal).len(), 1);
    journal.close();
    let served = Event::Served {
        root: None,
        pod: PodId(0),
        endpoint: 0,
        from: None,
        arrived_ns: 5,
        queue_wait_ns: 0,
        outcome: Outcome::none(Answer::Error),
        fate: Fate::Crashed,
        copy: false,
    };
    journal.record(at(10), served);
    let records = taken(&journal);
    let Event::Served { outcome, fate, .. } = &records[0].event else {
        panic!("{records:?}")
    };
    assert_eq!((outcome.answer, *fate), (Answer::Timeout, Fate::Abandoned));
}

#[test]
fn the_mesh_is_ready_when_every_proxy_is() {
    let journal = journal();
    let pods = [PodId(0), PodId(1)];
    let mut cx = Context::from_waker(Waker::noop());
    journal.receive(at(1), PodId(0), MeshEvent::ConfigInForce { version: 1 });
    assert!(journal.poll_in_force(&pods, &mut cx).is_pending());
    assert_eq!(journal.not_in_force(&pods), [PodId(1)]);
    journal.receive(at(2), PodId(1), MeshEvent::ConfigInForce { version: 1 });
    assert!(journal.poll_in_force(&pods, &mut cx).is_ready());
    journal.forget(PodId(0));
    assert!(journal.poll_in_force(&pods, &mut cx).is_pending());
}

#[test]
fn why_a_run_is_invalid_is_remembered() {
    let journal = journal();
    journal.set_zero(at(0));
    journal.record(
        at(1),
        Event::Invalid {
            reason: "inert".to_owned(),
        },
    );
    assert_eq!(journal.invalid(), ["inert"]);
}
