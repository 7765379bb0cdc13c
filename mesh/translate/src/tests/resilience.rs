//! Tests of Istio's defaults for outlier detection, limits, and retries on both sides.

use shakedown_xds::proto::cluster::Cluster;
use shakedown_xds::table::{RetryOn, RetryPolicy};

use super::*;

/// The cluster message under a traffic policy.
fn sent(policy: &str) -> Cluster {
    let text = rule(
        "a",
        &format!(
            "{{host: other, trafficPolicy: {{{}}}}}",
            super::policy::some(policy)
        ),
    );
    let name = outbound_cluster(80, "", "other.default.svc.cluster.local");
    message(&outbound(&mesh(&text)).clusters, &name)
}

fn number(value: &Option<shakedown_xds::proto::protobuf::UInt32Value>) -> Option<u32> {
    value.as_ref().map(|value| value.value)
}

#[test]
fn outlier_detection_is_sent_as_istio_sends_it() {
    let of = |text: &str| {
        sent(&format!("outlierDetection: {{{text}}}"))
            .outlier_detection
            .unwrap()
    };
    let empty = of("");
    assert_eq!(number(&empty.consecutive_5xx), None);
    assert_eq!(number(&empty.enforcing_consecutive_5xx), None);
    assert_eq!(number(&empty.enforcing_consecutive_gateway_failure), None);
    assert_eq!(number(&empty.max_ejection_percent), None);
    assert_eq!(number(&empty.enforcing_success_rate), Some(0), "always off");
    assert_eq!((empty.interval, empty.base_ejection_time), (None, None));
    assert_eq!(
        number(&of("maxEjectionPercent: 0").max_ejection_percent),
        None
    );
    assert_eq!(
        number(&of("maxEjectionPercent: 1").max_ejection_percent),
        Some(1)
    );
    for (value, enforcing) in [(0, 0), (1, 100), (7, 100)] {
        let errors = of(&format!("consecutive5xxErrors: {value}"));
        assert_eq!(number(&errors.consecutive_5xx), Some(value));
        assert_eq!(number(&errors.enforcing_consecutive_5xx), Some(enforcing));
        let errors = of(&format!("consecutiveGatewayErrors: {value}"));
        assert_eq!(number(&errors.consecutive_gateway_failure), Some(value));
        assert_eq!(
            number(&errors.enforcing_consecutive_gateway_failure),
            Some(enforcing)
        );
    }
    let times = of("interval: 1500ms, baseEjectionTime: 2m");
    let millis = |span: Option<shakedown_xds::proto::protobuf::Duration>| {
        span.map(|span| span.seconds * 1000 + i64::from(span.nanos) / 1_000_000)
    };
    assert_eq!(millis(times.interval), Some(1500));
    assert_eq!(millis(times.base_ejection_time), Some(120_000));
}

#[test]
fn local_origin_failures_are_enforced_only_if_counted_separately() {
    let of = |text: &str| {
        let sent = sent(&format!("outlierDetection: {{{text}}}")).outlier_detection;
        let sent = sent.unwrap();
        (
            sent.split_external_local_origin_errors,
            number(&sent.consecutive_local_origin_failure),
            number(&sent.enforcing_consecutive_local_origin_failure),
        )
    };
    assert_eq!(of("consecutiveLocalOriginFailures: 3"), (false, None, None));
    assert_eq!(
        of("splitExternalLocalOriginErrors: true"),
        (true, None, None)
    );
    assert_eq!(
        of("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0"),
        (true, None, None)
    );
    assert_eq!(
        of("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3"),
        (true, Some(3), Some(100))
    );
}

#[test]
fn limits_are_sent_as_the_greatest_numbers_with_what_remains_tracked() {
    let thresholds = sent("").circuit_breakers.unwrap().thresholds;
    assert_eq!(thresholds.len(), 1);
    let one = &thresholds[0];
    for limit in [
        &one.max_connections,
        &one.max_pending_requests,
        &one.max_requests,
        &one.max_retries,
    ] {
        assert_eq!(number(limit), Some(u32::MAX));
    }
    assert!(one.track_remaining);
}

#[test]
fn an_outbound_route_without_a_retry_policy_has_istios_two_retries() {
    let policy = super::super::retries::outbound(None, false).unwrap();
    let sent: Vec<&str> = policy.retry_on.split(',').collect();
    assert_eq!(
        sent,
        [
            "connect-failure",
            "refused-stream",
            "unavailable",
            "cancelled",
            "retriable-status-codes"
        ]
    );
    assert!(policy.retriable_status_codes.is_empty());
    assert_eq!(number(&policy.num_retries), Some(2));
    assert_eq!(policy.host_selection_retry_max_attempts, 5);
    let table = table(&mesh(MY_SERVICE));
    let RouteActionKind::Forward(action) = &table.find_host("other").unwrap().routes[0].action
    else {
        panic!("no way on")
    };
    let on = RetryOn::CONNECT_FAILURE
        .with(RetryOn::REFUSED_STREAM)
        .with(RetryOn::UNAVAILABLE)
        .with(RetryOn::CANCELLED)
        .with(RetryOn::RETRIABLE_STATUS_CODES);
    assert_eq!(action.retry.as_ref().unwrap().on, on);
}

#[test]
fn an_inbound_route_is_tried_again_twice_before_anything_was_sent() {
    let mut registry = Registry::new();
    let mut service = Service::new("my-service", "default", vec![Port::http(9080)]);
    service
        .endpoints
        .push(endpoint("127.1.0.1:9080", "v1", "b", true));
    registry.insert(service);
    let pod = registry.pod("127.1.0.1".parse().unwrap());
    let own = own(&pod, &InboundPolicy::default());
    let listener = compile_listener(&message(&own.listeners, "127.1.0.1_9080")).unwrap();
    let shakedown_xds::table::Routes::Inline(routes) = &listener.routes else {
        panic!("routes of its own")
    };
    let RouteActionKind::Forward(action) = &routes.hosts()[0].routes[0].action else {
        panic!("a way on")
    };
    let retry: &RetryPolicy = action.retry.as_ref().unwrap();
    assert_eq!((retry.on, retry.times), (RetryOn::RESET_BEFORE_REQUEST, 2));
    assert_eq!((retry.avoid_previous_hosts, action.timeout), (false, None));
}

#[test]
fn numeric_retry_conditions_are_status_codes_and_enable_retriable_status_codes() {
    let of = |text: &str| shakedown_istio::parse_retry_on(text);
    let names = |all: &[&str]| {
        all.iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("5xx"), (names(&["5xx"]), vec![]));
    assert_eq!(
        of("503, 5xx ,429"),
        (names(&["5xx", "retriable-status-codes"]), vec![503, 429])
    );
    assert_eq!(
        of("retriable-status-codes,503"),
        (names(&["retriable-status-codes"]), vec![503])
    );
    assert_eq!(of("418"), (names(&["retriable-status-codes"]), vec![418]));
}

#[test]
fn a_retry_without_a_per_try_timeout_has_none() {
    let policy = |text: &str| {
        let written: shakedown_istio::HttpRetry =
            shakedown_yaml::decode::decode(&parse("a.yaml", text).unwrap()[0]).unwrap();
        let policy = crate::retries::outbound(Some(&written), false).unwrap();
        policy.per_try_timeout.map(|timeout| timeout.seconds)
    };
    assert_eq!(policy("{attempts: 3}"), None);
    assert_eq!(policy("{attempts: 3, perTryTimeout: 2s}"), Some(2));
}
