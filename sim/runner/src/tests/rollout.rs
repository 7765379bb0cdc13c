//! Replicas that are added and removed, and documents that are applied, during a run.

use shakedown_istio::Document;
use shakedown_results::{Answer, Event, Fate, ParticipantId, Pod, PodId};
use shakedown_scenarios::scenario::{ChaosAction, ResolvedScenario, ServiceId, Version, VersionId};
use shakedown_yaml::tree;

use super::build::{Build, seconds};
use super::{Played, play, play_with};
use crate::RunnerOptions;
use shakedown_results::Engine;

const SECOND: i64 = 1_000_000_000;

/// A service of two replicas for `length` seconds, with an action at 1 s.
fn scenario(length: u64, meshed: bool, action: ChaosAction) -> ResolvedScenario {
    let mut build = Build::new(length);
    let work = build.work("5ms");
    let version = build.service("server", vec![work]);
    version.replicas = 2;
    version.workers = Some(4);
    let mut second = version.clone();
    "v2".clone_into(&mut second.name);
    second.labels.insert("version".to_owned(), "v2".to_owned());
    second.replicas = 0;
    build.scenario.services[0].versions.push(second);
    build.load(0, "100/s").new_connections = !meshed;
    if !meshed {
        build.bare();
    }
    build.fault("1s", "100s", action);
    build.scenario
}

fn scale(to: u32) -> ChaosAction {
    ChaosAction::Scale {
        service: ServiceId::new(0),
        version: None,
        to,
    }
}

const DEPLOY: ChaosAction = ChaosAction::Deploy {
    service: ServiceId::new(0),
    version: VersionId::new(1),
    replicas: 2,
};

fn added(played: &Played) -> Vec<Pod> {
    let pods = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::PodAdded { pod } => Some(pod.clone()),
            _ => None,
        });
    pods.collect()
}

#[test]
fn a_new_replica_boots_and_then_gets_its_share() {
    for meshed in [false, true] {
        let played = play(&scenario(6, meshed, scale(3)));
        played.check_laws();
        assert_eq!(played.answers(Answer::Ok), 600, "meshed: {meshed}");
        let new = PodId(4);
        let pod = Pod {
            participant: ParticipantId(0),
            version: 0,
            replica: 2,
            zone: 0,
            meshed,
        };
        assert_eq!(added(&played), [pod]);
        assert_eq!(
            played.times(|event| matches!(event, Event::PodAdded { .. })),
            [SECOND]
        );
        let scaled = Event::Scaled {
            service: ParticipantId(0),
            version: 0,
            replicas: 3,
        };
        assert_eq!(played.times(|event| *event == scaled), [SECOND]);
        let ready = played.times(|event| *event == Event::Ready { pod: new });
        assert_eq!(ready.len(), 1);
        assert!(ready[0] >= 2 * SECOND, "{ready:?}");
        let arrived =
            played.times(|event| matches!(event, Event::Arrived { pod, .. } if *pod == new));
        assert!(arrived.len() > 80, "{}", arrived.len());
        assert!(arrived.iter().all(|at| *at >= ready[0]));
        assert_eq!(played.hits(), [1]);
    }
}

#[test]
fn a_replica_that_goes_finishes_what_it_has() {
    for meshed in [false, true] {
        let played = play(&scenario(12, meshed, scale(1)));
        played.check_laws();
        assert_eq!(played.answers(Answer::Ok), 1_200, "meshed: {meshed}");
        assert_eq!(played.served(Fate::Crashed), 0);
        let stopped = played.times(|event| *event == Event::Stopped { pod: PodId(1) });
        assert_eq!(stopped.len(), 1);
        assert!(
            (6 * SECOND..7 * SECOND).contains(&stopped[0]),
            "{stopped:?}"
        );
        let arrived = played.times(|event| matches!(event, Event::Arrived { pod: PodId(1), .. }));
        // The pod leaves the endpoints at once, and all callers learn of it soon after.
        assert!(*arrived.last().unwrap() < 2 * SECOND);
        assert_eq!(played.hits(), [1]);
    }
}

#[test]
fn a_deployed_version_comes_beside_the_other() {
    let played = play(&scenario(5, true, DEPLOY));
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 500);
    let pods = added(&played);
    assert_eq!(
        pods.iter()
            .map(|pod| (pod.version, pod.replica))
            .collect::<Vec<_>>(),
        [(1, 0), (1, 1)]
    );
    let arrived = played.count(|event| matches!(event, Event::Arrived { pod, .. } if pod.0 >= 4));
    assert!(arrived > 100, "{arrived}");
    assert_eq!(played.hits(), [2]);
}

#[test]
fn what_is_deployed_can_be_taken_away_again() {
    let mut build = Build {
        scenario: scenario(12, true, DEPLOY),
    };
    build.fault(
        "4s",
        "100s",
        ChaosAction::Scale {
            service: ServiceId::new(0),
            version: Some(VersionId::new(1)),
            to: 0,
        },
    );
    let played = play(&build.scenario);
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 1_200);
    assert_eq!(
        played.count(|event| matches!(event, Event::Stopped { pod } if pod.0 >= 4)),
        2
    );
    assert_eq!(played.ended.invalid, [""; 0]);
}

#[test]
fn a_pod_that_never_became_ready_stops_as_well() {
    let mut build = Build {
        scenario: scenario(12, true, DEPLOY),
    };
    build.scenario.services[0].versions[1].boot = seconds(60);
    let down = ChaosAction::Scale {
        service: ServiceId::new(0),
        version: Some(VersionId::new(1)),
        to: 0,
    };
    build.fault("3s", "100s", down);
    let played = play(&build.scenario);
    played.check_laws();
    assert_eq!(
        played.count(|event| matches!(event, Event::Ready { pod } if pod.0 >= 4)),
        0
    );
    assert_eq!(
        played.count(|event| matches!(event, Event::Stopped { .. })),
        2
    );
}

#[test]
fn setting_what_is_already_so_touches_nothing() {
    let played = play(&scenario(3, false, scale(2)));
    assert_eq!(played.hits(), [0]);
    assert!(played.ended.invalid[0].contains("affected nothing"));
}

#[test]
fn a_rollout_repeats_itself_even_under_noise() {
    let mut scenario = scenario(8, true, DEPLOY);
    let slow = |version: &mut Version| version.boot = seconds(2);
    scenario.services[0].versions.iter_mut().for_each(slow);
    let with = |noise| {
        let options = RunnerOptions {
            seed: 3,
            noise,
            ..RunnerOptions::default()
        };
        play_with(&scenario, options, Engine::Native).records
    };
    let first = with(None);
    assert_eq!(first, with(None));
    assert_eq!(first, with(Some(4)));
}

#[test]
fn a_rollout_plays_on_loopback_too() {
    let mut scenario = scenario(3, true, scale(3));
    scenario.services[0].versions[0].boot = super::build::millis(100);
    let options = RunnerOptions {
        seed: 1,
        ..RunnerOptions::default()
    };
    let played = play_with(&scenario, options, Engine::Real);
    played.check_laws();
    assert_eq!(played.answers(Answer::Ok), 300);
    let arrived = played.count(|event| matches!(event, Event::Arrived { pod: PodId(4), .. }));
    assert!(arrived > 20, "{arrived}");
}

/// A timeout at the callers' proxies that all requests to the server exceed.
const IMPATIENT: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: server}
spec:
  hosts: [server]
  http:
  - timeout: 2ms
    route: [{destination: {host: server}}]
";

fn document(text: &str) -> Document {
    let nodes = tree::parse_bytes("test", text.as_bytes()).unwrap();
    Document::read(&nodes[0]).unwrap()
}

#[test]
fn documents_reach_the_control_plane_while_the_run_goes_on() {
    let documents = vec![document(IMPATIENT)];
    let key = documents[0].key();
    let apply = ChaosAction::Apply {
        documents,
        remove: Vec::new(),
    };
    let mut build = Build {
        scenario: scenario(4, true, apply),
    };
    let remove = ChaosAction::Apply {
        documents: Vec::new(),
        remove: vec![key],
    };
    build.fault("3s", "100s", remove);
    let played = play(&build.scenario);
    played.check_laws();
    let answered = |from: i64, to: i64| -> Vec<u16> {
        let finished = played.finished().into_iter();
        let within = finished.filter(|f| (from..to).contains(&(f.intended_ns / 100_000_000)));
        within.map(|f| f.outcome.status).collect()
    };
    assert_eq!(answered(0, 10), [200; 100]);
    assert_eq!(answered(13, 30), [504; 170]);
    assert_eq!(answered(33, 40), [200; 70]);
    assert_eq!(played.hits(), [1, 1]);
}
