//! Routes that depend on the caller.

use shakedown_istio::Document;
use shakedown_istio::registry::Endpoint;

use crate::fixture::{Simulation, pod, service};
use crate::proxy::Proxy;
use crate::{document, ms};

fn routes(condition: &str) -> Document {
    document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
         spec: {{hosts: [a], http: [{{match: [{{{condition}}}], directResponse: {{status: 418}}}},\n\
         {{route: [{{destination: {{host: a}}}}]}}]}}\n"
    ))
}

/// Three pods of a service with their sidecars. The last pod has another version.
fn simulation() -> Simulation {
    let simulation = Simulation::new(1);
    let mut service = service("a", 0);
    service.endpoints = (0..3)
        .map(|n| Endpoint {
            address: (pod(n), 80).into(),
            labels: [(
                "version".to_owned(),
                if n < 2 { "v1" } else { "v2" }.to_owned(),
            )]
            .into(),
            locality: Default::default(),
            ready: true,
            workload: "a".into(),
        })
        .collect();
    simulation
        .cluster
        .update(|registry| registry.insert(service));
    simulation
}

fn versions(proxies: &[Proxy]) -> Vec<String> {
    let version = |proxy: &Proxy| proxy.version_of("RouteConfiguration", "15001");
    proxies.iter().map(version).collect()
}

#[test]
fn callers_equivalent_under_a_document_share_routes_and_others_do_not() {
    let simulation = simulation();
    simulation.cluster.apply(vec![routes("uri: {exact: /a}")]);
    simulation.start_control();
    let proxies: Vec<_> = (0..3).map(|n| simulation.start_proxy(n)).collect();
    simulation.run_until(ms(500));
    let shared = versions(&proxies);
    assert!(shared.iter().all(|version| *version == shared[0]));

    // A rule with a condition on the caller: each proxy receives its own routes.
    let of_v2 = routes("sourceLabels: {version: v2}");
    simulation.cluster.apply(vec![of_v2.clone()]);
    simulation.run_until(ms(1000));
    let own = versions(&proxies);
    assert_eq!(own[0], own[1]);
    assert_ne!(own[0], own[2]);
    assert!(!own.contains(&shared[0]) && own.iter().all(|version| version.len() == 16));

    // The condition now matches v1 only, and every proxy is updated.
    simulation
        .cluster
        .apply(vec![routes("sourceLabels: {version: v1}")]);
    simulation.run_until(ms(1500));
    let other = versions(&proxies);
    assert_eq!((&other[0], &other[2]), (&own[2], &own[0]));

    // Without the condition all proxies have the same routes again.
    simulation.cluster.apply(vec![routes("uri: {exact: /a}")]);
    simulation.run_until(ms(2000));
    assert_eq!(versions(&proxies), shared);
    assert!(simulation.status.unsynced(4).is_empty());
}

#[test]
fn a_pod_whose_labels_change_sees_other_routes() {
    let simulation = simulation();
    simulation
        .cluster
        .apply(vec![routes("sourceLabels: {version: v2}")]);
    simulation.start_control();
    let proxies: Vec<_> = (0..3).map(|n| simulation.start_proxy(n)).collect();
    simulation.run_until(ms(500));
    let before = versions(&proxies);
    simulation.cluster.update(|registry| {
        let service = registry.services.values_mut().next().unwrap();
        service.endpoints[0]
            .labels
            .insert("version".into(), "v2".into());
    });
    simulation.run_until(ms(1000));
    let after = versions(&proxies);
    assert_eq!((&after[0], &after[1]), (&before[2], &before[1]));
}
