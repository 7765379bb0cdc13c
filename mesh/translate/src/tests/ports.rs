//! Tests of port-level settings and of connection protocols.

use shakedown_xds::table::{Cluster, LbPolicy, UpstreamProtocol};

use super::*;

fn clusters(spec: &str) -> impl Fn(u16, &str) -> Cluster {
    let outbound = outbound(&mesh(&rule("a", spec)));
    move |port, subset| {
        let name = outbound_cluster(port, subset, "other.default.svc.cluster.local");
        compile_cluster(&message(&outbound.clusters, &name)).unwrap()
    }
}

#[test]
fn what_is_said_of_a_port_stands_for_all_that_is_said() {
    let cluster = clusters(
        "{host: other, trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {http: {http2MaxRequests: 7}},
          retryBudget: {percent: 5}, portLevelSettings: [{port: {number: 81}, connectionPool: {http: {http2MaxRequests: 9}}}]}}",
    );
    let (plain, own) = (cluster(80, ""), cluster(81, ""));
    assert_eq!(plain.lb, LbPolicy::Random);
    assert_eq!(plain.limits.default.requests, 7);
    assert!(plain.limits.default.retry_budget.is_some());
    // Fields that the port-level settings leave unset have the mesh's default.
    assert_eq!(own.lb, LbPolicy::LEAST_REQUEST);
    assert_eq!(own.limits.default.requests, 9);
    assert_eq!(own.limits.default.retry_budget, None);
}

#[test]
fn a_subsets_port_setting_overrides_everything_except_the_retry_budget() {
    let cluster = clusters(
        "{host: other, trafficPolicy: {loadBalancer: {simple: RANDOM}, retryBudget: {percent: 5}},
          subsets: [{name: s, trafficPolicy: {portLevelSettings: [{port: {number: 81}, outlierDetection: {}}]}}]}",
    );
    let (plain, own) = (cluster(80, "s"), cluster(81, "s"));
    assert_eq!(
        (plain.lb, plain.outlier.is_some()),
        (LbPolicy::Random, false)
    );
    assert_eq!(
        (own.lb, own.outlier.is_some()),
        (LbPolicy::LEAST_REQUEST, true)
    );
    assert!(own.limits.default.retry_budget.is_some());
}

#[test]
fn of_a_port_a_subset_replaces_part_by_part() {
    let cluster = clusters(
        "{host: other, trafficPolicy: {portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]},
          subsets: [{name: s, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 7}}}}]}",
    );
    let own = cluster(81, "s");
    assert_eq!((own.lb, own.limits.default.requests), (LbPolicy::Random, 7));
}

#[test]
fn a_consistent_hash_set_for_a_port_applies_only_to_its_routes() {
    let mesh = mesh(&rule(
        "a",
        "{host: other, trafficPolicy: {portLevelSettings: [{port: {number: 81}, loadBalancer: {consistentHash: {useSourceIp: true}}}]}}",
    ));
    let table = table(&mesh);
    let hashes = |authority: &str| {
        let route = &table.find_host(authority).unwrap().routes[0];
        route.forward().unwrap().hash.len()
    };
    assert_eq!((hashes("other:80"), hashes("other:81")), (0, 1));
}

#[test]
fn requests_go_on_as_what_they_came_as_where_that_is_asked() {
    let of = |text: &str| {
        let policy =
            format!("{{host: other, trafficPolicy: {{connectionPool: {{http: {{{text}}}}}}}}}");
        clusters(&policy)(80, "").protocol
    };
    let max_concurrent_streams = UpstreamProtocol::MAX_CONCURRENT_STREAMS;
    let downstream = UpstreamProtocol::Downstream {
        max_concurrent_streams,
    };
    assert_eq!(of("useClientProtocol: true"), downstream);
    assert_eq!(of("useClientProtocol: false"), UpstreamProtocol::Http1);
    let upgraded = UpstreamProtocol::Http2 {
        max_concurrent_streams,
    };
    assert_eq!(
        of("useClientProtocol: true, h2UpgradePolicy: UPGRADE"),
        upgraded
    );
}

#[test]
fn a_port_that_stands_twice_is_told() {
    let wrong = |ports: &str| {
        let text = format!("{{host: other, trafficPolicy: {{portLevelSettings: [{ports}]}}}}");
        crate::validate(&mesh(&rule("a", &text))).to_string()
    };
    assert_eq!(wrong("{port: {number: 81}}"), "");
    assert_eq!(wrong("{port: {number: 82}}"), "", "a warning tells");
    let twice = wrong("{port: {number: 81}}, {port: {number: 81}}");
    assert!(twice.contains("duplicate port 81"), "{twice}");
}
