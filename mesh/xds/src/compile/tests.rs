mod endpoints;
mod fields;
mod manager;
mod outlier;
mod protocol;
mod retries;
mod routing;
mod tls;

use proptest::prelude::*;

use super::*;
use crate::proto::cluster::cluster as inner;
use crate::proto::core;
use crate::proto::{cluster, endpoint, listener, protobuf, route};

fn eds() -> cluster::Cluster {
    let ads = core::config_source::ConfigSourceSpecifier::Ads(Default::default());
    let source = core::ConfigSource {
        config_source_specifier: Some(ads),
        ..Default::default()
    };
    cluster::Cluster {
        name: "c".into(),
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(inner::EdsClusterConfig {
            eds_config: Some(source),
            service_name: String::new(),
        }),
        ..Default::default()
    }
}

fn cluster_error(change: impl FnOnce(&mut cluster::Cluster)) -> String {
    let mut message = eds();
    change(&mut message);
    compile_cluster(&message).unwrap_err().to_string()
}

#[test]
fn a_cluster_without_a_word_has_envoys_defaults() {
    let compiled = compile_cluster(&eds()).unwrap();
    assert_eq!(compiled.connect_timeout.as_secs(), 5);
    assert_eq!(compiled.idle_timeout.unwrap().as_secs(), 3600);
    assert_eq!(compiled.limits, crate::table::PriorityLimits::ENVOY);
    assert_eq!(compiled.lb, crate::table::LbPolicy::ROUND_ROBIN);
    assert_eq!(compiled.kind, crate::table::ClusterKind::Eds("c".into()));
}

#[test]
fn a_connect_timeout_of_zero_is_refused_with_envoys_reason() {
    let zero = |message: &mut cluster::Cluster| {
        message.connect_timeout = Some(crate::proto::duration(std::time::Duration::ZERO));
    };
    assert_eq!(
        cluster_error(zero),
        "Cluster c: connect_timeout: value must be greater than 0s"
    );
}

#[test]
fn what_a_cluster_cannot_do_is_refused_by_path() {
    assert_eq!(
        cluster_error(|message| message.lb_policy = inner::LbPolicy::ClusterProvided.into()),
        "Cluster c: lb_policy: not supported yet: CLUSTER_PROVIDED; expected LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH \
         or MAGLEV"
    );
    assert_eq!(
        cluster_error(|message| {
            let kind = inner::DiscoveryType::StrictDns;
            message.cluster_discovery_type = Some(inner::ClusterDiscoveryType::Type(kind.into()));
            message.eds_cluster_config = None;
        }),
        "Cluster c: type: not supported yet: STRICT_DNS; expected EDS, STATIC or ORIGINAL_DST"
    );
    assert_eq!(
        cluster_error(
            |message| message.connect_timeout = Some(protobuf::Duration {
                seconds: -1,
                nanos: 0
            })
        ),
        "Cluster c: connect_timeout: expected a duration of 0 or more"
    );
}

fn limits_of(thresholds: Vec<cluster::circuit_breakers::Thresholds>) -> cluster::Cluster {
    let mut message = eds();
    message.circuit_breakers = Some(cluster::CircuitBreakers {
        thresholds,
        ..Default::default()
    });
    message
}

fn number(value: u32) -> Option<protobuf::UInt32Value> {
    Some(protobuf::UInt32Value { value })
}

#[test]
fn thresholds_hold_for_their_priority_and_the_first_of_each_counts() {
    use cluster::circuit_breakers::Thresholds;
    let threshold = |priority: core::RoutingPriority, requests| Thresholds {
        priority: priority.into(),
        max_requests: number(requests),
        ..Default::default()
    };
    let high = core::RoutingPriority::High;
    let compiled = compile_cluster(&limits_of(vec![threshold(high, 7), threshold(high, 8)]));
    let limits = compiled.unwrap().limits;
    assert_eq!((limits.high.requests, limits.high.connections), (7, 1024));
    assert_eq!(limits.default, crate::table::Limits::ENVOY);
}

#[test]
fn a_retry_budget_has_envoys_defaults_once_it_says_anything() {
    use cluster::circuit_breakers::{Thresholds, thresholds::RetryBudget};
    let budget = |budget: RetryBudget| {
        let message = limits_of(vec![Thresholds {
            retry_budget: Some(budget),
            ..Default::default()
        }]);
        compile_cluster(&message)
            .map(|cluster| cluster.limits.default.retry_budget)
            .map_err(|error| error.to_string())
    };
    assert_eq!(budget(RetryBudget::default()), Ok(None));
    let least = budget(RetryBudget {
        min_retry_concurrency: number(9),
        ..Default::default()
    });
    let least = least.unwrap().unwrap();
    assert_eq!((least.share_ppm, least.min_concurrency), (200_000, 9));
    let percent = |value| RetryBudget {
        budget_percent: Some(crate::proto::percent::Percent { value }),
        ..Default::default()
    };
    assert_eq!(budget(percent(12.5)).unwrap().unwrap().share_ppm, 125_000);
    assert_eq!(
        budget(percent(101.0)).unwrap_err(),
        "Cluster c: circuit_breakers.thresholds[0].retry_budget.budget_percent: expected 0 to 100, found 101"
    );
}

#[test]
fn an_empty_outlier_detection_has_envoys_defaults_and_invalid_settings_are_rejected() {
    let compiled = |outlier: cluster::OutlierDetection| {
        let mut message = eds();
        message.outlier_detection = Some(outlier);
        compile_cluster(&message)
            .map(|cluster| *cluster.outlier.unwrap())
            .map_err(|error| error.to_string())
    };
    let envoy = crate::table::OutlierDetection::default();
    assert_eq!(compiled(cluster::OutlierDetection::default()), Ok(envoy));
    let span = |seconds| Some(protobuf::Duration { seconds, nanos: 0 });
    let refused = |outlier| compiled(outlier).unwrap_err();
    assert_eq!(
        refused(cluster::OutlierDetection {
            max_ejection_time: span(1),
            ..Default::default()
        }),
        "Cluster c: outlier_detection.max_ejection_time: expected at least `base_ejection_time`"
    );
    assert_eq!(
        refused(cluster::OutlierDetection {
            interval: span(0),
            ..Default::default()
        }),
        "Cluster c: outlier_detection.interval: expected 1 ms or more"
    );
    assert_eq!(
        refused(cluster::OutlierDetection {
            enforcing_success_rate: number(101),
            ..Default::default()
        }),
        "Cluster c: outlier_detection.enforcing_success_rate: expected 0 to 100, found 101"
    );
}

fn endpoints(addresses: &[(&str, u32)]) -> endpoint::ClusterLoadAssignment {
    let one = |(address, port): &(&str, u32)| {
        let socket = core::SocketAddress {
            address: (*address).into(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(*port)),
            ..Default::default()
        };
        let address = core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        };
        let endpoint = endpoint::Endpoint {
            address: Some(address),
            ..Default::default()
        };
        endpoint::LbEndpoint {
            host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
            ..Default::default()
        }
    };
    let lb_endpoints = addresses.iter().map(one).collect();
    endpoint::ClusterLoadAssignment {
        cluster_name: "c".into(),
        endpoints: vec![endpoint::LocalityLbEndpoints {
            lb_endpoints,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn to_cluster() -> route::RouteAction {
    let cluster = route::route_action::ClusterSpecifier::Cluster("c".into());
    route::RouteAction {
        cluster_specifier: Some(cluster),
        ..Default::default()
    }
}

fn routes(action: route::RouteAction) -> route::RouteConfiguration {
    let any = route::route_match::PathSpecifier::Prefix("/".into());
    let one = route::Route {
        r#match: Some(route::RouteMatch {
            path_specifier: Some(any),
            ..Default::default()
        }),
        action: Some(route::route::Action::Route(action)),
        ..Default::default()
    };
    let host = route::VirtualHost {
        name: "h".into(),
        domains: vec!["*".into()],
        routes: vec![one],
        ..Default::default()
    };
    route::RouteConfiguration {
        name: "r".into(),
        virtual_hosts: vec![host],
        ..Default::default()
    }
}

fn routes_error(message: &route::RouteConfiguration) -> String {
    compile_routes(message).unwrap_err().to_string()
}

#[test]
fn a_route_timeout_defaults_to_envoys_15_s_and_zero_disables_it() {
    let timeout = |value: Option<protobuf::Duration>| {
        let table = compile_routes(&routes(route::RouteAction {
            timeout: value,
            ..to_cluster()
        }))
        .unwrap();
        match &table.hosts()[0].routes[0].action {
            crate::table::RouteActionKind::Forward(action) => {
                action.timeout.map(|timeout| timeout.as_millis())
            }
            _ => panic!("no way on"),
        }
    };
    assert_eq!(timeout(None), Some(15_000));
    assert_eq!(
        timeout(Some(protobuf::Duration {
            seconds: 0,
            nanos: 0
        })),
        None
    );
    assert_eq!(
        timeout(Some(protobuf::Duration {
            seconds: 0,
            nanos: 5_000_000
        })),
        Some(5)
    );
}

#[test]
fn what_a_route_cannot_do_is_refused_by_path() {
    assert_eq!(
        routes_error(&routes(route::RouteAction {
            append_x_forwarded_host: true,
            ..to_cluster()
        })),
        "RouteConfiguration r: virtual_hosts[0].routes[0].route.append_x_forwarded_host: not supported yet: must not be set"
    );
    let retry = route::RetryPolicy {
        retry_on: "5xx,rset".into(),
        ..Default::default()
    };
    assert_eq!(
        routes_error(&routes(route::RouteAction {
            retry_policy: Some(retry),
            ..to_cluster()
        })),
        "RouteConfiguration r: virtual_hosts[0].routes[0].route.retry_policy.retry_on: unknown `rset`: did you mean `reset`?"
    );
    let mut message = routes(to_cluster());
    message.virtual_hosts[0].domains = vec!["a".into(), "a.*.c".into()];
    assert_eq!(
        routes_error(&message),
        "RouteConfiguration r: virtual_hosts[0].domains[1]: expected a name, `*suffix`, `prefix*` or `*`, found `a.*.c`"
    );
    let mut message = routes(to_cluster());
    message.virtual_hosts.push(message.virtual_hosts[0].clone());
    assert_eq!(
        routes_error(&message),
        "RouteConfiguration r: virtual_hosts: duplicate domain `*`"
    );
}

#[test]
fn a_request_may_name_its_cluster() {
    use route::route_action::ClusterSpecifier;

    let of = |name: &str| {
        compile_routes(&routes(route::RouteAction {
            cluster_specifier: Some(ClusterSpecifier::ClusterHeader(name.into())),
            ..Default::default()
        }))
    };
    let table = of("X-Cluster").unwrap();
    let target = &table.hosts()[0].routes[0].forward().unwrap().targets()[0];
    let mut headers = http::HeaderMap::new();
    assert_eq!((&*target.cluster, target.named(&headers)), ("", None));
    headers.append("x-cluster", "one".parse().unwrap());
    headers.append("x-cluster", "two".parse().unwrap());
    assert_eq!(target.named(&headers), Some("one"));
    let error = of(":path").unwrap_err().to_string();
    assert!(
        error.ends_with("cluster_header: not supported yet: `:path`"),
        "{error}"
    );
}

#[test]
fn a_selector_may_fall_back_to_fewer_of_its_keys_alone() {
    use cluster::cluster::lb_subset_config::{
        LbSubsetSelector, lb_subset_selector::LbSubsetSelectorFallbackPolicy::KeysSubset,
    };

    let error = |keys: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let selector = LbSubsetSelector {
            keys: names(&["stage", "version"]),
            fallback_policy: KeysSubset.into(),
            fallback_keys_subset: names(keys),
            ..Default::default()
        };
        let message = cluster::Cluster {
            name: "c".into(),
            lb_subset_config: Some(cluster::cluster::LbSubsetConfig {
                subset_selectors: vec![selector],
                ..Default::default()
            }),
            ..Default::default()
        };
        let compiled = compile_cluster(&message);
        compiled.map_or_else(|error| error.to_string(), |_| String::new())
    };
    assert_eq!(error(&["version"]), "");
    for (keys, expected) in [
        (&[][..], "expected at least one, found none"),
        (&["colour"], "expected a subset of `keys`"),
        (&["stage", "version"], "expected a proper subset of `keys`"),
    ] {
        let found = error(keys);
        let at = "lb_subset_config.subset_selectors[0].fallback_keys_subset";
        assert!(found.ends_with(&format!("{at}: {expected}")), "{found}");
    }
}

#[test]
fn weights_that_sum_to_zero_are_refused() {
    let share = route::weighted_cluster::ClusterWeight {
        name: "c".into(),
        weight: Some(protobuf::UInt32Value { value: 0 }),
        ..Default::default()
    };
    let weighted = route::WeightedCluster {
        clusters: vec![share],
        ..Default::default()
    };
    let cluster = route::route_action::ClusterSpecifier::WeightedClusters(weighted);
    let action = route::RouteAction {
        cluster_specifier: Some(cluster),
        ..Default::default()
    };
    assert!(
        routes_error(&routes(action))
            .ends_with("route.weighted_clusters: the weights sum to 0; expected 1 or more")
    );
}

#[test]
fn an_expression_that_is_none_is_refused_with_the_reason() {
    let mut message = routes(to_cluster());
    let regex = crate::proto::matcher::RegexMatcher {
        regex: "(".into(),
        ..Default::default()
    };
    message.virtual_hosts[0].routes[0]
        .r#match
        .as_mut()
        .unwrap()
        .path_specifier = Some(route::route_match::PathSpecifier::SafeRegex(regex));
    assert_eq!(
        routes_error(&message),
        "RouteConfiguration r: virtual_hosts[0].routes[0].match.safe_regex.regex: invalid regular expression `(` (RE2): unclosed group"
    );
}

proptest! {
    /// Untrusted input may be any message that parses.
    #[test]
    fn no_bytes_make_a_compiler_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use prost::Message as _;
        if let Ok(message) = cluster::Cluster::decode(bytes.as_slice()) {
            let _ = compile_cluster(&message);
        }
        if let Ok(message) = endpoint::ClusterLoadAssignment::decode(bytes.as_slice()) {
            let _ = compile_endpoints(&message);
        }
        if let Ok(message) = route::RouteConfiguration::decode(bytes.as_slice()) {
            let _ = compile_routes(&message);
        }
        if let Ok(message) = listener::Listener::decode(bytes.as_slice()) {
            let _ = compile_listener(&message);
        }
    }
}
