//! Tests of common pitfalls and the notes about them, and of inbound policies.

use super::*;

fn notes(result: &Explanation) -> Vec<&str> {
    result.notes.iter().map(|note| note.text.as_str()).collect()
}

fn policy(spec: &str) -> String {
    format!(
        "---\napiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
    )
}

#[test]
fn preceding_routes_are_listed_with_the_reason_each_did_not_match() {
    let text = routes(&[
        &format!(
            "match: [{{headers: {{end-user: {{exact: Jason}}}}}}, {{uri: {{exact: /x}}}}], route: [{ANY}]"
        ),
        &format!("name: admin, match: [{{uri: {{prefix: /admin}}}}], route: [{ANY}]"),
        &format!("name: rest, route: [{ANY}]"),
    ]);
    let result = explain_request(&text, "http://reviews:9080/x/", &["end-user: jason"]);
    let passed: Vec<(u32, &str, &str)> = result
        .passed_over
        .iter()
        .map(|passed| (passed.line, passed.route.as_str(), passed.because.as_str()))
        .collect();
    let first = "VirtualService/reviews spec.http[0]";
    assert_eq!(
        passed,
        [
            (
                5,
                first,
                "its header `end-user` `jason` is not `Jason`; the match is case-sensitive"
            ),
            (
                5,
                first,
                "the path `/x/` is not `/x`; a trailing `/` is significant"
            ),
            (6, "admin", "the path `/x/` does not begin with `/admin`"),
        ]
    );
}

#[test]
fn without_a_route_all_of_them_are_told() {
    let text = routes(&[&format!(
        "match: [{{method: {{exact: POST}}}}], route: [{ANY}]"
    )]);
    let result = ask(&text, "/");
    assert_eq!(flags(&result), Some("NR"));
    assert_eq!(
        result.passed_over[0].because,
        "its method `GET` is not `POST`"
    );
}

#[test]
fn a_prefix_that_ends_within_a_name_is_noted() {
    let text = routes(&[&format!(
        "match: [{{uri: {{prefix: /od10}}}}], route: [{ANY}]"
    )]);
    let result = ask(&text, "/od100/x");
    assert_eq!(
        notes(&result),
        [
            "the prefix `/od10` may end within a path segment, so it matches `/od100/x`; `/od10/` would not"
        ]
    );
    assert_eq!(result.notes[0].line, Some(5));
    assert_eq!(notes(&ask(&text, "/od10/x")), Vec::<&str>::new());
}

#[test]
fn a_virtual_service_that_has_no_say_is_noted_with_the_reason() {
    let first = routes(&[&format!("route: [{ANY}]")]);
    let second = |more: &str| {
        let text = first.replace("{name: reviews}", "{name: twin}");
        format!(
            "{first}---\n{}",
            text.replace("spec: {", &format!("spec: {{{more}"))
        )
    };
    let twin = ask(&second(""), "/");
    assert!(notes(&twin)[0].starts_with(
        "VirtualService/twin does not apply: VirtualService/reviews also has that host"
    ));
    let gateway = ask(&second("gateways: [ingress], "), "/");
    assert!(
        notes(&gateway)[0]
            .ends_with("it applies only to gateways: its `gateways` do not contain `mesh`")
    );
    let hidden = ask(&second("exportTo: [shop], "), "/");
    assert!(notes(&hidden)[0].contains("`exportTo` contains only shop"));
}

#[test]
fn a_short_name_that_means_another_service_is_noted() {
    let text = routes(&[&format!("route: [{ANY}]")])
        .replace("{name: reviews}", "{name: reviews, namespace: shop}");
    let result = ask(&text, "/");
    assert_eq!(result.route.as_deref(), Some("default"));
    assert_eq!(
        notes(&result),
        [
            "VirtualService/reviews.shop does not apply: its host `reviews` means `reviews.shop.svc.cluster.local`, but the request is for `reviews.default.svc.cluster.local`"
        ]
    );
}

#[test]
fn a_port_that_the_service_does_not_have_is_noted() {
    let text = routes(&[&format!("route: [{ANY}]")]);
    let result = explain_request(&text, "http://reviews:80/", &[]);
    assert_eq!(result.cluster.as_deref(), Some("PassthroughCluster"));
    assert_eq!(
        notes(&result),
        [
            "the service `reviews.default.svc.cluster.local` has port 9080, but no port 80; write the port, as in `http://reviews:9080`"
        ]
    );
}

#[test]
fn a_subset_that_is_not_there_is_told_with_those_that_are() {
    let text = routes(&["route: [{destination: {host: reviews, subset: v9}}]"]) + &rule(SUBSETS);
    let because = ask(&text, "/").rejected_by.unwrap().because;
    assert!(
        because.ends_with("has a subset `v9`; known subsets: v1, v2"),
        "{because}"
    );
    let port = routes(&["route: [{destination: {host: reviews, port: {number: 81}}}]"]);
    let because = ask(&port, "/").rejected_by.unwrap().because;
    assert!(
        because.ends_with("has no port 81; it has 9080"),
        "{because}"
    );
}

#[test]
fn a_destination_rule_that_has_no_say_is_noted() {
    let far = rule("trafficPolicy: {loadBalancer: {simple: RANDOM}}")
        .replace("{name: reviews}", "{name: far, namespace: shop}")
        .replace("host: reviews", "host: reviews.default.svc.cluster.local");
    let text = routes(&[&format!("route: [{ANY}]")]) + &rule(SUBSETS) + &far;
    let result = ask(&text, "/");
    assert_eq!(
        notes(&result),
        [
            "DestinationRule/far.shop does not apply: callers in `default` use only rules in their own namespace, the service's namespace and the root namespace"
        ]
    );
    assert_eq!(result.policies.cluster.unwrap().balancer, "LEAST_REQUEST");
    let mesh = mesh(&text);
    let sender = SenderWorkload {
        caller: Caller {
            namespace: "shop".into(),
            ..Caller::default()
        },
        ..SenderWorkload::default()
    };
    let request = ExplainedRequest::parse("http://reviews:9080/", [""; 0]).unwrap();
    let result = explain(&mesh, &sender, &request).unwrap();
    assert_eq!(
        notes(&result),
        [
            "DestinationRule/reviews does not apply: DestinationRule/far.shop takes precedence: the caller's namespace is searched first, then the service's, then the root namespace"
        ]
    );
    let (_, document, field) = decided(&result, "balancer");
    assert_eq!(
        (&*document, &*field),
        (
            "DestinationRule/far.shop",
            "spec.trafficPolicy.loadBalancer"
        )
    );
    assert_eq!(result.policies.cluster.unwrap().balancer, "RANDOM");
}

#[test]
fn what_acts_before_the_app_is_told_with_its_workloads_and_lines() {
    let limits = "selector: {matchLabels: {version: v2}}, rateLimit: {local: {requests: 7, per: 1s, burst: 9}}, \
                  adaptiveConcurrency: {max: 50}, shed: {concurrency: 3}";
    let text = routes(&[&format!("route: [{ANY}]")]) + &policy(limits);
    let result = ask(&text, "/");
    assert_eq!(result.inbound.len(), 1);
    let inbound = &result.inbound[0];
    assert_eq!(inbound.workloads, ["reviews-v2"]);
    let limit = inbound.rate_limit.as_ref().unwrap();
    assert_eq!(
        (limit.requests, limit.per_ms, limit.burst, limit.status),
        (Some(7), Some(1000), Some(9), 429)
    );
    assert_eq!(inbound.adaptive_concurrency.as_ref().unwrap().max, 50);
    assert_eq!(inbound.shed.as_ref().unwrap().concurrency, 3);
    for (what, field) in [
        ("rate_limit", "spec.rateLimit"),
        ("adaptive_concurrency", "spec.adaptiveConcurrency"),
        ("shed", "spec.shed"),
    ] {
        let (_, document, found) = decided(&result, what);
        assert_eq!((&*document, &*found), ("ProxyPolicy/p", field));
    }
}

#[test]
fn the_bounds_of_a_service_hold_before_its_apps_too() {
    let text = routes(&[&format!("route: [{ANY}]")])
        + &rule("trafficPolicy: {connectionPool: {tcp: {maxConnections: 4}}}");
    let result = ask(&text, "/");
    let inbound = &result.inbound[0];
    assert_eq!(inbound.workloads, ["reviews-v1", "reviews-v2"]);
    assert_eq!(inbound.limits.as_ref().unwrap().connections, Some(4));
}

#[test]
fn where_no_endpoint_is_known_what_selects_workloads_is_noted() {
    let text = routes(&[&format!("route: [{ANY}]")])
        + &policy("selector: {matchLabels: {app: reviews}}, shed: {concurrency: 3}");
    let mut mesh = mesh(&text);
    for service in mesh.registry.services.values_mut() {
        service.endpoints.clear();
    }
    let request = ExplainedRequest::parse("http://reviews:9080/", [""; 0]).unwrap();
    let result = explain(&mesh, &SenderWorkload::default(), &request).unwrap();
    assert!(result.inbound.is_empty());
    assert!(notes(&result)[0].starts_with("ProxyPolicy/p selects workloads"));
}

#[test]
fn a_service_on_its_default_route_reports_routes_restricted_to_other_callers() {
    let text = routes(&[&format!(
        "match: [{{sourceLabels: {{app: other}}}}], route: [{ANY}]"
    )]);
    let result = ask(&text, "/");
    assert_eq!(result.rejected_by, None);
    assert_eq!(
        result.cluster.as_deref(),
        Some("outbound|9080||reviews.default.svc.cluster.local")
    );
    assert_eq!(
        notes(&result),
        [
            "VirtualService/reviews has no route for this port and caller: the service's default route applies"
        ]
    );
}

#[test]
fn a_path_is_looked_up_as_the_proxy_normalises_it() {
    let text = routes(&["match: [{uri: {prefix: /x}}], route: [{destination: {host: ratings}}]"]);
    let result = ask(&text, "/a/%2e%2e/x?q=..");
    assert_eq!(result.path.as_deref(), Some("/x?q=.."));
    assert!(result.cluster.unwrap().contains("ratings"));
    let bad = ask(&text, "/x%00").rejected_by.unwrap();
    assert_eq!(
        (bad.status, bad.details.as_str()),
        (400, "path_normalization_failed")
    );
}
