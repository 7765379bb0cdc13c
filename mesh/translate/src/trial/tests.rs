//! Tests of the errors that only proxies would find, with their positions. The documents here are not validated
//! first, because fields that validation covers have errors of their own.

use super::*;
use crate::tests::documents;

fn found(text: &str) -> Vec<String> {
    let mesh = Mesh {
        documents: documents(text),
        ..Mesh::default()
    };
    let refused = refused(&mesh, None);
    let words = |refusal: &ProxyRefusal<'_>| {
        format!(
            "{} {}: {}",
            refusal.place,
            refusal.document.key(),
            refusal.problem
        )
    };
    refused.iter().map(words).collect()
}

fn virtual_service(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v}}\nspec:\n  hosts: [r]\n  http:\n{http}"
    )
}

const TO: &str = "route: [{destination: {host: r}}]";

#[test]
fn routes_rejected_by_proxies_are_located_at_their_condition_for_any_caller() {
    let http = format!(
        "  - match: [{{uri: {{prefix: /}}}}]\n    {TO}\n  - match:\n    - {{sourceLabels: {{app: other}}, port: 81, uri: {{regex: '('}}}}\n    {TO}\n"
    );
    let found = found(&virtual_service(&http));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("a.yaml:10:7 VirtualService/v: `match.safe_regex.regex`: "),
        "{found:?}"
    );
}

#[test]
fn a_policy_that_no_proxy_takes_is_found_at_its_subset() {
    let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\nspec:\n  host: r\n  subsets:\n  \
                - {name: good}\n  - {name: bad, trafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}}\n";
    let found = found(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("a.yaml:8:5 DestinationRule/d: `outlier_detection."),
        "{found:?}"
    );
}

#[test]
fn good_documents_are_taken_with_services_that_they_name() {
    let text = virtual_service(&format!("  - {{{TO}}}\n")).replace(
        "hosts: [r]",
        "hosts: [r, r.default, r.default.svc, r.default.svc.cluster.local, '*.default']",
    );
    assert_eq!(found(&text), [""; 0]);
}

#[test]
fn of_a_change_what_its_services_share_with_others_is_tried_too() {
    let root = virtual_service(&format!("  - delegate: {{name: part}}\n  - {{{TO}}}\n"));
    let part = virtual_service(&format!("  - match: [{{uri: {{prefix: /a}}}}]\n    {TO}\n"))
        .replace("{name: v}", "{name: part}")
        .replace("  hosts: [r]\n", "");
    let other = virtual_service(&format!("  - {{{TO}}}\n"))
        .replace("{name: v}", "{name: other}")
        .replace("host: r}", "host: q}")
        .replace("[r]", "[q]");
    let mut mesh = Mesh {
        documents: documents(&format!("{root}---\n{part}---\n{other}")),
        ..Mesh::default()
    };
    for name in ["r", "q"] {
        mesh.registry
            .insert(Service::new(name, "default", vec![Port::http(80)]));
    }
    let touched = |at: usize| {
        let part = part::touched(&mesh, &BTreeSet::from([mesh.documents[at].key()]));
        let services: Vec<String> = part
            .registry
            .services
            .values()
            .map(|service| service.name.clone())
            .collect();
        let documents: Vec<String> = part
            .documents
            .iter()
            .map(|document| document.meta().name.clone())
            .collect();
        (services, documents)
    };
    let of_r = (
        vec!["r".to_owned()],
        vec!["v".to_owned(), "part".to_owned()],
    );
    assert_eq!(touched(0), of_r);
    assert_eq!(touched(1), of_r, "its root is tried with it");
    assert_eq!(touched(2).0, ["q"]);
}

/// Measures the time of one validation by the number of services:
/// `cargo test -p shakedown-translate --lib cost_of -- --ignored --nocapture`.
#[test]
#[ignore = "prints times, and holds nothing"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn cost_of_a_validation() {
    use shakedown_istio::registry::{Endpoint, Locality};
    for count in [100_u16, 300, 1000] {
        let mut text = String::new();
        for number in 0..count {
            text.push_str(&format!(
                "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s{number}}}\nspec: {{hosts: \
                 [s{number}], http: [{{match: [{{uri: {{prefix: /a}}}}], route: [{{destination: {{host: s{number}, subset: v1}}}}]}}, \
                 {{route: [{{destination: {{host: s{number}}}}}]}}]}}\n---\napiVersion: networking.istio.io/v1\nkind: \
                 DestinationRule\nmetadata: {{name: s{number}}}\nspec: {{host: s{number}, subsets: [{{name: v1, labels: {{version: \
                 v1}}}}]}}\n"
            ));
        }
        let mut mesh = Mesh {
            documents: documents(&text),
            ..Mesh::default()
        };
        for number in 0..count {
            let mut service = Service::new(&format!("s{number}"), "default", vec![Port::http(80)]);
            for pod in 0..3_u8 {
                let [high, low] = number.to_be_bytes();
                service.endpoints.push(Endpoint {
                    address: (IpAddr::from([10, high, low, pod]), 80).into(),
                    labels: [("version".to_owned(), "v1".to_owned())].into(),
                    locality: Locality::default(),
                    ready: true,
                    workload: "v1".into(),
                });
            }
            mesh.registry.insert(service);
        }
        let begun = std::time::Instant::now();
        assert_eq!(refused(&mesh, None).len(), 0);
        let all = begun.elapsed();
        let begun = std::time::Instant::now();
        let changed = BTreeSet::from([mesh.documents[0].key()]);
        assert_eq!(refused(&mesh, Some(&changed)).len(), 0);
        let one = begun.elapsed();
        println!("{count} services: {all:?} in all, {one:?} of one document");
    }
}
