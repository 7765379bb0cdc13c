//! Documents that Istio's validation rejects, and those that it accepts. Source: Istio, `pkg/config/validation`.

use super::*;

pub(super) fn virtual_service(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec: {spec}\n"
    )
}

pub(super) fn route(more: &str) -> String {
    virtual_service(&format!(
        "{{hosts: [reviews], http: [{{{more}, route: [{{destination: {{host: reviews}}}}]}}]}}"
    ))
}

pub(super) fn to(destination: &str) -> String {
    virtual_service(&format!(
        "{{hosts: [reviews], http: [{{route: [{{destination: {destination}}}]}}]}}"
    ))
}

pub(super) fn rule(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: reviews, {spec}}}\n"
    )
}

/// Returns all errors of a document, including those of its fields.
pub(super) fn errors(text: &str) -> String {
    match Document::read(&parse("mesh.yaml", text).unwrap()[0]) {
        Ok(_) => invalid(text),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn hosts_of_a_virtual_service_are_those_that_istio_takes() {
    let with_hosts = |hosts: &str| {
        virtual_service(&format!(
            "{{hosts: {hosts}, http: [{{route: [{{destination: {{host: reviews}}}}]}}]}}"
        ))
    };
    for (hosts, reason) in [
        (
            "['*']",
            "invalid host `*`: sidecars do not support a host for all names",
        ),
        (
            "['*.a.io', '*.io']",
            "duplicate host `*.io`: `*.a.io` at 4:",
        ),
        ("[a.io, a.io]", "duplicate host `a.io`"),
        ("[a_b]", "invalid host `a_b`"),
        ("[a..b]", "invalid host `a..b`"),
        ("['']", "invalid host ``: it is empty"),
    ] {
        let found = errors(&with_hosts(hosts));
        assert!(found.contains(reason), "{hosts}: {found}");
        assert_eq!(found.lines().count(), 1, "{hosts}: {found}");
    }
    for hosts in [
        "[reviews, reviews.default]",
        "['*.io', '*.com']",
        "[10.0.0.1]",
        "[a.io.]",
    ] {
        assert_eq!(errors(&with_hosts(hosts)), "", "{hosts}");
    }
    let at_gateway =
        "{hosts: ['*'], gateways: [edge], http: [{route: [{destination: {host: reviews}}]}]}";
    assert_eq!(errors(&virtual_service(at_gateway)), "");
}

#[test]
fn a_destination_names_a_host_a_subset_and_a_port() {
    for (destination, reason) in [
        ("{host: ''}", "invalid host ``: it is empty"),
        ("{host: '*'}", "invalid host `*`"),
        ("{host: a..b}", "invalid host `a..b`"),
        ("{host: a_b}", "invalid host `a_b`"),
        ("{host: ns/b}", "invalid host `ns/b`"),
        ("{host: reviews, port: {number: 0}}", "invalid port 0"),
    ] {
        let found = errors(&to(destination));
        assert!(found.contains(reason), "{destination}: {found}");
    }
    let found = errors(&to("{host: reviews, subset: v1_}"));
    assert!(found.contains("invalid subset name `v1_`"), "{found}");
}

#[test]
fn a_condition_is_never_empty_but_for_a_path_prefix() {
    for (condition, reason) in [
        (
            "{headers: {x: {prefix: ''}}}",
            "invalid `prefix`: it is empty",
        ),
        ("{headers: {x: {regex: ''}}}", "it is empty"),
        (
            "{withoutHeaders: {x: {prefix: ''}}}",
            "invalid `prefix`: it is empty",
        ),
        ("{queryParams: {x: {regex: ''}}}", "it is empty"),
        ("{scheme: {prefix: ''}}", "invalid `prefix`: it is empty"),
        ("{method: {regex: ''}}", "it is empty"),
        ("{authority: {prefix: ''}}", "invalid `prefix`: it is empty"),
        ("{uri: {regex: ''}}", "it is empty"),
        (
            "{uri: {regex: 'a{1001}'}}",
            "a repeat count of 1001 is too large",
        ),
        ("{sourceLabels: {'a b': c}}", "invalid label key `a b`"),
        ("{sourceLabels: {a: 'c d'}}", "invalid label value `c d`"),
        ("{sourceNamespace: ns_}", "invalid `sourceNamespace` `ns_`"),
    ] {
        let found = errors(&route(&format!("match: [{condition}]")));
        assert!(found.contains(reason), "{condition}: {found}");
    }
    let long = format!("match: [{{uri: {{regex: '{}'}}}}]", "a".repeat(1025));
    assert!(errors(&route(&long)).contains("it is longer than 1024 bytes"));
    for condition in [
        "{uri: {prefix: ''}}",
        "{headers: {X-User: {exact: a}}}",
        "{withoutHeaders: {x: {}}}",
        "{headers: {x: {regex: '*'}}}",
        "{sourceNamespace: ''}",
    ] {
        assert_eq!(
            errors(&route(&format!("match: [{condition}]"))),
            "",
            "{condition}"
        );
    }
}

#[test]
fn actions_are_those_that_istio_takes() {
    for (more, reason) in [
        (
            "corsPolicy: {allowMethods: [PUTT]}",
            "invalid method `PUTT`: did you mean `PUT`?",
        ),
        (
            "corsPolicy: {allowOrigins: [{exact: ''}]}",
            "invalid origin: it is empty",
        ),
        (
            "corsPolicy: {allowOrigins: [{}]}",
            "invalid origin: expected `exact`",
        ),
        (
            "rewrite: {authority: a}, headers: {request: {set: {':authority': b}}}",
            "the authority is set twice; the first is at 4:",
        ),
        (
            "headers: {request: {set: {Host: b}, add: {':authority': c}}}",
            "the authority is set twice",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '', rewrite: a}}",
            "needs both `match` and `rewrite`",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: 'a{1001}', rewrite: b}}",
            "a repeat count of 1001",
        ),
        (
            "fault: {abort: {httpStatus: 600}}",
            "invalid status 600: Istio accepts it",
        ),
        (
            "retries: {attempts: 0, retryRemoteLocalities: false}",
            "`attempts: 0` means no retries",
        ),
        (
            "retries: {attempts: 1, retryOn: '599'}",
            "invalid status `599`",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx, 503'}",
            "separated by commas, without spaces",
        ),
        ("timeout: 0s", "`0s` is too short"),
        ("timeout: 1.5ms", "expected whole milliseconds"),
        (
            "retries: {attempts: 1, perTryTimeout: 100us}",
            "`100us` is too short",
        ),
    ] {
        let found = errors(&route(more));
        assert!(found.contains(reason), "{more}: {found}");
    }
    let redirect = |redirect: &str| {
        errors(&virtual_service(&format!(
            "{{hosts: [reviews], http: [{{redirect: {redirect}}}]}}"
        )))
    };
    let nothing = "a redirect changes nothing";
    assert!(redirect("{redirectCode: 302}").contains(nothing));
    assert!(redirect("{uri: '', authority: ''}").contains(nothing));
    assert!(
        redirect("{uri: /a, redirectCode: 304}")
            .contains("Istio accepts it, but its proxies then reject")
    );
    assert_eq!(redirect("{derivePort: FROM_REQUEST_PORT}"), "");
    for more in [
        "corsPolicy: {allowMethods: ['*'], allowOrigins: [{regex: '.*'}]}",
        "retries: {attempts: 1, retryOn: '5xx,503,425'}",
    ] {
        assert_eq!(errors(&route(more)), "", "{more}");
    }
}

#[test]
fn rules_are_those_that_istio_takes() {
    for (spec, reason) in [
        ("exportTo: [ns1_]", "invalid namespace `ns1_`"),
        (
            "subsets: [{name: v1.2, labels: {a: b}}]",
            "invalid subset name `v1.2`",
        ),
        (
            "subsets: [{name: v1, labels: {'a b': c}}]",
            "invalid label key `a b`",
        ),
        (
            "subsets: [{name: v1, labels: {a: 'c/d'}}]",
            "invalid label value `c/d`",
        ),
        ("trafficPolicy: {}", "`trafficPolicy` is empty"),
        (
            "subsets: [{name: v1, labels: {a: b}, trafficPolicy: {}}]",
            "`trafficPolicy` is empty",
        ),
        (
            "trafficPolicy: {connectionPool: {}}",
            "`connectionPool` is empty",
        ),
        (
            "trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}",
            "`0s` is too short",
        ),
        (
            "trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s}}}",
            "`0s` is too short",
        ),
        (
            "trafficPolicy: {connectionPool: {http: {idleTimeout: 0s}}}",
            "`0s` is too short",
        ),
        (
            "trafficPolicy: {outlierDetection: {interval: 0s}}",
            "`0s` is too short",
        ),
        (
            "trafficPolicy: {outlierDetection: {baseEjectionTime: 0s}}",
            "`0s` is too short",
        ),
        (
            "trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}",
            "both `useClientProtocol: true` and `h2UpgradePolicy: UPGRADE` are set",
        ),
        (
            "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}}",
            "`maglev` needs `tableSize`",
        ),
        (
            "trafficPolicy: {portLevelSettings: [{port: {number: 0}, connectionPool: {}}]}",
            "invalid port 0",
        ),
    ] {
        let found = errors(&rule(spec));
        assert!(found.contains(reason), "{spec}: {found}");
    }
    let cookie =
        "trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 0s}}}}";
    assert_eq!(errors(&rule(cookie)), "");
}
