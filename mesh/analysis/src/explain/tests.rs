//! Tests of explanations in small meshes.

mod filters;
mod policies;
mod traps;

use std::collections::BTreeMap;

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, MeshOptions, Port, Registry, Service};
use shakedown_translate::Caller;
use shakedown_yaml::tree::parse;

use super::*;

const ANY: &str = "{destination: {host: reviews}}";

fn endpoint(address: &str, version: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        labels: BTreeMap::from([
            ("app".into(), "reviews".into()),
            ("version".into(), version.into()),
        ]),
        locality: Locality {
            region: "local".into(),
            zone: "a".into(),
            subzone: String::new(),
        },
        ready: true,
        workload: format!("reviews-{version}"),
    }
}

/// A mesh with `reviews:9080`, which has two versions, and `ratings:80`, which has no endpoints.
fn mesh(text: &str) -> Mesh {
    let mut registry = Registry::new();
    let mut reviews = Service::new("reviews", "default", vec![Port::http(9080)]);
    reviews.endpoints.push(endpoint("10.0.0.1:9080", "v1"));
    reviews.endpoints.push(endpoint("10.0.0.2:9080", "v2"));
    registry.insert(reviews);
    registry.insert(Service::new("ratings", "default", vec![Port::http(80)]));
    let documents = parse("mesh.yaml", text)
        .unwrap()
        .iter()
        .map(|node| Document::read(node).unwrap())
        .collect();
    Mesh {
        registry,
        documents,
        options: MeshOptions::default(),
    }
}

/// A VirtualService of `reviews`, with each route on a line of its own from line 6 on.
fn routes(routes: &[&str]) -> String {
    let mut text =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n\
         spec: {hosts: [reviews], http: [\n"
            .to_owned();
    for route in routes {
        text.push_str(&format!("  {{{route}}},\n"));
    }
    text.push_str("]}\n");
    text
}

fn rule(spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: reviews}}\n\
         spec: {{host: reviews, {spec}}}\n"
    )
}

const SUBSETS: &str =
    "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]";

fn explain_request(text: &str, request: &str, headers: &[&str]) -> Explanation {
    let request = ExplainedRequest::parse(request, headers).unwrap();
    explain(&mesh(text), &SenderWorkload::default(), &request).unwrap()
}

fn ask(text: &str, path: &str) -> Explanation {
    explain_request(text, &format!("http://reviews:9080{path}"), &[])
}

/// The position of a decision: the line, the document and the field.
fn decided(result: &Explanation, what: &str) -> (u32, String, String) {
    let found = result.decision(what, None);
    let found = found.unwrap_or_else(|| panic!("nothing decided {what}: {:#?}", result.decided_by));
    (found.line, found.document.clone(), found.field.clone())
}

fn at(line: u32, field: &str) -> (u32, String, String) {
    (line, "VirtualService/reviews".into(), field.into())
}

fn flags(result: &Explanation) -> Option<&'static str> {
    result
        .rejected_by
        .as_ref()
        .and_then(|rejection| rejection.flags)
}

#[test]
fn a_header_decides_the_subset_and_the_lines_are_told() {
    let text = routes(&[
        "match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: reviews, subset: v2}}]",
        "route: [{destination: {host: reviews, subset: v1}}]",
    ]) + &rule(SUBSETS);
    let jason = explain_request(&text, "GET http://reviews:9080/x", &["end-user: jason"]);
    let full = "reviews.default.svc.cluster.local";
    assert_eq!(jason.listener, "0.0.0.0_15001");
    assert_eq!(jason.virtual_host, Some(format!("{full}:9080")));
    assert_eq!(jason.cluster, Some(format!("outbound|9080|v2|{full}")));
    assert_eq!(jason.endpoints.as_ref().unwrap()[0].workload, "reviews-v2");
    assert_eq!(decided(&jason, "virtual_host"), at(4, "spec.hosts[0]"));
    assert_eq!(decided(&jason, "route"), at(5, "spec.http[0].match[0]"));
    assert_eq!(
        decided(&jason, "cluster"),
        at(5, "spec.http[0].route[0].destination")
    );
    let subset = decided(&jason, "subset");
    assert_eq!((subset.0, &*subset.2), (12, "spec.subsets[1]"));
    assert_eq!(jason.rejected_by, None);
    let other = ask(&text, "/x");
    assert_eq!(other.cluster, Some(format!("outbound|9080|v1|{full}")));
    assert_eq!(decided(&other, "route"), at(6, "spec.http[1]"));
    assert_eq!(
        other.route.as_deref(),
        Some("VirtualService/reviews spec.http[1]")
    );
}

#[test]
fn a_prefix_match_is_textual_and_matches_unintended_paths() {
    let text = routes(&[
        &format!(
            "name: a, match: [{{uri: {{exact: /b}}}}, {{uri: {{prefix: /a}}}}], route: [{ANY}]"
        ),
        &format!("name: rest, route: [{ANY}]"),
    ]);
    let trapped = ask(&text, "/ab");
    assert_eq!(trapped.route.as_deref(), Some("a"));
    assert_eq!(decided(&trapped, "route"), at(5, "spec.http[0].match[1]"));
    assert_eq!(ask(&text, "/A").route.as_deref(), Some("rest"));
}

#[test]
fn of_weights_all_clusters_are_told_with_their_shares_and_lines() {
    let text = routes(&[
        "route: [{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: ratings}, weight: 0}, {destination: {host: reviews, subset: v2}, weight: 10}]",
    ]) + &rule(SUBSETS);
    let result = ask(&text, "/");
    assert_eq!((&result.cluster, &result.endpoints), (&None, &None));
    let targets = result.weighted_clusters.as_ref().unwrap();
    let weights: Vec<u32> = targets.iter().map(|target| target.weight).collect();
    assert_eq!(weights, [90, 10]);
    let second = result
        .decision("cluster", Some(&targets[1].cluster))
        .unwrap();
    assert_eq!(second.field, "spec.http[0].route[2].destination");
    assert_eq!(
        targets[1].endpoints.as_ref().unwrap()[0].workload,
        "reviews-v2"
    );
    assert_eq!(result.rejected_by, None);
}

#[test]
fn a_rewrite_changes_path_and_host_and_keeps_the_query() {
    let text = routes(&[&format!(
        "match: [{{uri: {{prefix: /old}}}}], rewrite: {{uri: /new, authority: other}}, route: [{ANY}]"
    )]);
    let result = ask(&text, "/old/x?q=1");
    assert_eq!(result.path.as_deref(), Some("/new/x?q=1"));
    assert_eq!(result.host.as_deref(), Some("other"));
    assert_eq!(decided(&result, "path"), at(5, "spec.http[0].rewrite.uri"));
    let host = at(5, "spec.http[0].rewrite.authority");
    assert_eq!(decided(&result, "host"), host);
    assert_eq!(flags(&ask(&text, "/else")), Some("NR"));
}

#[test]
fn a_redirect_and_an_answer_are_no_rejections() {
    let text = routes(&[
        "match: [{uri: {exact: /r}}], redirect: {uri: /s, redirectCode: 308}",
        "directResponse: {status: 418, body: {string: tea}}",
    ]);
    let sent = ask(&text, "/r?q");
    let redirect = sent.redirect.as_ref().unwrap();
    assert_eq!(redirect.status, 308);
    assert_eq!(redirect.location, "http://reviews:9080/s?q");
    assert_eq!(decided(&sent, "redirect"), at(5, "spec.http[0].redirect"));
    assert_eq!((&sent.cluster, &sent.path), (&None, &None));
    let answered = ask(&text, "/");
    let answer = answered.direct_response.as_ref().unwrap();
    assert_eq!((answer.status, &*answer.body), (418, "tea"));
    assert_eq!(
        decided(&answered, "direct_response"),
        at(6, "spec.http[1].directResponse")
    );
    assert_eq!((sent.rejected_by, answered.rejected_by), (None, None));
}

#[test]
fn timeout_and_retries_are_the_routes_or_the_meshes() {
    let text = routes(&[
        &format!(
            "match: [{{uri: {{exact: /t}}}}], timeout: 1500ms, retries: {{attempts: 3, perTryTimeout: 2s, retryOn: '5xx,418'}}, route: [{ANY}]"
        ),
        &format!("route: [{ANY}]"),
    ]);
    let own = ask(&text, "/t");
    assert_eq!(own.timeout_ms, Some(1500));
    let retries = own.retries.as_ref().unwrap();
    assert_eq!(
        (retries.attempts, retries.per_try_timeout_ms),
        (3, Some(2000))
    );
    assert_eq!(retries.on, ["5xx", "retriable-status-codes"]);
    assert_eq!(retries.status_codes, [418]);
    assert_eq!(decided(&own, "timeout"), at(5, "spec.http[0].timeout"));
    assert_eq!(decided(&own, "retries"), at(5, "spec.http[0].retries"));
    let default = ask(&text, "/");
    assert_eq!(default.timeout_ms, None);
    assert_eq!(
        default.retries.as_ref().map(|retries| retries.attempts),
        Some(2)
    );
    assert_eq!(default.decision("timeout", None), None);
}

#[test]
fn of_two_virtual_services_for_a_host_the_first_is_told() {
    let first = routes(&[&format!("name: first, route: [{ANY}]")]);
    let second = routes(&[&format!("name: second, route: [{ANY}]")])
        .replace("{name: reviews}", "{name: younger}");
    let result = ask(&format!("{first}---\n{second}"), "/");
    assert_eq!(result.route.as_deref(), Some("first"));
    assert_eq!(decided(&result, "route"), at(5, "spec.http[0]"));
}

#[test]
fn a_subset_that_nobody_defines_is_a_cluster_that_does_not_exist() {
    let text = routes(&["route: [{destination: {host: reviews, subset: v9}}]"]);
    let result = ask(&text, "/");
    assert_eq!(flags(&result), Some("NC"));
    assert_eq!(result.rejected_by.as_ref().unwrap().status, 503);
    assert_eq!(
        decided(&result, "cluster"),
        at(5, "spec.http[0].route[0].destination")
    );
    assert_eq!(result.policies.cluster, None);
}

#[test]
fn a_service_without_endpoints_is_rejected_unless_no_service_has_known_endpoints() {
    let request = ExplainedRequest::parse("http://ratings/", [""; 0]).unwrap();
    let mut mesh = mesh(&routes(&[&format!("route: [{ANY}]")]));
    let explained = |mesh: &Mesh| explain(mesh, &SenderWorkload::default(), &request).unwrap();
    assert_eq!(flags(&explained(&mesh)), Some("UH"));
    for service in mesh.registry.services.values_mut() {
        service.endpoints.clear();
    }
    let result = explained(&mesh);
    assert_eq!((result.endpoints, result.rejected_by), (None, None));
    assert_eq!(result.route.as_deref(), Some("default"));
    assert_eq!(result.decided_by, []);
}

#[test]
fn an_abort_of_all_refuses_and_one_of_some_does_not() {
    let text = |share: u32| {
        routes(&[&format!(
            "fault: {{abort: {{httpStatus: 555, percentage: {{value: {share}}}}}}}, route: [{ANY}]"
        )])
    };
    let all = ask(&text(100), "/");
    assert_eq!(flags(&all), Some("FI"));
    assert_eq!(all.rejected_by.as_ref().unwrap().status, 555);
    let some = ask(&text(50), "/");
    assert_eq!(some.rejected_by, None);
    let fault = some.policies.fault.as_ref().unwrap();
    assert_eq!(
        (fault.abort_status, fault.abort_ppm),
        (Some(555), Some(500_000))
    );
    assert_eq!(decided(&some, "fault"), at(5, "spec.http[0].fault"));
}

#[test]
fn each_part_of_a_delegate_is_attributed_to_its_defining_document() {
    let root = routes(&[
        "match: [{uri: {prefix: /a}}], timeout: 3s, delegate: {name: part}",
        &format!("route: [{ANY}]"),
    ]);
    let part = routes(&[
        &format!("match: [{{uri: {{prefix: /a/x}}}}], retries: {{attempts: 5}}, route: [{ANY}]"),
        &format!("route: [{ANY}]"),
    ])
    .replace("{name: reviews}", "{name: part}")
    .replace("hosts: [reviews], ", "");
    let result = ask(&format!("{root}---\n{part}"), "/a/x");
    assert_eq!(result.timeout_ms, Some(3000));
    assert_eq!(decided(&result, "timeout"), at(5, "spec.http[0].timeout"));
    let retries = decided(&result, "retries");
    assert_eq!(
        retries,
        (
            13,
            "VirtualService/part".into(),
            "spec.http[0].retries".into()
        )
    );
    let conditions: Vec<(&str, &str)> = result
        .decided_by
        .iter()
        .filter(|decision| decision.what == "route")
        .map(|decision| (&*decision.document, &*decision.field))
        .collect();
    let expected = [
        ("VirtualService/reviews", "spec.http[0].match[0]"),
        ("VirtualService/part", "spec.http[0].match[0]"),
    ];
    assert_eq!(conditions[conditions.len() - 1], expected[1]);
    assert!(
        conditions
            .iter()
            .all(|condition| expected.contains(condition)),
        "{conditions:?}"
    );
    assert_eq!(decided(&result, "cluster").1, "VirtualService/part");
}

#[test]
fn subset_policy_fields_are_attributed_to_the_subset_others_to_the_service() {
    let policy = "trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {http: {http2MaxRequests: 7}}}, \
                  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}}]";
    let text = routes(&["route: [{destination: {host: reviews, subset: v1}}]"]) + &rule(policy);
    let result = ask(&text, "/");
    let policies = result.policies.cluster.as_ref().unwrap();
    assert_eq!(policies.balancer, "RANDOM");
    assert_eq!(policies.limits.as_ref().unwrap().requests, Some(7));
    let outlier = policies.outlier_detection.as_ref().unwrap();
    assert_eq!(outlier.consecutive_5xx, Some(3));
    let field = |what| decided(&result, what).2;
    assert_eq!(field("balancer"), "spec.trafficPolicy.loadBalancer");
    assert_eq!(
        field("connection_pool"),
        "spec.trafficPolicy.connectionPool"
    );
    assert_eq!(
        field("outlier_detection"),
        "spec.subsets[0].trafficPolicy.outlierDetection"
    );
}

#[test]
fn a_proxy_policys_balancer_goes_before_the_rules() {
    let policy = "---\napiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {name: p}\n\
                  spec: {host: reviews, balancer: peakEwma, hedge: {after: 50ms}}\n";
    let text = routes(&[&format!("route: [{ANY}]")])
        + &rule("trafficPolicy: {loadBalancer: {simple: RANDOM}}")
        + policy;
    let result = ask(&text, "/");
    let policies = result.policies.cluster.as_ref().unwrap();
    assert_eq!(policies.balancer, "peakEwma");
    assert_eq!(policies.hedge.as_ref().unwrap().after_ms, Some(50));
    assert_eq!(decided(&result, "balancer").1, "ProxyPolicy/p");
    assert_eq!(decided(&result, "hedge").2, "spec.hedge");
}

#[test]
fn a_route_for_certain_callers_is_told_to_them_alone() {
    let text = routes(&[
        &format!("name: own, match: [{{sourceLabels: {{app: shop}}}}], route: [{ANY}]"),
        &format!("name: rest, route: [{ANY}]"),
    ]);
    let request = ExplainedRequest::parse("http://reviews:9080/", [""; 0]).unwrap();
    let route = |labels: &[(&str, &str)]| {
        let mut sender = SenderWorkload::default();
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        sender.caller.labels = labels.collect();
        explain(&mesh(&text), &sender, &request).unwrap().route
    };
    assert_eq!(route(&[("app", "shop")]).as_deref(), Some("own"));
    assert_eq!(route(&[]).as_deref(), Some("rest"));
}

#[test]
fn an_unknown_host_passes_through_or_is_rejected_per_outbound_traffic_policy() {
    let request = ExplainedRequest::parse("http://example.com/", [""; 0]).unwrap();
    let mut mesh = mesh(&routes(&[&format!("route: [{ANY}]")]));
    let out = explain(&mesh, &SenderWorkload::default(), &request).unwrap();
    assert_eq!(out.cluster.as_deref(), Some("PassthroughCluster"));
    assert_eq!((out.endpoints, out.rejected_by), (None, None));
    mesh.options.outbound_allow_any = false;
    let refused = explain(&mesh, &SenderWorkload::default(), &request).unwrap();
    assert_eq!(refused.rejected_by.unwrap().status, 502);
}

#[test]
fn what_is_hashed_is_told_with_whether_the_request_has_it() {
    let text = routes(&[&format!("route: [{ANY}]")])
        + &rule("trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}");
    let by = |headers: &[&str]| {
        let result = explain_request(&text, "http://reviews:9080/", headers);
        result.policies.cluster.unwrap().hash_by
    };
    assert_eq!(by(&["x-user: jason"]), ["header x-user"]);
    assert_eq!(by(&[]), ["header x-user (absent)"]);
}

#[test]
fn what_is_said_of_a_port_is_told_where_it_stands() {
    let text = routes(&[&format!("route: [{ANY}]")])
        + &rule(
            "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, portLevelSettings: [{port: {number: 9080}, loadBalancer: {simple: RANDOM}}]}",
        );
    let result = ask(&text, "/");
    assert_eq!(result.policies.cluster.as_ref().unwrap().balancer, "RANDOM");
    assert_eq!(
        decided(&result, "balancer").2,
        "spec.trafficPolicy.portLevelSettings[0].loadBalancer"
    );
}

#[test]
fn urls_without_a_port_use_port_80_and_suggest_the_services_url() {
    let text = routes(&[&format!("route: [{ANY}]")]);
    let answer = |url| Explanation {
        // Excluded because the application would see the authority as it is written.
        host: None,
        ..explain_request(&text, url, &[])
    };
    let short = answer("http://reviews/stock");
    let long = answer("http://reviews:80/stock");
    assert_eq!(short.cluster.as_deref(), Some("PassthroughCluster"));
    assert_eq!(short, long);
    let noted = |note: &NoteView| {
        note.text.contains("no port 80") && note.text.contains("`http://reviews:9080`")
    };
    assert!(short.notes.iter().any(noted), "{:?}", short.notes);
}
