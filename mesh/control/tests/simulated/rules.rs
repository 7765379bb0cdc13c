//! Clusters that depend on the caller.

use shakedown_istio::{Document, DocumentKey};

use crate::fixture::{Simulation, pod, service};
use crate::proxy::Proxy;
use crate::{document, ms};

const CLUSTER: &str = "outbound|80||a.default.svc.cluster.local";
const SUBSET: &str = "outbound|80|v1|a.default.svc.cluster.local";

/// A rule in a namespace for the service `a` of `default`.
fn rule(namespace: &str, spec: &str) -> Document {
    document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a, namespace: {namespace}}}\n\
         spec: {{host: a.default.svc.cluster.local, {spec}}}\n"
    ))
}

const SUBSETS: &str = "subsets: [{name: v1, labels: {version: v1}}]";
const BOUND: &str = "trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}";

/// A service, and proxies of pods without services in other namespaces.
fn simulation(namespaces: &[&str]) -> (Simulation, Vec<Proxy>) {
    let simulation = Simulation::new(1);
    simulation
        .cluster
        .update(|registry| registry.insert(service("a", 1)));
    simulation.cluster.apply(vec![rule("default", SUBSETS)]);
    simulation.start_control();
    let proxies = (10..).zip(namespaces).map(|(n, namespace)| {
        let address = pod(n);
        let node = format!("sidecar~{address}~pod-{n}.{namespace}~{namespace}.svc.cluster.local");
        simulation.start_proxy_as(n, &node)
    });
    let proxies = proxies.collect();
    simulation.run_until(ms(500));
    (simulation, proxies)
}

/// The version of the service's cluster, and true if the proxy has a cluster for its subset.
fn held(proxy: &Proxy) -> (String, bool) {
    let names = proxy.names("Cluster");
    let has = names.iter().any(|name| name == SUBSET);
    (proxy.version_of("Cluster", CLUSTER), has)
}

#[test]
fn callers_in_a_namespace_with_its_own_rule_get_different_clusters() {
    let (simulation, proxies) = simulation(&["default", "web", "bank"]);
    let all = || -> Vec<_> { proxies.iter().map(held).collect() };
    let first = all();
    assert!(first.iter().all(|held| *held == first[0] && held.1));

    // A rule in one namespace applies to callers there only, and replaces the rule of the service's namespace for them.
    simulation.cluster.apply(vec![rule("web", BOUND)]);
    simulation.run_until(ms(1000));
    let second = all();
    assert_eq!((&second[0], &second[2]), (&first[0], &first[2]));
    assert_ne!(second[1].0, first[1].0);
    assert!(!second[1].1, "the subset is the other rule's");

    // The rule changes, and the other proxies receive no update.
    for proxy in &proxies {
        proxy.clear_log();
    }
    simulation
        .cluster
        .apply(vec![rule("web", &format!("{BOUND}, {SUBSETS}"))]);
    simulation.run_until(ms(1500));
    let third = all();
    assert_eq!(third[1], (second[1].0.clone(), true));
    let updated: Vec<bool> = proxies
        .iter()
        .map(|proxy| !proxy.log().is_empty())
        .collect();
    assert_eq!(updated, [false, true, false]);

    // The rule is removed, and all proxies have the same clusters again.
    simulation.cluster.remove(&DocumentKey {
        kind: "DestinationRule".into(),
        namespace: "web".into(),
        name: "a".into(),
    });
    simulation.run_until(ms(2000));
    assert_eq!(all(), first);
    assert!(simulation.status.unsynced(4).is_empty());
}

#[test]
fn a_rule_comes_to_the_namespaces_that_it_is_exported_to() {
    let (simulation, proxies) = simulation(&["default", "web", "bank"]);
    let before = held(&proxies[0]);
    simulation
        .cluster
        .apply(vec![rule("default", &format!("{BOUND}, exportTo: [web]"))]);
    simulation.run_until(ms(1000));
    let after: Vec<_> = proxies.iter().map(held).collect();
    assert_eq!(after[0], after[2]);
    assert_ne!(after[0].0, after[1].0);
    // No rule applies to the other proxies. Without subsets, the cluster equals that of a rule without limits.
    assert_eq!(after[0].0, before.0);
    assert!(!after[0].1);
}

#[test]
fn a_rule_that_selects_workloads_comes_to_those_whose_labels_fit() {
    let (simulation, proxies) = simulation(&["web", "web"]);
    let select = format!("{BOUND}, workloadSelector: {{matchLabels: {{app: cart}}}}");
    simulation.cluster.apply(vec![rule("web", &select)]);
    let before = held(&proxies[0]);
    simulation.cluster.update(|registry| {
        for (n, app) in [(10, "cart"), (11, "till")] {
            let client = shakedown_istio::registry::Workload {
                namespace: "web".into(),
                labels: [("app".to_owned(), app.to_owned())].into(),
                locality: Default::default(),
            };
            registry.clients.insert(pod(n), client);
        }
    });
    simulation.run_until(ms(1000));
    assert_ne!(held(&proxies[0]).0, before.0);
    // Istio looks no further than the caller's namespace, even if no rule there selects the workload.
    assert_eq!(held(&proxies[1]), (before.0, false));
}
