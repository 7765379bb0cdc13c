//! Errors of VirtualServices, and exports of DestinationRules.

use super::*;

/// Returns the errors of a VirtualService of `reviews` with this `http`.
fn wrong(http: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec:\n  hosts: [reviews]\n  http: {http}\n"
    );
    let errors = invalid(&text);
    let message = |line: &str| {
        line.split("VirtualService r: ")
            .nth(1)
            .unwrap_or(line)
            .to_owned()
    };
    errors.lines().map(message).collect()
}

const TO: &str = "route: [{destination: {host: reviews}}]";

/// Each case has one fault and its message.
#[test]
fn a_route_that_cannot_be_is_told_at_its_line() {
    for (http, expected) in [
        (
            "[{}]".to_owned(),
            "`route` is empty: expected at least one destination",
        ),
        (
            format!("[{{redirect: {{uri: /a}}, {TO}}}]"),
            "`route` cannot be combined with `redirect`",
        ),
        (
            "[{redirect: {uri: /a}, directResponse: {status: 200}}]".into(),
            "`directResponse` cannot be combined with `redirect`",
        ),
        (
            "[{redirect: {uri: /a}, rewrite: {uri: /b}}]".into(),
            "`rewrite` cannot be combined with `redirect`",
        ),
        (
            "[{directResponse: {status: 200}, fault: {abort: {httpStatus: 500}}}]".into(),
            "`fault` cannot be combined with `directResponse`",
        ),
        (
            "[{redirect: {}}]".into(),
            "a redirect changes nothing: expected `uri`, `authority`, `scheme` or a port",
        ),
        (
            "[{redirect: {uri: /a, redirectCode: 200}}]".into(),
            "invalid `redirectCode` 200: expected `301`, `302`, `303`, `307` or `308`",
        ),
        (
            "[{redirect: {scheme: ftp}}]".into(),
            "invalid scheme `ftp`: expected `http` or `https`",
        ),
        (
            "[{directResponse: {status: 700}}]".into(),
            "invalid status 700: expected 200 to 599",
        ),
        (
            format!("[{{rewrite: {{}}, {TO}}}]"),
            "`rewrite` is empty: expected `uri`, `uriRegexRewrite` or `authority`",
        ),
        (
            format!("[{{rewrite: {{uriRegexRewrite: {{match: '(a)', rewrite: '\\2'}}}}, {TO}}}]"),
            "`\\2` refers to group 2, but `(a)` has only 1",
        ),
        (
            format!("[{{fault: {{}}, {TO}}}]"),
            "`fault` is empty: expected `delay` or `abort`",
        ),
        (
            format!("[{{fault: {{delay: {{percent: 5}}}}, {TO}}}]"),
            "`fixedDelay` is missing",
        ),
        (
            format!("[{{fault: {{abort: {{grpcStatus: UNAVAILIBLE}}}}, {TO}}}]"),
            "unknown gRPC status `UNAVAILIBLE`: did you mean `UNAVAILABLE`?",
        ),
        (
            format!("[{{fault: {{abort: {{percentage: {{value: 5}}}}}}, {TO}}}]"),
            "expected `httpStatus` or `grpcStatus`",
        ),
        (
            format!("[{{headers: {{request: {{set: {{x: '50%'}}}}}}, {TO}}}]"),
            "`50%` has an unterminated `%`: expected `%REQ(name)%`, `%RESP(name)%`, `%PROTOCOL%`, or `%%` for a percent sign",
        ),
        (
            format!("[{{headers: {{response: {{remove: [':status']}}}}, {TO}}}]"),
            "`:status` cannot be changed here: use `rewrite`",
        ),
        (
            format!("[{{corsPolicy: {{allowMethods: ['G T'], maxAge: 1500ms}}, {TO}}}]"),
            "invalid method `G T`: did you mean `GET`?\ninvalid `maxAge`: expected whole seconds",
        ),
    ] {
        assert_eq!(wrong(&http).join("\n"), expected, "{http}");
    }
}

#[test]
fn all_that_a_route_may_say_is_taken() {
    let all = format!(
        "[{{name: a, match: [{{uri: {{prefix: /a}}, ignoreUriCase: true, port: 9080, gateways: [mesh, ns/edge], statPrefix: s,
            sourceLabels: {{app: web}}, sourceNamespace: shop}}],
          rewrite: {{uri: /b}}, timeout: 1s, mirror: {{host: ratings}}, mirrorPercentage: {{value: 0.5}},
          fault: {{delay: {{fixedDelay: 1s, percentage: {{value: 1}}}}, abort: {{httpStatus: 500, percentage: {{value: 1}}}}}},
          corsPolicy: {{allowOrigins: [{{regex: '.*'}}], allowHeaders: ['*']}},
          headers: {{request: {{set: {{Host: h, x: '%REQ(y)%'}}, add: {{z: '1'}}, remove: [w]}}}},
          {TO}}},
          {{redirect: {{authority: o, derivePort: FROM_REQUEST_PORT}}}}]"
    );
    assert_eq!(wrong(&all), Vec::<String>::new());
}

#[test]
fn one_without_hosts_is_for_those_that_delegate_to_it() {
    let document = |name: &str, spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let delegate = document("shop", &format!("{{http: [{{{TO}}}]}}"));
    let root = document(
        "root",
        "{hosts: [reviews], http: [{delegate: {name: shop}}]}",
    );
    assert_eq!(invalid(&format!("{root}---\n{delegate}")), "");
    assert_eq!(invalid(&delegate), "", "its root may come later");
    let nested = document("shop", "{http: [{delegate: {name: other}}]}");
    assert!(
        invalid(&format!("{root}---\n{nested}"))
            .contains("only one level of delegation is supported")
    );
    let narrow = document(
        "root",
        "{hosts: [reviews], http: [{match: [{uri: {exact: /a}}], delegate: {name: shop}}]}",
    );
    let clash = document(
        "shop",
        &format!("{{http: [{{match: [{{uri: {{prefix: /b}}}}], {TO}}}]}}"),
    );
    assert_eq!(invalid(&format!("{narrow}---\n{clash}")), "");
    let of_callers = document(
        "shop",
        &format!(
            "{{http: [{{match: [{{sourceNamespace: a, sourceLabels: {{app: x}}, gateways: [mesh]}}], {TO}}}]}}"
        ),
    );
    assert_eq!(invalid(&format!("{root}---\n{of_callers}")), "");
}

#[test]
fn an_export_to_nobody_is_told() {
    let spec = format!("{{hosts: [reviews], exportTo: ['.', '~'], http: [{{{TO}}}]}}");
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec: {spec}\n"
    );
    assert!(invalid(&text).ends_with(
        "invalid namespace `~`: it is valid only for services; expected `*` (all), `.` (its own) or a name"
    ));
}

/// Returns the errors of a rule in `default` with these fields in addition to its host.
fn wrong_rule(more: &str) -> String {
    invalid(&format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: reviews, {more}}}\n"
    ))
}

#[test]
fn a_rule_is_for_namespaces_each_named_once() {
    for (more, wanted) in [
        (
            "exportTo: [a, '.', default]",
            "duplicate namespace `default`",
        ),
        (
            "exportTo: [a, '*']",
            "`*` already means all namespaces: expected only `*`",
        ),
        ("exportTo: ['a b']", "invalid namespace `a b`"),
        (
            "exportTo: ['~']",
            "invalid namespace `~`: it is valid only for services",
        ),
    ] {
        let errors = wrong_rule(more);
        assert!(errors.contains(wanted), "{more}: {errors}");
    }
}

#[test]
fn a_workload_selector_rule_is_limited_to_its_namespace_and_exact_labels() {
    for (more, wanted) in [
        (
            "exportTo: ['*'], workloadSelector: {matchLabels: {a: b}}",
            "applies only to callers of its own namespace: expected `.` or `default`",
        ),
        (
            "workloadSelector: {matchLabels: {a: 'b*'}}",
            "invalid label `a: b*`",
        ),
    ] {
        let errors = wrong_rule(more);
        assert!(errors.contains(wanted), "{more}: {errors}");
    }
}
