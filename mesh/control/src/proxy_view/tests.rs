//! Tests of which proxies share resources.

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, Port, Registry, Service, Workload};
use shakedown_yaml::tree;

use super::*;
use crate::snapshot::ResourceKind;

fn mesh(rules: &[(&str, &str)]) -> Mesh {
    let text: Vec<String> = rules
        .iter()
        .map(|(namespace, spec)| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
                 metadata: {{name: a, namespace: {namespace}}}\n\
                 spec: {{host: a.default.svc.cluster.local, {spec}}}\n"
            )
        })
        .collect();
    let nodes = tree::parse("mesh.yaml", &text.join("---\n")).unwrap();
    let mut registry = Registry::new();
    let mut service = Service::new("a", "default", vec![Port::http(80)]);
    service.endpoints = [("10.0.1.1:80", "a"), ("10.0.1.2:80", "b")]
        .map(|(address, zone)| endpoint(address, zone))
        .into();
    registry.insert(service);
    let client = Workload {
        namespace: "web".into(),
        labels: Default::default(),
        locality: at("a"),
    };
    registry.clients.insert([10, 0, 0, 1].into(), client);
    registry.insert(Service::new("b", "default", vec![Port::http(80)]));
    Mesh {
        registry,
        documents: nodes
            .iter()
            .map(|node| Document::read(node).unwrap())
            .collect(),
        ..Mesh::default()
    }
}

fn at(zone: &str) -> Locality {
    Locality {
        region: "eu".into(),
        zone: zone.into(),
        subzone: String::new(),
    }
}

fn endpoint(address: &str, zone: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        labels: Default::default(),
        locality: at(zone),
        ready: true,
        workload: "a".into(),
    }
}

/// The views of proxies in these namespaces, given some rules.
fn seen(rules: &[(&str, &str)], namespaces: &[&str]) -> Vec<ProxyView> {
    let mesh = mesh(rules);
    let shared =
        ConfigSnapshot::empty().next(1, Resources::outbound(shakedown_translate::outbound(&mesh)));
    let inputs = ViewInputs::from_mesh(&mesh, &ViewInputs::default());
    let views = ViewCaches::default();
    let see = |namespace: &&str| {
        let node = ProxyNode::parse(&format!("sidecar~10.0.0.1~p.{namespace}~d")).unwrap();
        let config = CurrentConfig {
            mesh: &mesh,
            shared: &shared,
            inputs: &inputs,
            registry_push: 1,
            node: &node,
        };
        views.view_for(&config, None)
    };
    namespaces.iter().map(see).collect()
}

const BOUND: &str = "trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}";

#[test]
fn callers_of_namespaces_that_see_the_same_rules_share_one_set() {
    let hidden = format!("{BOUND}, exportTo: [web, bank]");
    let seen = seen(
        &[("default", &hidden)],
        &["web", "bank", "other", "default"],
    );
    assert!(seen[0].is_as(&seen[1]) && !seen[0].is_as(&seen[2]));
    for (one, other) in seen[0].layers.iter().zip(&seen[1].layers) {
        assert!(Arc::ptr_eq(one, other) || one.is_empty());
    }
    assert!(seen[2].is_as(&seen[3]));
    assert!(seen[2].layers.iter().all(|layer| layer.is_empty()));
    // Of the services and their endpoints only one cluster differs.
    let own: Vec<&str> = seen[0].layers[0]
        .of_kind(ResourceKind::Cluster)
        .map(|entry| &*entry.name)
        .collect();
    assert_eq!(own, ["outbound|80||a.default.svc.cluster.local"]);
    assert_eq!(
        seen[0].layers[0].of_kind(ResourceKind::Endpoints).count(),
        0
    );
    assert_eq!(seen[0].layers[0].of_kind(ResourceKind::Routes).count(), 0);
}

#[test]
fn routes_differ_where_what_is_hashed_does() {
    let hash = "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}";
    let seen = seen(&[("web", hash)], &["web", "other"]);
    assert_eq!(seen[0].layers[0].of_kind(ResourceKind::Routes).count(), 1);
    assert!(seen[1].layers[0].is_empty());
}

#[test]
fn without_rules_for_some_nobody_is_looked_at() {
    let everywhere = [("default", BOUND), ("istio-system", BOUND)];
    assert!(ViewInputs::from_mesh(&mesh(&everywhere), &ViewInputs::default()).is_nothing());
    let seen = seen(&everywhere, &["web", "default", "istio-system"]);
    for view in &seen {
        assert!(view.caller.is_none() && view.layers.iter().all(|layer| layer.is_empty()));
    }
}

#[test]
fn endpoints_are_near_for_those_alone_whose_rule_says_so() {
    let rule = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}";
    let seen = seen(&[("web", rule)], &["web", "other"]);
    assert!(seen[0].client.is_some() && seen[1].client.is_none());
}

#[test]
fn what_is_near_is_made_for_each_audience_alone() {
    let ejects = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}";
    let shares = "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu/a/*, to: {'eu/b/*': 100}}]}}}";
    let seen = seen(&[("web", ejects), ("bank", shares)], &["web", "bank"]);
    let client = |view: &ProxyView| view.client.as_ref().map(|(_, client)| client.clone());
    assert_eq!(client(&seen[0]), client(&seen[1]));
    let near = |view: &ProxyView| {
        let name = "outbound|80||a.default.svc.cluster.local";
        let found = view.layers[1].find(ResourceKind::Endpoints, name);
        Arc::clone(&found.unwrap().version)
    };
    assert_ne!(near(&seen[0]), near(&seen[1]));
}
