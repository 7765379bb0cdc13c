//! Tests of the DestinationRule settings that apply to inbound traffic.

use shakedown_xds::table::{Cluster, LbPolicy, Limits, UpstreamProtocol};

use super::*;

const POD: &str = "127.1.0.1";

fn inbound(spec: &str) -> Cluster {
    let mesh = mesh(&rule("a", spec));
    let address = POD.parse().unwrap();
    let own = own(
        &mesh.registry.pod(address),
        &InboundPolicy::for_pod(&mesh, address),
    );
    compile_cluster(&message(&own.clusters, "inbound|9080||")).unwrap()
}

#[test]
fn of_a_services_policy_the_pool_alone_holds_before_its_apps() {
    let plain = inbound("{host: my-service}");
    assert_eq!(plain.limits.default, Limits::UNLIMITED);
    let cluster = inbound(
        "{host: my-service, trafficPolicy: {loadBalancer: {simple: RANDOM}, outlierDetection: {},
          connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s}, http: {h2UpgradePolicy: UPGRADE, maxRetries: 5}}}}",
    );
    let limits = cluster.limits.default;
    assert_eq!((limits.connections, limits.retries), (7, 5));
    assert_eq!(cluster.connect_timeout, Duration::from_secs(2));
    assert_eq!(cluster.lb, LbPolicy::ROUND_ROBIN);
    assert_eq!(cluster.outlier, None);
    assert_eq!(
        cluster.protocol,
        UpstreamProtocol::Http1,
        "apps are not upgraded"
    );
}

#[test]
fn what_a_subset_bounds_does_not_hold_before_its_apps() {
    let cluster = inbound(
        "{host: my-service, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}]}",
    );
    assert_eq!(cluster.limits.default, Limits::UNLIMITED);
}

#[test]
fn what_is_bounded_of_the_port_holds_before_its_apps() {
    let cluster = inbound(
        "{host: my-service, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}},
          portLevelSettings: [{port: {number: 9080}, connectionPool: {tcp: {maxConnections: 8}}}]}}",
    );
    assert_eq!(cluster.limits.default.connections, 8);
}
