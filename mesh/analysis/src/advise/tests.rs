//! Tests of the warnings.

mod hosts;
mod idle;
mod references;

use std::collections::BTreeMap;

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, Mesh, Port, Registry, Service};
use shakedown_translate::validate;
use shakedown_yaml::tree::parse;

use super::advise;

fn mesh(text: &str) -> Mesh {
    with_documents(Registry::new(), text)
}

/// A mesh with the documents of a text that has no errors.
fn with_documents(registry: Registry, text: &str) -> Mesh {
    let documents = parse("a.yaml", text).unwrap();
    let mesh = Mesh {
        registry,
        documents: documents
            .iter()
            .map(|node| Document::read(node).unwrap())
            .collect(),
        ..Mesh::default()
    };
    assert_eq!(validate(&mesh).to_string(), "");
    mesh
}

fn messages(text: &str) -> Vec<String> {
    let advice = advise(&mesh(text));
    advice.iter().map(ToString::to_string).collect()
}

const TO: &str = "route: [{destination: {host: r}}]";

/// The warnings about routes that begin on line 5, one per line, without their common prefix.
fn routes(routes: &[&str]) -> Vec<String> {
    let mut text =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n\
                    spec: {hosts: [r], http: [\n"
            .to_owned();
    for route in routes {
        text.push_str(&format!("  {{{route}, {TO}}},\n"));
    }
    text.push_str("]}\n");
    let strip = |line: String| {
        line.replace("a.yaml:", "")
            .replace(" VirtualService v:", "")
    };
    messages(&text).into_iter().map(strip).collect()
}

#[test]
fn a_route_behind_one_that_takes_all_of_it_is_told() {
    let found = routes(&[
        "match: [{uri: {prefix: /}}]",
        "match: [{uri: {prefix: /admin}}], name: admin",
    ]);
    assert_eq!(
        found,
        [
            "6:3: no request reaches this route: the condition at 5:12 matches all of its requests; put this before it [IST0130]"
        ]
    );
    let found = routes(&["name: all", "match: [{method: {exact: GET}}]"]);
    assert_eq!(
        found,
        [
            "6:3: no request reaches this route: the route at 5:3 matches all requests; move it to the end [IST0130]"
        ]
    );
    assert_eq!(routes(&["name: all", "name: rest"]), found);
}

#[test]
fn a_string_prefix_that_shadows_a_longer_prefix_is_reported_as_textual() {
    let found = routes(&[
        "match: [{uri: {prefix: /od10}}]",
        "match: [{uri: {prefix: /od100}}]",
    ]);
    assert_eq!(
        found,
        [
            "6:3: no request reaches this route: the prefix `/od10` at 5:12 also matches `/od100` because a prefix may end within a path segment; put this before it, or write `/od10/` [IST0130]"
        ]
    );
}

#[test]
fn of_several_conditions_the_one_that_nothing_meets_is_told() {
    let found = routes(&[
        "match: [{uri: {prefix: /a}, method: {exact: GET}}]",
        "match: [{uri: {exact: /a/b}, method: {exact: GET}}, {uri: {exact: /a/b}}]",
    ]);
    assert_eq!(
        found,
        [
            "6:12: this condition matches no requests: the condition at 5:12 matches all of its requests; put this before it [IST0131]"
        ]
    );
}

#[test]
fn routes_that_are_told_apart_are_not_warned_of() {
    for second in [
        "match: [{uri: {prefix: /a}}]",
        "match: [{uri: {prefix: /a}, headers: {x: {exact: '2'}}}]",
        "match: [{uri: {prefix: /a}, headers: {x: {exact: '1'}}, port: 81}]",
        "match: [{uri: {regex: '/a|/b'}, headers: {x: {exact: '1'}}, port: 80}]",
    ] {
        let first = "match: [{uri: {prefix: /a}, headers: {x: {exact: '1'}}, port: 80}]";
        assert_eq!(routes(&[first, second]), Vec::<String>::new(), "{second}");
    }
    let callers = [
        "match: [{sourceLabels: {app: a}}]",
        "match: [{sourceLabels: {app: b}}]",
        "match: [{withoutHeaders: {x: {}}}]",
        "match: [{withoutHeaders: {y: {}}}]",
    ];
    assert_eq!(routes(&callers), Vec::<String>::new());
}

#[test]
fn what_no_request_can_be_is_told() {
    let found = routes(&[
        "match: [{uri: {prefix: orders}}]",
        "match: [{uri: {exact: '/a?q=1'}}]",
        "match: [{method: {exact: get}}]",
        "timeout: 1s, retries: {attempts: 2, perTryTimeout: 1s}",
    ]);
    assert_eq!(
        found,
        [
            "5:18: `orders` matches no requests: a path begins with `/`",
            "6:18: `/a?q=1` matches no requests: a path is compared without its query; write `queryParams`",
            "7:21: `get` matches no requests: methods are uppercase: write `GET`",
            "8:55: `perTryTimeout` is 1s and the route's `timeout` is 1s: an attempt that times out is never retried",
        ]
    );
}

fn virtual_service(name: &str, namespace: &str, more: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{hosts: [r.a.svc.cluster.local], {more}http: [{{{TO}}}]}}\n"
    )
}

fn rule(name: &str, namespace: &str, more: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{host: r.a.svc.cluster.local, {more}}}\n"
    )
}

#[test]
fn a_rule_that_others_leave_nothing_of_is_told() {
    let own = rule("own", "a", RANDOM);
    let found = messages(&(rule("far", "b", RANDOM) + &own));
    assert_eq!(
        found,
        [
            "a.yaml:5:14: DestinationRule far: `r.a.svc.cluster.local` is a service in `a`: a rule in `b` applies only to callers in `b`; for other callers put it in `a`"
        ]
    );
    let subsets = "subsets: [{name: v1}]";
    let found = messages(&(own + &rule("more", "a", &format!("{RANDOM}, {subsets}"))));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("its `trafficPolicy` has no effect"),
        "{found:?}"
    );
    let found = messages(&(rule("one", "a", subsets) + &rule("two", "a", subsets)));
    assert!(
        found[0].contains("its subset `v1` has no effect"),
        "{found:?}"
    );
}

const RANDOM: &str = "trafficPolicy: {loadBalancer: {simple: RANDOM}}";

#[test]
fn a_rule_that_nobody_meets_is_told_with_the_reason() {
    for (more, wanted) in [
        (
            rule("own", "a", RANDOM) + &rule("away", "b", &format!("{RANDOM}, exportTo: [c]")),
            "DestinationRule away: it has no effect: its `exportTo` does not include its own namespace",
        ),
        (
            rule("one", "a", RANDOM) + &rule("two", "a", &format!("{RANDOM}, exportTo: ['*']")),
            "DestinationRule one: it has no effect: DestinationRule two of namespace `a` at 7:1 takes precedence: rules of \
             one namespace are merged only if their `exportTo` is the same",
        ),
    ] {
        let found = messages(&more);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(wanted), "{found:?}");
    }
}

#[test]
fn a_rule_outside_its_services_namespace_is_reported_if_exported_wider() {
    let far = rule("far", "b", &format!("{RANDOM}, exportTo: ['*']"));
    let mut mesh = mesh(&far);
    let mut known = Service::new("web", "b", vec![Port::http(80)]);
    mesh.registry.insert(known.clone());
    known = Service::new("r", "a", vec![Port::http(80)]);
    mesh.registry.insert(known);
    let found = advise(&mesh).to_string();
    assert!(
        found.contains("only to callers in `b`, regardless of its `exportTo`"),
        "{found}"
    );
    mesh.documents = self::mesh(&rule("far", "b", RANDOM)).documents;
    assert_eq!(advise(&mesh).to_string(), "", "there are callers in b");
}

#[test]
fn callers_who_lose_a_rule_by_how_rules_merge_are_told() {
    let some = "workloadSelector: {matchLabels: {app: x}}";
    let text = rule("all", "a", &format!("{RANDOM}, exportTo: ['.']"))
        + &rule("some", "a", &format!("{RANDOM}, {some}"));
    let found = messages(&text);
    assert_eq!(
        found,
        [
            "a.yaml:5:14: DestinationRule all: it does not apply to callers in a: Istio merges it into DestinationRule some of namespace \
             `a` at 7:1, which does not apply to this caller",
        ]
    );
}

#[test]
fn a_workload_selector_that_hides_the_services_rule_from_others_is_reported() {
    let some = "workloadSelector: {matchLabels: {app: x}}";
    let found =
        messages(&(rule("home", "a", RANDOM) + &rule("some", "b", &format!("{RANDOM}, {some}"))));
    assert!(
        found[0].contains(
            "DestinationRule home: it does not apply to callers in b: DestinationRule some of namespace `b` at 7:1 is in the caller's namespace, and Istio searches no other namespace although it does not select the caller"
        ),
        "{found:?}"
    );
}

#[test]
fn a_subset_that_some_callers_do_not_have_is_told() {
    let to = "http: [{route: [{destination: {host: r.a.svc.cluster.local, subset: v1}}]}]";
    let routes = format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: a}}\n\
         spec: {{hosts: [r], {to}}}\n"
    );
    let subsets = rule("home", "a", "subsets: [{name: v1}]");
    let with_service = |text: &str| {
        let mut mesh = mesh(text);
        for (name, namespace) in [("r", "a"), ("web", "b")] {
            mesh.registry
                .insert(Service::new(name, namespace, vec![Port::http(80)]));
        }
        advise(&mesh).to_string()
    };
    assert_eq!(with_service(&(subsets.clone() + &routes)), "");
    let found = with_service(&(subsets + &rule("far", "b", RANDOM) + &routes));
    assert!(
        found.contains(
            "requests from callers in b fail with 503: DestinationRule far of namespace `b` applies to them and has no such subset [IST0101]"
        ),
        "{found}"
    );
    let hidden = rule("home", "a", "exportTo: ['.'], subsets: [{name: v1}]");
    let found = with_service(&(hidden + &routes));
    assert!(
        found.contains(
            "requests from callers in other namespaces fail with 503: no DestinationRule with this subset applies"
        ),
        "{found}"
    );
}

#[test]
fn a_subset_of_no_endpoint_is_told_where_endpoints_are_known() {
    let text = rule(
        "own",
        "a",
        "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]",
    );
    let mut mesh = mesh(&text);
    assert!(advise(&mesh).is_empty());
    let mut service = Service::new("r", "a", vec![Port::http(80)]);
    service.endpoints.push(Endpoint {
        address: "127.1.0.1:80".parse().unwrap(),
        labels: BTreeMap::from([("version".into(), "v1".into())]),
        locality: Locality::default(),
        ready: false,
        workload: "r-v1".into(),
    });
    mesh.registry = Registry::new();
    mesh.registry.insert(service);
    let found = advise(&mesh).to_string();
    assert_eq!(
        found,
        "a.yaml:5:82: DestinationRule own: no endpoint of `r.a.svc.cluster.local` has the labels of subset `v2` (version: v2): \
         its requests fail with 503 UH [IST0173]"
    );
}
