//! Ejections and breakers.

use shakedown_results::{Event, ParticipantId, Pod, PodId};
use shakedown_types::{BreakerLimit, Detector};

use super::{MS, Run, S, small_scenario};
use crate::{Edits, load_text};

const WEB: u32 = 0;
const USERS: u32 = 4;

fn ejected(run: &mut Run, at_ns: i64, at: u32, pod: u32) {
    let (at, pod) = (PodId(at), PodId(pod));
    let by = Detector::Consecutive5xx;
    run.at(at_ns, Event::Ejected { at, pod, by });
}

fn returned(run: &mut Run, at_ns: i64, at: u32, pod: u32) {
    let (at, pod) = (PodId(at), PodId(pod));
    run.at(at_ns, Event::Returned { at, pod });
}

fn breaker(run: &mut Run, at_ns: i64, limit: BreakerLimit, open: bool) {
    let (at, to) = (PodId(WEB), ParticipantId(1));
    run.at(
        at_ns,
        Event::Breaker {
            at,
            to,
            limit,
            open,
        },
    );
}

#[test]
fn a_pod_is_ejected_while_one_proxy_or_more_has_it_out() {
    let mut run = Run::new(&[
        "always ejected(api) == 1 during 12s..20s",
        "always ejected(api) == 0 during 0s..11999ms",
        "ejected.max(api) == 1",
        "ejected.min(api) == 0",
        "ejected.mean(api during 10s..20s) == 0.8",
        "recovers ejected(api) == 0 within 20s",
        "recovers ejected(api) == 0 within 19s",
        "ejections(api) == 2",
        "ejections(*) == 2",
    ]);
    ejected(&mut run, 12 * S, WEB, 1);
    ejected(&mut run, 13 * S, USERS, 1);
    returned(&mut run, 15 * S, WEB, 1);
    returned(&mut run, 20 * S, USERS, 1);
    let verdicts = run.verdicts();
    assert_eq!(
        verdicts,
        [true, true, true, true, true, true, false, true, true].map(Some)
    );
}

#[test]
fn an_edge_counts_what_its_callers_proxies_have_out() {
    let mut run = Run::new(&[
        "ejected.max(web -> api) == 2",
        "ejected.max(* -> api) == 3",
        "ejected.max(api) == 3",
        "ejected.max(api/v1) == 2",
        "ejected.max(web -> api/v1) == 1",
        "ejected.max(api/v2/0) == 1",
        "ejected.max(api in zone b) == 1",
        "ejected.max(web) == 0",
        "ejections(api/v1) == 2",
    ]);
    ejected(&mut run, 12 * S, WEB, 1);
    ejected(&mut run, 12 * S, WEB, 3);
    ejected(&mut run, 13 * S, USERS, 2);
    for check in run.checks() {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn a_pod_ejected_by_two_clusters_of_a_proxy_returns_after_both() {
    let mut run = Run::new(&["always ejected(api) == 1 during 12s..20s"]);
    ejected(&mut run, 12 * S, WEB, 1);
    ejected(&mut run, 13 * S, WEB, 1);
    returned(&mut run, 15 * S, WEB, 1);
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn a_pod_that_is_gone_is_ejected_no_more() {
    for gone in [
        Event::Crashed { pod: PodId(1) },
        Event::Stopped { pod: PodId(1) },
    ] {
        let mut run = Run::new(&[
            "always ejected(api) == 1 during 12s..15s",
            "always ejected(api) == 0 during 15s..25s",
            "always ejected(api) == 1 during 25s..1m",
        ]);
        ejected(&mut run, 12 * S, WEB, 1);
        run.at(15 * S, gone);
        // Later reports of its callers are about a pod that they have already removed.
        returned(&mut run, 20 * S, WEB, 1);
        ejected(&mut run, 25 * S, WEB, 1);
        assert_eq!(run.verdicts(), [Some(true); 3]);
    }
}

#[test]
fn a_proxy_that_dies_forgets_whom_it_had_out_and_its_breakers() {
    let mut run = Run::new(&[
        "always ejected(web -> api) == 0 during 15s..1m",
        "always ejected(api) == 1 during 12s..1m",
        "always breaker(web -> api) == closed during 15s..1m",
    ]);
    ejected(&mut run, 12 * S, WEB, 1);
    ejected(&mut run, 12 * S, USERS, 1);
    breaker(&mut run, 12 * S, BreakerLimit::Requests, true);
    run.at(15 * S, Event::Crashed { pod: PodId(WEB) });
    assert_eq!(run.verdicts(), [Some(true); 3]);
}

#[test]
fn a_breaker_is_open_while_one_limit_or_more_is_reached() {
    let mut run = Run::new(&[
        "breaker(web -> api) == open within 13s",
        "always breaker(web -> api) == open during 12s..15s",
        "recovers breaker(web -> api) == closed within 3s after 12s",
        "never breaker(* -> api) == open during 15s..1m",
        "never breaker(web -> api) == open",
    ]);
    breaker(&mut run, 12 * S, BreakerLimit::Requests, true);
    breaker(&mut run, 13 * S, BreakerLimit::Pending, true);
    breaker(&mut run, 14 * S, BreakerLimit::Requests, false);
    breaker(&mut run, 15 * S, BreakerLimit::Pending, false);
    let checks = run.checks();
    let passes: Vec<_> = checks.iter().map(|check| check.pass).collect();
    assert_eq!(passes, [true, true, true, true, false].map(Some));
    assert_eq!(checks[4].observed, "true first with open at 12s");
    assert_eq!(checks[4].expected, "never == open");
}

#[test]
fn a_pod_that_was_added_can_be_ejected() {
    let mut run = Run::new(&["always ejected(api/v1) == 1 during 14s..1m"]);
    let pod = Pod {
        participant: ParticipantId(1),
        version: 0,
        replica: 2,
        zone: 0,
        meshed: true,
    };
    run.at(11 * S, Event::PodAdded { pod });
    run.at(12 * S, Event::Ready { pod: PodId(6) });
    ejected(&mut run, 13 * S + MS, WEB, 6);
    assert_eq!(run.verdicts(), [Some(true)]);
}

#[test]
fn figures_of_ejections_and_breakers_that_do_not_fit_are_refused() {
    let text = |check: &str| {
        let scenario = small_scenario(&["success(users) == 100%"]);
        scenario.expanded.replace("success(users) == 100%", check)
    };
    for (check, message) in [
        (
            "always breaker(api) == open",
            "`breaker` is a figure of an edge, not of a service",
        ),
        (
            "breaker.max(web -> api) == 1",
            "`breaker` is a state, which has no `max`",
        ),
        (
            "always breaker(web -> api/v1) == open",
            "a breaker applies to a service, not to a part of it",
        ),
        (
            "always breaker(web -> api) == promoted",
            "`breaker(web -> api)` and `promoted` have different states",
        ),
        (
            "always canary(api) == open",
            "`canary(api)` and `open` have different states",
        ),
        (
            "always breaker(web -> api) == 1",
            "`breaker(web -> api)` is a state, `1` a count: write `closed` or `open`",
        ),
        (
            "breaker(web -> api) == open",
            "`breaker(web -> api)` is a value at an instant: use `always`, `never`, `eventually` or `within`",
        ),
        (
            "ejected.max(users) == 0",
            "`ejected` is a figure of an edge or a service, not of a load",
        ),
        (
            "ejected.max(api GET /) == 0",
            "this is a figure of replicas, not of endpoints",
        ),
        (
            "ejections(web -> api) == 0",
            "`ejections` is a figure of a service, not of an edge",
        ),
        (
            "ejected.max(users.home -> web) == 0",
            "a proxy does not record mix entries: omit the entry",
        ),
    ] {
        let error = load_text("f.yaml", &text(check), &Edits::default()).expect_err(check);
        assert!(error.to_string().contains(message), "{error}\n{message}");
    }
}

#[test]
fn a_breaker_towards_one_service_says_nothing_of_another() {
    let mut run = Run::new(&["always breaker(web -> api) == closed"]);
    breaker(&mut run, 20 * S, BreakerLimit::Requests, true);
    let last = run.records.last_mut().map(|record| &mut record.event);
    if let Some(Event::Breaker { to, .. }) = last {
        *to = ParticipantId(0);
    }
    assert_eq!(run.verdicts(), [Some(true)]);
}
