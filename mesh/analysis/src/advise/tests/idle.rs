//! Tests of settings without an effect.

use super::*;

fn route(more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec: {{hosts: [reviews], http: \
         [{{{more}, route: [{{destination: {{host: reviews}}}}]}}]}}\n"
    )
}

fn rule(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: reviews, {spec}}}\n"
    )
}

/// The warnings of a document in a mesh where `reviews` has `endpoints` endpoints.
fn warnings(text: &str, endpoints: u8) -> String {
    let mut service = Service::new("reviews", "default", vec![Port::http(9080)]);
    service.endpoints = (1..=endpoints)
        .map(|last| Endpoint {
            address: (std::net::Ipv4Addr::new(127, 1, 0, last), 9080).into(),
            labels: [("version".into(), if last == 1 { "v1" } else { "v2" }.into())].into(),
            locality: Locality::default(),
            ready: true,
            workload: "reviews".into(),
        })
        .collect();
    let mut registry = Registry::new();
    registry.insert(service);
    let mesh = with_documents(registry, text);
    advise(&mesh).to_string()
}

#[test]
fn a_share_of_copies_without_a_mirror_is_a_warning() {
    let text = route("mirrorPercentage: {value: 5}");
    assert!(warnings(&text, 1).contains("`mirrorPercentage` has no effect without `mirror`"));
    let with = route("mirror: {host: reviews}, mirrorPercentage: {value: 5}");
    assert_eq!(warnings(&with, 1), "");
}

#[test]
fn outlier_detection_that_never_ejects_is_a_warning() {
    let detection = |percent: &str| {
        rule(&format!(
            "trafficPolicy: {{outlierDetection: {{interval: 1s{percent}}}}}"
        ))
    };
    for (percent, endpoints, least) in [
        (", maxEjectionPercent: 50", 1, 100),
        (", maxEjectionPercent: 99", 1, 100),
        (", maxEjectionPercent: 33", 3, 34),
        (", maxEjectionPercent: 0", 9, 12),
        ("", 9, 12),
    ] {
        let found = warnings(&detection(percent), endpoints);
        let wanted = format!("expected at least {least}");
        assert!(
            found.contains("outlier detection never ejects") && found.contains(&wanted),
            "{percent} {endpoints}: {found}"
        );
    }
    for (percent, endpoints) in [
        (", maxEjectionPercent: 100", 1),
        (", maxEjectionPercent: 50", 2),
        (", maxEjectionPercent: 34", 3),
        ("", 10),
        (", maxEjectionPercent: 50", 0),
    ] {
        assert_eq!(
            warnings(&detection(percent), endpoints),
            "",
            "{percent} {endpoints}"
        );
    }
}

#[test]
fn a_subset_with_too_few_endpoints_to_eject_is_a_warning() {
    let text = rule(
        "trafficPolicy: {outlierDetection: {maxEjectionPercent: 50}}, subsets: [{name: v1, labels: {version: v1}}, \
         {name: v2, labels: {version: v2}}]",
    );
    let found = warnings(&text, 4);
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(
        found.contains("one of the 1 endpoints of subset `v1` of `reviews`"),
        "{found}"
    );
}
