//! Rollouts, pods that are added and removed, and events that do not belong to requests.

use shakedown_results::{Event, ParticipantId, Pod, PodId, Root};
use shakedown_types::{CanaryPhase, ResponseFlags};

use super::{MS, OK, Run, S};

const API: ParticipantId = ParticipantId(1);

fn canary(run: &mut Run, at_ns: i64, phase: CanaryPhase) {
    let event = Event::Canary {
        service: API,
        phase,
        weight_ppm: 0,
        version: Some(1),
        reason: String::new(),
    };
    run.at(at_ns, event);
}

fn weights(run: &mut Run, at_ns: i64, v1: u32, v2: u32) {
    for (version, ppm) in [(0, v1), (1, v2)] {
        let service = API;
        run.at(
            at_ns,
            Event::Weight {
                service,
                version,
                ppm,
            },
        );
    }
}

#[test]
fn a_failed_canary_is_rolled_back_once_no_weight_is_in_force() {
    let mut run = Run::new(&[
        "canary(api) == rolled-back within 36s",
        "canary(api) == rolled-back within 34s",
        "eventually canary(api) == failed during 30s..35s",
        "always canary(api) == failed during 30s..1m",
        "eventually canary(api) == promoted",
        "always canary(api) == initializing during 0s..12s",
        "always canary(api) != failed during 0s..30s",
        "never canary(api) == rolled-back during 0s..35s",
    ]);
    canary(&mut run, 12 * S, CanaryPhase::Initialized);
    canary(&mut run, 15 * S, CanaryPhase::Progressing);
    weights(&mut run, 16 * S, 900_000, 100_000);
    canary(&mut run, 30 * S, CanaryPhase::Failed);
    weights(&mut run, 35 * S, 1_000_000, 0);
    let verdicts = run.verdicts();
    assert_eq!(
        verdicts,
        [true, false, true, true, false, true, true, true].map(Some)
    );
}

#[test]
fn a_phase_that_names_no_version_is_of_the_one_before() {
    let mut run = Run::new(&[
        "always canary(api) == failed during 30s..1m",
        "never canary(api) == rolled-back during 30s..35s",
        "always canary(api) == rolled-back during 35s..1m",
    ]);
    canary(&mut run, 15 * S, CanaryPhase::Progressing);
    weights(&mut run, 16 * S, 900_000, 100_000);
    canary(&mut run, 30 * S, CanaryPhase::Failed);
    let last = run.records.last_mut().map(|record| &mut record.event);
    if let Some(Event::Canary { version, .. }) = last {
        *version = None;
    }
    weights(&mut run, 35 * S, 1_000_000, 0);
    assert_eq!(run.verdicts(), [Some(true); 3]);
}

#[test]
fn what_is_rolled_back_has_failed_on_whichever_side_it_is_written() {
    let mut run = Run::new(&[
        "eventually failed == canary(api) during 30s..40s",
        "always failed == canary(api) during 30s..1m",
        "never failed != canary(api) during 30s..1m",
        "always failed != canary(api) during 0s..30s",
        "always canary(api) == failed during 40s..1m",
        "eventually failed == canary(api) during 0s..30s",
    ]);
    canary(&mut run, 15 * S, CanaryPhase::Progressing);
    weights(&mut run, 16 * S, 900_000, 100_000);
    canary(&mut run, 30 * S, CanaryPhase::Failed);
    weights(&mut run, 40 * S, 1_000_000, 0);
    let expected = [true, true, true, true, true, false];
    assert_eq!(run.verdicts(), expected.map(Some));
}

#[test]
fn states_are_shown_by_name_and_succeeded_is_promoted() {
    let mut run = Run::new(&[
        "canary(api) == promoted within 20s",
        "eventually canary(api) == failed",
    ]);
    canary(&mut run, 15 * S, CanaryPhase::Succeeded);
    let checks = run.checks();
    assert_eq!(checks[0].observed, "true first with promoted at 15s");
    assert_eq!(checks[0].expected, "eventually == promoted");
    assert_eq!(checks[1].pass, Some(false));
    assert_eq!(checks[1].expected, "eventually == failed");
}

#[test]
fn weights_are_applied_shares_and_the_first_version_initially_has_all() {
    let mut run = Run::new(&[
        "always weight(api/v1) == 100% during 0s..20s",
        "always weight(api/v2) == 0% during 0s..20s",
        "eventually weight(api/v2) > 0% during 20s..25s",
        "weight.max(api/v2) == 50%",
        "weight.mean(api/v2 during 20s..40s) == 20%",
    ]);
    weights(&mut run, 20 * S, 900_000, 100_000);
    weights(&mut run, 30 * S, 700_000, 300_000);
    weights(&mut run, 40 * S, 500_000, 500_000);
    assert_eq!(run.verdicts(), [Some(true); 5]);
}

#[test]
fn pods_that_come_and_go_are_counted_and_make_room() {
    let mut run = Run::new(&[
        "always replicas(api) == 3 during 0s..20s",
        "replicas(api/v2) == 2 within 21s",
        "always ready(api/v2) == 1 during 20s..25s",
        "always ready(api/v2) == 2 during 25s..30s",
        "always replicas(api) == 3 during 40s..1m",
        "ready.min(api) == 2",
        "crashes(api) == 1",
        "restarts(api) == 1",
        "crashes(web) == 0",
        "busy(api/v2 during 30s..40s) == 25%",
        "busy(api/v2 during 50s..1m) == 50%",
        // The pod has no capacity before it is added and after it is stopped.
        "busy(api/v2 during 15s..25s) == 4s / 30s * 100%",
    ]);
    let pod = Pod {
        participant: API,
        version: 1,
        replica: 1,
        zone: 0,
        meshed: true,
    };
    // Pods: web 0, api/v1 1 and 2, api/v2 3, users 4, control 5.
    let new = PodId(6);
    run.at(20 * S, Event::PodAdded { pod });
    run.at(25 * S, Event::Ready { pod: new });
    run.at(40 * S, Event::Stopped { pod: new });
    run.at(42 * S, Event::Crashed { pod: PodId(1) });
    run.at(44 * S, Event::Ready { pod: PodId(1) });
    // The second pod was idle, which halves `busy`.
    run.served(None, 3, 16 * S, 0, 20 * S, OK);
    run.served(None, 3, 30 * S, 0, 40 * S, OK);
    run.served(None, 3, 50 * S, 0, 60 * S, OK);
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn a_pod_that_is_told_twice_to_be_gone_is_gone_once() {
    let mut run = Run::new(&["always replicas(api) == 2 during 30s..1m"]);
    for second in [20, 25] {
        run.at(second * S, Event::Stopped { pod: PodId(1) });
    }
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn what_a_chaos_item_hit_is_added_up() {
    let mut run = Run::new(&["hits(sick) == 7", "hits(sick during 30s..40s) == 0"]);
    let started = Event::FaultStarted {
        fault: 0,
        pods: vec![PodId(1)],
    };
    run.at(20 * S, started);
    run.at(30 * S, Event::FaultEnded { fault: 0, hits: 7 });
    assert_eq!(run.verdicts(), [Some(true); 2]);
}

#[test]
fn configurations_are_counted_where_created_and_where_applied() {
    let mut run = Run::new(&[
        "pushes(control) == 1",
        "pushes(api) == 2",
        "pushes(*) == 2",
        "nacks(control) == 1",
        "nacks(web) == 1",
        "nacks(api) == 0",
    ]);
    run.at(20 * S, Event::ConfigChanged { version: 2 });
    for pod in [1, 2] {
        let pod = PodId(pod);
        run.at(21 * S, Event::ConfigInForce { pod, version: 2 });
    }
    let refused = Event::ConfigRefused {
        pod: PodId(0),
        resource: "Cluster x".to_owned(),
        reason: "bad".to_owned(),
    };
    run.at(22 * S, refused);
    let checks = run.checks();
    for check in &checks {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

/// Adds a call from web to api with some attempts by the app, each with some attempts by its sidecar.
fn call(run: &mut Run, root: Root, by_app: u16, by_proxy: &[u16]) {
    let (from, to) = (PodId(0), API);
    for number in by_proxy {
        run.at(
            12 * S,
            Event::Attempt {
                root: Some(root),
                from,
                to: Some(PodId(1)),
                to_participant: to,
                start_ns: 11 * S,
                outcome: OK,
                flags: ResponseFlags::empty(),
                number: *number,
                hedge: false,
                plaintext: false,
            },
        );
        run.served(Some(root), 1, 11 * S, 0, 12 * S, OK);
    }
    run.at(
        12 * S + MS,
        Event::CallEnded {
            root: Some(root),
            from,
            to,
            endpoint: 0,
            start_ns: 11 * S,
            outcome: OK,
            tries: by_app,
            hedges: by_app - 1,
            asked: None,
            pool_wait_ns: 0,
        },
    );
}

#[test]
fn retries_are_those_of_the_app_and_those_of_its_sidecar() {
    let mut run = Run::new(&[
        "attempts(web -> api) == 4",
        "retries(web -> api) == 3",
        "hedges(web -> api) == 2",
        "amplification(web -> api) == 4",
        "retries(users) == 2",
    ]);
    let root = run.request(11 * S, 13 * S, OK);
    let last = run.records.last_mut().expect("it ended");
    let Event::Finished { tries, .. } = &mut last.event else {
        panic!("its end")
    };
    *tries = 3;
    // Three attempts by the app, two of them hedges. The sidecar sent one of them twice.
    call(&mut run, root, 3, &[1, 1, 2, 1]);
    assert_eq!(run.verdicts(), [Some(true); 5]);
}

fn nack(pod: u32) -> Event {
    Event::ConfigRefused {
        pod: PodId(pod),
        resource: "Cluster x".to_owned(),
        reason: "bad".to_owned(),
    }
}

fn refusal(document: &str) -> Event {
    Event::DocumentRefused {
        document: document.to_owned(),
        reason: "bad".to_owned(),
    }
}

#[test]
fn a_refusal_that_no_check_counts_makes_the_run_invalid() {
    let mut run = Run::new(&["nacks(api) == 0", "nacks(web during 30s..40s) == 0"]);
    run.at(20 * S, refusal("VirtualService/web"));
    run.at(21 * S, nack(0));
    run.at(22 * S, nack(0));
    assert_eq!(
        run.judge().invariants,
        [
            "the control plane refused VirtualService/web at 20s; no check counts `refused(control)`",
            "a proxy refused Cluster x, first at 21s; no check counts `nacks(control)`",
        ]
    );
}

#[test]
fn a_refusal_that_a_check_counts_is_left_to_the_check() {
    let mut run = Run::new(&["nacks(web) == 1", "refused(control) == 0"]);
    run.at(-S, nack(0));
    run.at(20 * S, nack(0));
    run.at(21 * S, refusal("VirtualService/web"));
    let judged = run.judge();
    assert_eq!(judged.invariants, [""; 0]);
    let passes: Vec<Option<bool>> = judged.checks.iter().map(|check| check.pass).collect();
    assert_eq!(passes, [Some(true), Some(false)]);
}
