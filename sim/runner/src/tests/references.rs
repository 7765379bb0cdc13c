//! Documents applied to a cluster: hosts in any spelling, references to missing objects, labels of
//! localities.

use shakedown_results::Event;
use shakedown_scenarios::{Edits, load_text};
use shakedown_types::ResponseFlags;

use super::{Played, play};

/// A load on `web`, next to a service `one`, with these documents and this chaos.
fn run(documents: &str, chaos: &str) -> Played {
    let text = format!(
        "scenario: spelled\nstory: Two services and a load.\nduration: 3s\ntopology:\n  zones: {{a: {{region: eu}}, b: {{region: eu}}}}\n  \
         services:\n    web: {{port: 80, versions: {{v1: {{replicas: 2, zones: [a, b]}}}}, workers: 8, endpoints: {{GET /: [work: 1ms]}}}}\n    \
         one: {{port: 80, workers: 8, endpoints: {{GET /: [work: 1ms]}}}}\n\
         mesh: [{documents}]\nload: {{users: {{to: web GET /, rate: 100/s}}}}\nchaos: [{chaos}]\nexpect: [success(users) >= 1%]\n"
    );
    let scenario = load_text("spelled.yaml", &text, &Edits::default());
    let played = play(&scenario.unwrap_or_else(|error| panic!("{error}")));
    played.check_laws();
    let refused = played.count(|event| {
        matches!(
            event,
            Event::ConfigRefused { .. } | Event::DocumentRefused { .. }
        )
    });
    assert_eq!(refused, 0, "{documents} {chaos}");
    played
}

fn virtual_service(name: &str, hosts: &str, http: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {name}}}, spec: {{hosts: {hosts}, http: [{http}]}}}}"
    )
}

const TO_ONE: &str = "{route: [{destination: {host: one}}]}";

/// The number of requests with a status that were due between `from` and `to`, in seconds.
fn with_status(played: &Played, status: u16, from: i64, to: i64) -> usize {
    let finished = played.finished().into_iter();
    let within =
        finished.filter(|request| (from..to).contains(&(request.intended_ns / 1_000_000_000)));
    within
        .filter(|request| request.outcome.status == status)
        .count()
}

#[test]
fn a_mesh_starts_whatever_the_spelling_of_its_hosts() {
    for hosts in [
        "[web.default]",
        "[web.default.svc]",
        "[web, web.default]",
        "[web, web.default.svc.cluster.local]",
        "['*.default.svc.cluster.local', web.default]",
    ] {
        let played = run(&virtual_service("v", hosts, TO_ONE), "");
        assert_eq!(with_status(&played, 200, 0, 3), 300, "{hosts}");
    }
}

#[test]
fn a_canary_may_name_its_service_among_its_hosts() {
    let canary = "{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: web}, spec: {targetRef: {kind: Deployment, name: web}, \
        service: {port: 80, hosts: [web.default, web]}, analysis: {stepWeight: 50, interval: 1s}}}";
    assert_eq!(with_status(&run(canary, ""), 200, 0, 3), 300);
}

#[test]
fn a_canary_and_a_policy_for_a_nonexistent_service_change_nothing() {
    let canary = "{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: nobody}, spec: {targetRef: {kind: Deployment, name: nobody}, \
        service: {port: 80}, analysis: {stepWeight: 50, interval: 1s}}}";
    let policy = "{apiVersion: shakedown.dev/v1, kind: ProxyPolicy, metadata: {name: nobody}, spec: {host: nobody, balancer: peakEwma}}";
    let both = format!("{canary}, {policy}");
    let late = virtual_service("late", "[web]", "{directResponse: {status: 418}}");
    for (documents, applied) in [
        (both.as_str(), late.clone()),
        ("", format!("{both}, {late}")),
    ] {
        let chaos = format!("{{name: later, at: 1500ms, do: apply, mesh: [{applied}]}}");
        let played = run(documents, &chaos);
        assert_eq!(with_status(&played, 200, 0, 1), 100);
        assert_eq!(with_status(&played, 418, 2, 3), 100);
    }
}

#[test]
fn what_is_applied_later_goes_through_after_a_host_in_another_spelling() {
    let spelled = virtual_service("v", "[web.default, web.default.svc]", TO_ONE);
    let second = virtual_service("w", "[web]", "{directResponse: {status: 418}}");
    let chaos = format!(
        "{{name: first, at: 500ms, do: apply, mesh: [{spelled}]}}, {{name: second, at: 1500ms, do: apply, mesh: [{second}]}}"
    );
    let played = run("", &chaos);
    assert_eq!(with_status(&played, 200, 0, 1), 100);
    assert_eq!(with_status(&played, 418, 2, 3), 100);
}

#[test]
fn a_destination_that_does_not_exist_is_503_for_its_share() {
    let shares = "{retries: {attempts: 0}, route: [{destination: {host: web}, weight: 50}, {destination: {host: nobody}, weight: 50}]}";
    let played = run(&virtual_service("v", "[web]", shares), "");
    let (good, bad) = (
        with_status(&played, 200, 0, 3),
        with_status(&played, 503, 0, 3),
    );
    assert_eq!(good + bad, 300);
    assert!((110..190).contains(&bad), "{bad}");
    let flagged = played.count(
        |event| matches!(event, Event::Proxied { flags, .. } if *flags == ResponseFlags::NC),
    );
    assert_eq!(flagged, bad);
}

#[test]
fn a_rule_may_come_after_the_route_that_it_serves() {
    let route = virtual_service(
        "v",
        "[web]",
        "{route: [{destination: {host: web, subset: v1}}]}",
    );
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web}, \
        spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}}";
    let chaos = format!("{{name: rule, at: 1500ms, do: apply, mesh: [{rule}]}}");
    let played = run(&route, &chaos);
    assert_eq!(with_status(&played, 503, 0, 1), 100);
    assert_eq!(with_status(&played, 200, 2, 3), 100);
}

#[test]
fn a_subset_may_be_of_a_zone() {
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web}, spec: {host: web, \
        subsets: [{name: here, labels: {topology.kubernetes.io/zone: a, topology.kubernetes.io/region: eu}}]}}";
    let route = virtual_service(
        "v",
        "[web]",
        "{route: [{destination: {host: web, subset: here}}]}",
    );
    let played = run(&format!("{rule}, {route}"), "");
    assert_eq!(with_status(&played, 200, 0, 3), 300);
}
