//! Tests of cluster policies, and of notes about policies without an effect.

use super::*;

/// The policies of the cluster for a plain request to `reviews`.
fn policies(spec: &str) -> ClusterPolicies {
    ask(&rule(spec), "/").policies.cluster.unwrap()
}

#[test]
fn every_policy_of_a_connection_is_explained() {
    let found = policies(
        "trafficPolicy: {connectionPool: {tcp: {idleTimeout: 9s, maxConnectionDuration: 60s}, http: {idleTimeout: 7s, \
         maxRequestsPerConnection: 5, h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 11}}}",
    );
    assert_eq!(found.idle_timeout_ms, Some(7000));
    assert_eq!(found.max_connection_duration_ms, Some(60_000));
    assert_eq!(found.max_requests_per_connection, Some(5));
    assert_eq!(
        (found.protocol, found.max_concurrent_streams),
        ("HTTP/2", Some(11))
    );
    let of_tcp = policies("trafficPolicy: {connectionPool: {tcp: {idleTimeout: 9s}}}");
    assert_eq!(of_tcp.idle_timeout_ms, Some(9000));
}

#[test]
fn every_policy_of_outlier_detection_is_explained() {
    let found = policies(
        "trafficPolicy: {outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4, \
         interval: 3s, minHealthPercent: 20, maxEjectionPercent: 100}}",
    );
    assert_eq!(found.min_health_percent, 20);
    let outlier = found.outlier_detection.unwrap();
    assert!(outlier.split_local_origin);
    assert_eq!(outlier.consecutive_local_origin_failures, Some(4));
    assert_eq!(outlier.interval_ms, 3000);
}

#[test]
fn slow_start_and_locality_are_explained() {
    let found = policies(
        "trafficPolicy: {loadBalancer: {warmup: {duration: 30s, aggression: 2, minimumPercent: 15}, \
         localityLbSetting: {distribute: [{from: '*', to: {local: 100}}]}}}",
    );
    let slow = found.slow_start.unwrap();
    assert_eq!(
        (
            slow.window_ms,
            slow.aggression.as_str(),
            slow.min_weight_percent.as_str()
        ),
        (30_000, "2", "15")
    );
    assert_eq!(found.locality, Some("distribute"));
    let mut mesh = mesh(&rule(
        "trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}",
    ));
    let full = shakedown_istio::registry::Hostname::new("reviews.default.svc.cluster.local");
    let service = mesh.registry.services.get_mut(&full).unwrap();
    service.endpoints[1].locality.zone = "b".into();
    let request = ExplainedRequest::parse("http://reviews:9080/", [""; 0]).unwrap();
    let near = SenderWorkload::at(&mesh.registry, "10.0.0.1".parse().unwrap());
    let found = explain(&mesh, &near, &request).unwrap();
    assert_eq!(found.policies.cluster.unwrap().locality, Some("failover"));
}

#[test]
fn a_note_says_that_outlier_detection_never_ejects() {
    let note = |percent: u32| {
        let spec =
            format!("trafficPolicy: {{outlierDetection: {{maxEjectionPercent: {percent}}}}}");
        let found = ask(&rule(&spec), "/");
        found
            .notes
            .iter()
            .any(|note| note.text.contains("never ejects an endpoint"))
    };
    assert!(note(49));
    assert!(!note(50));
}

#[test]
fn a_header_is_matched_whatever_the_case_of_its_name() {
    let text = routes(&[
        "match: [{headers: {X-User: {exact: jason}}}], route: [{destination: {host: ratings}}]",
        "route: [{destination: {host: reviews}}]",
    ]);
    let found = explain_request(&text, "GET http://reviews:9080/", &["x-user: jason"]);
    assert!(found.cluster.unwrap().contains("ratings"));
}
