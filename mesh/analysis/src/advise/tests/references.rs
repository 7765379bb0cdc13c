//! Tests of references to missing objects. Istio accepts them, and a warning describes the consequence for requests.

use shakedown_yaml::Diagnostic;

use super::*;

const ROUTE: &str = "route: [{destination: {host: reviews}}]";

/// The warnings of a VirtualService of `reviews` with this `http`, in a mesh of `reviews` (9080; subsets `v1` and
/// `v2`), `ratings` (80 and 90) and further documents.
fn warned(http: &str, others: &str) -> Vec<String> {
    let document = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec: {{hosts: [reviews], http: {http}}}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: reviews}}\n\
         spec: {{host: reviews, subsets: [{{name: v1}}, {{name: v2}}]}}\n{others}"
    );
    let mut mesh = mesh(&document);
    let ratings = vec![Port::http(80), Port::http(90)];
    for (name, ports) in [("reviews", vec![Port::http(9080)]), ("ratings", ratings)] {
        mesh.registry.insert(Service::new(name, "default", ports));
    }
    assert_eq!(validate(&mesh).to_string(), "");
    let words = |line: &Diagnostic| line.message.clone();
    advise(&mesh).iter().map(words).collect()
}

#[test]
fn destinations_that_do_not_exist_are_warned_of_with_istios_code() {
    let to = |destination: &str| {
        warned(
            &format!("[{{route: [{{destination: {{{destination}}}}}]}}]"),
            "",
        )
    };
    assert_eq!(
        to("host: reviws"),
        [
            "VirtualService r: no service `reviws`, so its requests fail with 503 NC: did you mean `reviews`? [IST0101]"
        ]
    );
    assert_eq!(
        to("host: reviews, subset: v9"),
        [
            "VirtualService r: no subset `v9` of `reviews`, so its requests fail with 503 NC: expected `v1` or `v2` \
             [IST0101]"
        ]
    );
    assert_eq!(
        to("host: ratings, port: {number: 91}"),
        [
            "VirtualService r: service `ratings` has no port 91, so its requests fail with 503 NC: expected `80` or `90` \
             [IST0101]"
        ]
    );
    assert_eq!(
        to("host: ratings, subset: v1, port: {number: 90}"),
        [
            "VirtualService r: no subset `v1` of `ratings`, so its requests fail with 503 NC: no DestinationRule of that host defines subsets [IST0101]"
        ]
    );
}

#[test]
fn weightless_destinations_mirrors_and_unreached_routes_are_warned_of_alike() {
    let without = warned(
        "[{route: [{destination: {host: reviews}, weight: 1}, {destination: {host: nobody}, weight: 0}]}]",
        "",
    );
    assert!(without[0].contains("no service `nobody`"), "{without:?}");
    let mirrored = warned(&format!("[{{mirror: {{host: reviws}}, {ROUTE}}}]"), "");
    assert_eq!(
        mirrored,
        [
            "VirtualService r: no service `reviws`, so its copies are not sent: did you mean `reviews`? [IST0101]"
        ]
    );
    let behind = warned(
        &format!("[{{{ROUTE}}}, {{route: [{{destination: {{host: nobody}}}}]}}]"),
        "",
    );
    assert!(
        behind
            .iter()
            .any(|message| message.contains("no service `nobody`"))
    );
}

#[test]
fn a_missing_delegate_and_an_unused_delegate_both_cause_warnings() {
    let missing = warned(&format!("[{{delegate: {{name: part}}}}, {{{ROUTE}}}]"), "");
    assert_eq!(
        missing,
        [
            "VirtualService r: no VirtualService `part` without hosts in `default`, so this route is ignored: that namespace has none [IST0101]"
        ]
    );
    let part = |conditions: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: part}}\n\
             spec: {{http: [{{match: [{conditions}], {ROUTE}}}]}}\n"
        )
    };
    let idle = warned(&format!("[{{{ROUTE}}}]"), &part("{uri: {prefix: /a}}"));
    assert_eq!(
        idle,
        [
            "VirtualService part: it matches no requests: `hosts` is empty, and no other VirtualService delegates to it"
        ]
    );
    let delegating =
        |root: &str| format!("[{{match: [{root}], delegate: {{name: part}}}}, {{{ROUTE}}}]");
    let narrow = delegating("{uri: {prefix: /a}}");
    assert_eq!(warned(&narrow, &part("{uri: {prefix: /a/b}}")), [""; 0]);
    assert_eq!(
        warned(&narrow, &part("{uri: {prefix: /b}}")),
        [
            "VirtualService part: no request reaches this route: no route that delegates here covers its conditions \
             [IST0130]"
        ]
    );
}

#[test]
fn a_rule_of_an_unknown_service_or_port_is_warned_of() {
    let rule = |name: &str, more: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}}}\n\
             spec: {{host: {name}, {more}}}\n"
        )
    };
    let http = format!("[{{{ROUTE}}}]");
    assert_eq!(
        warned(&http, &rule("review", "subsets: [{name: v1}]")),
        [
            "DestinationRule review: no service `review`, so the rule has no effect: did you mean `reviews`? [IST0101]"
        ]
    );
    let ports = "trafficPolicy: {portLevelSettings: [{port: {number: 91}, loadBalancer: {simple: RANDOM}}]}";
    assert_eq!(
        warned(&http, &rule("ratings", ports)),
        [
            "DestinationRule ratings: service `ratings` has no port 91, so its settings have no effect: expected `80` or `90` \
             [IST0101]"
        ]
    );
}

#[test]
fn a_destination_without_a_port_must_have_the_requested_port() {
    let http = "[{route: [{destination: {host: ratings}}]}]";
    assert_eq!(
        warned(http, ""),
        [
            "VirtualService r: service `ratings` has several ports and the destination names none, so its requests fail with 503 NC at \
             port 9080: expected `80` or `90` [IST0112]"
        ]
    );
    // `reviews` has no requests at this route's port.
    let elsewhere = "[{match: [{port: 1}], route: [{destination: {host: ratings}}]}]";
    assert_eq!(warned(elsewhere, ""), [""; 0]);
}

#[test]
fn a_canary_of_an_unknown_service_is_taken_with_a_warning() {
    let canary = |name: &str, port: u16| {
        format!(
            "---\napiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: {name}}}\nspec:\n  \
             targetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  service: {{port: {port}}}\n  \
             analysis: {{interval: 1m, maxWeight: 50, stepWeight: 10}}\n"
        )
    };
    let http = format!("[{{{ROUTE}}}]");
    assert_eq!(
        warned(&http, &canary("rating", 80)),
        [
            "Canary rating: no service `rating`, so nothing is rolled out until it exists: did you mean `ratings`? [IST0101]"
        ]
    );
    assert_eq!(
        warned(&http, &canary("ratings", 91)),
        [
            "Canary ratings: service `ratings` has no port 91, so the canary's `port` has no effect: expected `80` or `90` \
             [IST0101]"
        ]
    );
    assert_eq!(warned(&http, &canary("ratings", 90)), [""; 0]);
}

#[test]
fn a_policy_of_an_unknown_host_is_taken_with_a_warning() {
    let policy = |host: &str| {
        format!(
            "---\napiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: p}}\nspec: {{host: '{host}', balancer: peakEwma}}\n"
        )
    };
    let http = format!("[{{{ROUTE}}}]");
    assert_eq!(
        warned(&http, &policy("rating")),
        [
            "ProxyPolicy p: no service `rating`, so the policy has no effect: did you mean `ratings`? [IST0101]"
        ]
    );
    assert_eq!(
        warned(&http, &policy("*.default.svc.cluster.local")),
        [""; 0]
    );
}
