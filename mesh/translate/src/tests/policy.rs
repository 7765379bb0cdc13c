//! Tests of the translation of DestinationRules to clusters.

use super::*;

#[test]
fn a_subsets_policy_replaces_the_services_part_by_part() {
    let text = rule("a", "{host: other, trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {connectTimeout: 3s}}},
        subsets: [{name: s, trafficPolicy: {connectionPool: {http: {idleTimeout: 5s, maxRequestsPerConnection: 9}}}}]}");
    let outbound = outbound(&mesh(&text));
    let cluster = |subset: &str| {
        compile_cluster(&message(
            &outbound.clusters,
            &outbound_cluster(80, subset, "other.default.svc.cluster.local"),
        ))
        .unwrap()
    };
    let (whole, part) = (cluster(""), cluster("s"));
    assert_eq!(whole.lb, shakedown_xds::table::LbPolicy::Random);
    assert_eq!(part.lb, whole.lb);
    assert_eq!(
        (
            whole.connect_timeout.as_secs(),
            part.connect_timeout.as_secs()
        ),
        (3, 10)
    );
    assert_eq!(
        (whole.idle_timeout, part.idle_timeout),
        (
            Some(Duration::from_secs(3600)),
            Some(Duration::from_secs(5))
        )
    );
    assert_eq!(
        (
            whole.max_requests_per_connection,
            part.max_requests_per_connection
        ),
        (None, Some(9))
    );
}

#[test]
fn subsets_of_two_rules_for_a_host_merge() {
    let text = rule("a", "{host: other, subsets: [{name: x}]}")
        + "---\n"
        + &rule("b", "{host: other, subsets: [{name: y}]}");
    let names: Vec<String> = outbound(&mesh(&text))
        .clusters
        .into_iter()
        .map(|resource| resource.name)
        .collect();
    for subset in ["x", "y"] {
        assert!(
            names.contains(&outbound_cluster(
                80,
                subset,
                "other.default.svc.cluster.local"
            )),
            "{subset}"
        );
    }
}

#[test]
fn a_rule_for_a_wildcard_holds_where_no_nearer_one_does() {
    let text = rule(
        "a",
        "{host: '*.default.svc.cluster.local', trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
    ) + "---\n"
        + &rule(
            "b",
            "{host: other, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}",
        );
    let outbound = outbound(&mesh(&text));
    let lb = |host: &str| {
        compile_cluster(&message(
            &outbound.clusters,
            &outbound_cluster(80, "", host),
        ))
        .unwrap()
        .lb
    };
    assert_eq!(
        lb("other.default.svc.cluster.local"),
        shakedown_xds::table::LbPolicy::ROUND_ROBIN
    );
    assert_eq!(
        lb("twin.default.svc.cluster.local"),
        shakedown_xds::table::LbPolicy::Random
    );
    assert_eq!(
        lb("twin.shop.svc.cluster.local"),
        shakedown_xds::table::LbPolicy::LEAST_REQUEST
    );
}

/// A policy in YAML. Istio refuses an empty policy, so an empty one names the default balancer.
pub(super) fn some(policy: &str) -> &str {
    if policy.is_empty() {
        "loadBalancer: {}"
    } else {
        policy
    }
}

/// The compiled cluster of `other` under a `trafficPolicy`.
fn under_policy(policy: &str) -> shakedown_xds::table::Cluster {
    let text = rule(
        "a",
        &format!("{{host: other, trafficPolicy: {{{}}}}}", some(policy)),
    );
    let outbound = outbound(&mesh(&text));
    let name = outbound_cluster(80, "", "other.default.svc.cluster.local");
    compile_cluster(&message(&outbound.clusters, &name)).unwrap()
}

#[test]
fn a_connection_pool_sets_limits_and_what_it_leaves_out_never_bites() {
    use shakedown_xds::table::Limits;

    assert_eq!(under_policy("").limits.default, Limits::UNLIMITED);
    let set = under_policy(
        "connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s, maxConnectionDuration: 60s, idleTimeout: 9s},
          http: {http1MaxPendingRequests: 8, http2MaxRequests: 9, maxRetries: 1}}",
    );
    let limits = Limits {
        connections: 7,
        pending: 8,
        requests: 9,
        retries: 1,
        retry_budget: None,
    };
    assert_eq!(set.limits.default, limits);
    assert_eq!(
        set.limits.high,
        Limits::ENVOY,
        "Istio says nothing of high priority"
    );
    assert_eq!(set.connect_timeout.as_secs(), 2);
    assert_eq!(set.max_connection_duration, Some(Duration::from_secs(60)));
    assert_eq!(set.idle_timeout, Some(Duration::from_secs(9)));
    let zero = under_policy("connectionPool: {tcp: {maxConnections: 0}, http: {maxRetries: 0}}");
    assert_eq!(
        zero.limits.default,
        Limits::UNLIMITED,
        "0 is taken as not written"
    );
    let both = under_policy("connectionPool: {tcp: {idleTimeout: 9s}, http: {idleTimeout: 3s}}");
    assert_eq!(both.idle_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn h2_upgrade_policy_selects_http2_and_only_then_bounds_concurrent_streams() {
    use shakedown_xds::table::UpstreamProtocol;

    let of = |text: &str| under_policy(&format!("connectionPool: {{http: {{{text}}}}}")).protocol;
    let http2 = |max_concurrent_streams| UpstreamProtocol::Http2 {
        max_concurrent_streams,
    };
    assert_eq!(
        of("h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 7"),
        http2(7)
    );
    let envoys = UpstreamProtocol::MAX_CONCURRENT_STREAMS;
    assert_eq!(of("h2UpgradePolicy: UPGRADE"), http2(envoys));
    assert_eq!(
        of("h2UpgradePolicy: DO_NOT_UPGRADE"),
        UpstreamProtocol::Http1
    );
    assert_eq!(of("maxConcurrentStreams: 7"), UpstreamProtocol::Http1);
}

#[test]
fn a_retry_budget_without_percent_has_istios_default_of_2000_ppm() {
    let budget = |text: &str| under_policy(text).limits.default.retry_budget.unwrap();
    let default = budget("retryBudget: {}");
    assert_eq!((default.share_ppm, default.min_concurrency), (2_000, 3));
    let set = budget("retryBudget: {percent: 25.5, minRetryConcurrency: 9}");
    assert_eq!((set.share_ppm, set.min_concurrency), (255_000, 9));
}

#[test]
fn outlier_detection_becomes_what_istio_makes_of_it() {
    let of = |text: &str| {
        let cluster = under_policy(&format!("outlierDetection: {{{text}}}"));
        assert_eq!(cluster.update_merge_window, Duration::from_secs(1));
        (*cluster.outlier.unwrap(), cluster.lb_options.panic_percent)
    };
    let (empty, panic) = of("");
    assert_eq!(
        (empty.consecutive_5xx, empty.enforcing.consecutive_5xx),
        (5, 100)
    );
    assert_eq!(empty.enforcing.consecutive_gateway_failure, 0);
    assert_eq!(empty.enforcing.success_rate, 0, "always off");
    assert_eq!(
        (empty.interval.as_secs(), empty.base_ejection_time.as_secs()),
        (10, 30)
    );
    assert_eq!((empty.max_ejection_percent, panic), (10, 0));
    let (set, panic) = of(
        "consecutive5xxErrors: 7, consecutiveGatewayErrors: 3, interval: 5s, baseEjectionTime: 400s, maxEjectionPercent: 50,
          minHealthPercent: 30",
    );
    assert_eq!(
        (set.consecutive_5xx, set.enforcing.consecutive_5xx),
        (7, 100)
    );
    let gateway = (
        set.consecutive_gateway_failure,
        set.enforcing.consecutive_gateway_failure,
    );
    assert_eq!(gateway, (3, 100));
    assert_eq!(
        set.max_ejection_time, set.base_ejection_time,
        "longer than 300 s"
    );
    assert_eq!((set.max_ejection_percent, panic), (50, 30));
    let (off, _) = of("consecutive5xxErrors: 0, consecutiveGatewayErrors: 0");
    let enforcing = off.enforcing;
    assert_eq!(
        (
            enforcing.consecutive_5xx,
            enforcing.consecutive_gateway_failure
        ),
        (0, 0)
    );
    let (split, _) = of("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2");
    assert!(split.split_local_origin);
    assert_eq!(split.consecutive_local_origin_failure, 2);
    assert_eq!(split.enforcing.success_rate_local_origin, 0);
}

#[test]
fn without_outlier_detection_there_is_none_and_the_panic_threshold_is_envoys() {
    let plain = under_policy("");
    assert_eq!((plain.outlier, plain.lb_options.panic_percent), (None, 50));
}

#[test]
fn an_ejection_delay_of_the_mesh_is_sent_as_the_merge_window() {
    let mut mesh = mesh(&rule(
        "a",
        "{host: other, trafficPolicy: {outlierDetection: {}}}",
    ));
    mesh.options.ejection_delay = Duration::ZERO;
    let outbound = outbound(&mesh);
    let name = outbound_cluster(80, "", "other.default.svc.cluster.local");
    let cluster = compile_cluster(&message(&outbound.clusters, &name)).unwrap();
    assert_eq!(cluster.update_merge_window, Duration::ZERO);
}

#[test]
fn what_a_traffic_policy_cannot_mean_is_told() {
    let invalid = |policy: &str| {
        let text = rule(
            "a",
            &format!("{{host: other, trafficPolicy: {{{policy}}}}}"),
        );
        crate::validate(&mesh(&text)).to_string()
    };
    let wrong =
        invalid("outlierDetection: {maxEjectionPercent: 101, consecutiveLocalOriginFailures: 2}");
    assert!(
        wrong.contains("`maxEjectionPercent` is 101: expected 0 to 100"),
        "{wrong}"
    );
    assert!(
        wrong.contains("has no effect without `splitExternalLocalOriginErrors: true`"),
        "{wrong}"
    );
    assert_eq!(invalid("outlierDetection: {maxEjectionPercent: 100}"), "");
}
