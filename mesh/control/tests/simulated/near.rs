//! Endpoints that depend on the client's locality.

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality};

use crate::fixture::{Simulation, pod, service};
use crate::{document, ms};

const CLUSTER: &str = "outbound|80||a.default.svc.cluster.local";

fn rule(policy: &str) -> Document {
    document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\n\
         spec: {{host: a, trafficPolicy: {policy}}}\n"
    ))
}

fn endpoint(n: u8, zone: &str) -> Endpoint {
    Endpoint {
        address: (pod(n), 80).into(),
        labels: [("version".to_owned(), "v1".to_owned())].into(),
        locality: Locality {
            region: "eu".into(),
            zone: zone.into(),
            subzone: String::new(),
        },
        ready: true,
        workload: "a-v1".into(),
    }
}

/// Four pods of a service with their sidecars, in the given zones.
fn simulation(zones: [&str; 4]) -> Simulation {
    let simulation = Simulation::new(1);
    let mut service = service("a", 0);
    service.endpoints = (0..)
        .zip(zones)
        .map(|(n, zone)| endpoint(n, zone))
        .collect();
    simulation
        .cluster
        .update(|registry| registry.insert(service));
    simulation
}

#[test]
fn clients_share_endpoints_within_a_zone_but_not_across_zones() {
    let simulation = simulation(["a", "a", "b", "b"]);
    simulation
        .cluster
        .apply(vec![rule("{outlierDetection: {consecutive5xxErrors: 3}}")]);
    simulation.start_control();
    let proxies: Vec<_> = (0..4).map(|n| simulation.start_proxy(n)).collect();
    let versions = || -> Vec<String> {
        let version =
            |proxy: &crate::proxy::Proxy| proxy.version_of("ClusterLoadAssignment", CLUSTER);
        proxies.iter().map(version).collect()
    };
    simulation.run_until(ms(500));
    let first = versions();
    assert_eq!(first[0].len(), 16);
    assert_eq!((&first[0], &first[2]), (&first[1], &first[3]));
    assert_ne!(first[0], first[2]);

    // Without the rule all proxies have the same endpoints, and each receives the change.
    simulation.cluster.apply(vec![rule("{loadBalancer: {}}")]);
    simulation.run_until(ms(1000));
    let alike = versions();
    assert!(alike.iter().all(|version| *version == alike[0]));
    assert!(!first.contains(&alike[0]));

    // The rule is applied again, and a pod of zone b becomes unready. All proxies receive both changes.
    simulation
        .cluster
        .apply(vec![rule("{outlierDetection: {consecutive5xxErrors: 3}}")]);
    simulation.run_until(ms(1500));
    assert_eq!(versions(), first);
    simulation.cluster.update(|registry| {
        let service = registry.services.values_mut().next().unwrap();
        service.endpoints[3].ready = false;
    });
    simulation.run_until(ms(2000));
    let last = versions();
    assert_eq!((&last[0], &last[2]), (&last[1], &last[3]));
    assert!(last.iter().all(|version| !first.contains(version)));
    assert!(simulation.status.unsynced(4).is_empty());
}

#[test]
fn a_rule_that_only_reorders_endpoints_is_pushed_though_nothing_shared_changes() {
    let simulation = simulation(["a", "a", "b", "b"]);
    // The order of labels affects only the endpoints that are specific to a client.
    let ordered = |labels: &str| {
        rule(&format!(
            "{{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {{failoverPriority: [{labels}]}}}}}}"
        ))
    };
    simulation
        .cluster
        .apply(vec![ordered("topology.kubernetes.io/region")]);
    simulation.start_control();
    let proxy = simulation.start_proxy(0);
    simulation.run_until(ms(500));
    let before = proxy.version_of("ClusterLoadAssignment", CLUSTER);
    simulation
        .cluster
        .apply(vec![ordered("topology.kubernetes.io/zone")]);
    simulation.run_until(ms(1000));
    assert_ne!(proxy.version_of("ClusterLoadAssignment", CLUSTER), before);
    assert_eq!(simulation.config_changes().len(), 2);
}

#[test]
fn a_client_that_moves_to_another_zone_sees_it_from_there() {
    let simulation = simulation(["a", "a", "b", "b"]);
    simulation
        .cluster
        .apply(vec![rule("{outlierDetection: {}}")]);
    simulation.start_control();
    let (moving, there) = (simulation.start_proxy(0), simulation.start_proxy(3));
    simulation.run_until(ms(500));
    simulation.cluster.update(|registry| {
        let service = registry.services.values_mut().next().unwrap();
        service.endpoints[0].locality.zone = "b".into();
    });
    simulation.run_until(ms(1000));
    let version = |proxy: &crate::proxy::Proxy| proxy.version_of("ClusterLoadAssignment", CLUSTER);
    assert_eq!(version(&moving), version(&there));
}
