//! Errors that no other test covers: each case is a document with one fault, and its only message.

use std::net::SocketAddr;

use super::strictness::{errors, route, rule, virtual_service};
use super::*;
use crate::registry::{Endpoint, Locality};

/// Checks that each document is rejected with only this message.
fn refused(cases: impl IntoIterator<Item = (String, &'static str)>) {
    for (text, reason) in cases {
        let found = errors(&text);
        assert!(found.contains(reason), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
}

fn canary(spec: &str, analysis: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: reviews}}\n\
         spec: {{targetRef: {{kind: Deployment, name: reviews}}, {spec}, analysis: {{interval: 1s, threshold: 2, {analysis}}}}}\n"
    )
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
}

#[test]
fn virtual_services_that_contradict_themselves_are_refused() {
    let action = |action: &str| virtual_service(&format!("{{hosts: [reviews], http: [{action}]}}"));
    let destination = "route: [{destination: {host: reviews}}]";
    refused([
        (
            virtual_service("{hosts: [reviews], http: []}"),
            "`http` is empty",
        ),
        (
            virtual_service(&format!(
                "{{hosts: [reviews], gateways: [a_b], http: [{{{destination}}}]}}"
            )),
            "invalid gateway `a_b`",
        ),
        (
            virtual_service(&format!("{{gateways: [mesh], http: [{{{destination}}}]}}")),
            "remove `gateways`",
        ),
        (
            action(
                "{route: [{destination: {host: reviews}, weight: 4294967295}, {destination: {host: ratings, port: {number: 80}}, weight: 1}]}",
            ),
            "sum to 4294967296: expected at most 4294967295",
        ),
        (
            route("mirror: {host: reviews}, mirrors: [{destination: {host: reviews}}]"),
            "both `mirror` and `mirrors` are set",
        ),
        (
            route("mirror: {host: reviews}, mirrorPercentage: {value: 5}, mirrorPercent: 5"),
            "`mirrorPercent` is set together with `mirrorPercentage`",
        ),
        (
            route("mirror: {host: reviews}, mirrorPercent: 101"),
            "invalid percentage 101: expected 0 to 100",
        ),
        (
            action("{redirect: {port: 8080, derivePort: FROM_REQUEST_PORT}}"),
            "both `port` and `derivePort` are set",
        ),
        (
            action(&format!(
                "{{directResponse: {{status: 200, body: {{string: {}}}}}}}",
                "x".repeat(1 << 21)
            )),
            "the body has 2097152 bytes: expected at most",
        ),
    ]);
}

#[test]
fn conditions_and_edits_that_cannot_be_executed_are_refused() {
    refused([
        (
            route("match: [{uri: {exact: ''}}]"),
            "invalid exact `uri`: it is empty",
        ),
        (
            route("match: [{headers: {'a b': {exact: c}}}]"),
            "invalid header name `a b`",
        ),
        (
            route("headers: {request: {remove: ['a b']}}"),
            "invalid header name `a b`",
        ),
        (route("rewrite: {authority: 'a%b'}"), "invalid host `a%b`"),
        (
            route("rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}"),
            "both `uri` and `uriRegexRewrite` are set",
        ),
        (
            route("rewrite: {uri: ''}"),
            "an empty `uri` rewrites nothing",
        ),
        (
            route("fault: {delay: {fixedDelay: 1s, percent: 101}}"),
            "invalid percentage 101: expected 0 to 100",
        ),
        (
            route("fault: {abort: {httpStatus: 503, grpcStatus: UNAVAILABLE}}"),
            "both `httpStatus` and `grpcStatus` are set",
        ),
        (
            route("corsPolicy: {allowOrigins: [{exact: a}], allowOrigin: [b]}"),
            "both `allowOrigin` and `allowOrigins` are set",
        ),
        (
            route("corsPolicy: {allowOrigins: [{exact: a}], allowHeaders: ['a b']}"),
            "invalid header name `a b`",
        ),
    ]);
}

#[test]
fn load_balancing_that_contradicts_itself_is_refused() {
    let balancer = |spec: &str| rule(&format!("trafficPolicy: {{loadBalancer: {{{spec}}}}}"));
    let hash = |spec: &str| balancer(&format!("consistentHash: {{{spec}}}"));
    let locality = |spec: &str| balancer(&format!("localityLbSetting: {{{spec}}}"));
    let by_header = "httpHeaderName: x";
    refused([
        (
            balancer("consistentHash: {httpHeaderName: x}, warmup: {duration: 5s}"),
            "`consistentHash` does not support `warmup`",
        ),
        (
            hash(&format!(
                "{by_header}, ringHash: {{}}, maglev: {{tableSize: 251}}"
            )),
            "both `ringHash` and `maglev` are set",
        ),
        (
            hash(&format!(
                "{by_header}, ringHash: {{minimumRingSize: 8388609}}"
            )),
            "`minimumRingSize` is 8388609: expected at most 8388608",
        ),
        (
            hash(&format!("{by_header}, minimumRingSize: 64, ringHash: {{}}")),
            "`minimumRingSize` is set together with `ringHash` or `maglev`",
        ),
        (
            hash("httpCookie: {name: c, ttl: 0s, attributes: [{name: 'a;b', value: c}]}"),
            "invalid cookie attribute `a;b`",
        ),
        (
            balancer("simple: ROUND_ROBIN, warmup: {duration: 5s, minimumPercent: 101}"),
            "`minimumPercent` is 101: expected 0 to 100",
        ),
        (
            locality("distribute: [{from: eu, to: {eu: 100, us: 0}}]"),
            "the share of `us` is 0",
        ),
        (
            locality("failover: [{from: 'eu/a', to: us}]"),
            "`from` is `eu/a`: expected a region without a zone or `*`",
        ),
    ]);
}

#[test]
fn canaries_and_policies_that_cannot_be_executed_are_refused() {
    let steps = "maxWeight: 50, stepWeight: 10";
    let service = "service: {port: 9080}";
    refused([
        (
            canary(&format!("provider: linkerd, {service}"), steps),
            "not supported yet: provider `linkerd`",
        ),
        (
            canary(service, steps).replace("kind: Deployment", "kind: DaemonSet"),
            "not supported yet: target of kind `DaemonSet`",
        ),
        (
            canary(&format!("progressDeadlineSeconds: 0, {service}"), steps),
            "`progressDeadlineSeconds: 0` would fail every rollout",
        ),
        (
            canary(
                service,
                "iterations: 0, match: [{headers: {x: {exact: a}}}]",
            ),
            "`iterations: 0`: expected 1 or more",
        ),
        (
            policy("{host: reviews, selector: {matchLabels: {app: reviews}}, balancer: peakEwma}"),
            "expected one of `host` and `selector`, found both",
        ),
        (
            policy("{selector: {matchLabels: {app: reviews}}}"),
            "it has no settings: expected `rateLimit`",
        ),
    ]);
}

#[test]
fn a_subset_beside_a_canary_selects_the_version_of_its_name() {
    let subset = |labels: &str| rule(&format!("subsets: [{{name: v1, labels: {{{labels}}}}}]"));
    let beside = |labels: &str| {
        let canary = canary("service: {port: 9080}", "maxWeight: 50, stepWeight: 10");
        let mut service = Service::new("reviews", "default", vec![Port::http(9080)]);
        service.endpoints.push(Endpoint {
            address: SocketAddr::from(([127, 1, 0, 1], 9080)),
            labels: [("version".to_owned(), "v1".to_owned())].into(),
            locality: Locality::default(),
            ready: true,
            workload: "reviews-v1".to_owned(),
        });
        let mut mesh = Mesh {
            documents: documents(&format!("{canary}---\n{}", subset(labels))),
            ..Mesh::default()
        };
        mesh.registry.insert(service);
        validate_documents(&mesh, None).to_string()
    };
    assert_eq!(beside("version: v1"), "");
    let found = beside("version: v1, app: reviews");
    let reason = "DestinationRule r: Canary reviews uses this subset for version `v1`";
    assert!(found.contains(reason), "{found}");
}
