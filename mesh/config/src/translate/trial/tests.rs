//! What proxies would refuse, at the line behind it. The documents here have passed no validation: a field that validation
//! knows has an error of its own.

use super::*;
use crate::tree::parse;

fn found(text: &str) -> Vec<String> {
    let documents = parse("a.yaml", text).unwrap();
    let mesh = Mesh {
        documents: documents
            .iter()
            .map(|node| Document::read(node).unwrap())
            .collect(),
        ..Mesh::default()
    };
    let refused = refused(&mesh);
    let words = |it: &Refused<'_>| format!("{} {}: {}", it.place, it.document.key(), it.problem);
    refused.iter().map(words).collect()
}

fn virtual_service(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v}}\nspec:\n  hosts: [r]\n  http:\n{http}"
    )
}

const TO: &str = "route: [{destination: {host: r}}]";

#[test]
fn a_route_that_no_proxy_takes_is_found_at_its_condition_for_whichever_caller() {
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
