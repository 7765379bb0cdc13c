//! Tests of routes and filters sent by other control planes, and of the merging of levels.

use super::*;
use crate::compile::compile_listener;
use crate::proto::core::{HeaderValue, HeaderValueOption, RuntimeFractionalPercent};
use crate::proto::fractional::{FractionalPercent, TokenBucket};
use crate::proto::matcher::{RegexMatchAndSubstitute, RegexMatcher};
use crate::proto::protobuf::{Any, BoolValue, UInt32Value};
use crate::proto::route::route_action::{HostRewriteSpecifier, RequestMirrorPolicy};
use crate::proto::route::weighted_cluster::{ClusterWeight, RandomValueSpecifier};
use crate::proto::{self, CORS, FAULT, RATE_LIMIT, manager};
use crate::table::{
    Filter, HostRules, PathRewrite, RequestShare, Route, RouteAction, RouteActionKind, Template,
};

fn compiled(message: &route::RouteConfiguration) -> Route {
    let table = compile_routes(message).unwrap_or_else(|error| panic!("{error}"));
    table.hosts()[0].routes[0].clone()
}

fn forward(action: route::RouteAction) -> RouteAction {
    compiled(&routes(action)).forward().unwrap().clone()
}

fn add(name: &str, value: &str) -> Vec<HeaderValueOption> {
    vec![HeaderValueOption {
        header: Some(HeaderValue {
            key: name.into(),
            value: value.into(),
            ..Default::default()
        }),
        ..Default::default()
    }]
}

/// The values added to a route's request headers, in order.
fn values(route: &Route) -> Vec<String> {
    let value = |op: &crate::table::HeaderOp| match &op.value {
        Template::Fixed(value) => value.to_str().unwrap().to_owned(),
        Template::Parts(_) => "made".into(),
    };
    route
        .request_headers
        .iter()
        .flat_map(|ops| ops.add.iter().map(value))
        .collect()
}

#[test]
fn the_route_changes_headers_first_and_the_whole_configuration_last_unless_told() {
    let mut message = routes(to_cluster());
    message.request_headers_to_add = add("x", "global");
    message.virtual_hosts[0].request_headers_to_add = add("x", "host");
    message.virtual_hosts[0].routes[0].request_headers_to_add = add("x", "route");
    assert_eq!(values(&compiled(&message)), ["route", "host", "global"]);
    message.most_specific_header_mutations_wins = true;
    assert_eq!(values(&compiled(&message)), ["global", "host", "route"]);
}

#[test]
fn a_level_that_changes_nothing_costs_nothing() {
    let route = compiled(&routes(to_cluster()));
    assert!(route.request_headers.is_empty() && route.response_headers.is_empty());
}

#[test]
fn headers_that_cannot_be_changed_are_refused_by_path() {
    let error = |name: &str, value: &str| {
        let mut message = routes(to_cluster());
        message.virtual_hosts[0].response_headers_to_add = add(name, value);
        routes_error(&message)
    };
    assert_eq!(
        error("Host", "a"),
        "RouteConfiguration r: virtual_hosts[0].response_headers_to_add[0].header.key: `Host` cannot be changed here: use `host_rewrite_literal`"
    );
    assert!(error("x", "%HOSTNAME%").contains("header.value: not supported yet: `%HOSTNAME%`"));
    let mut message = routes(to_cluster());
    message.request_headers_to_remove = vec![":path".into()];
    assert!(routes_error(&message).contains("request_headers_to_remove[0]: `:path` cannot be"));
}

fn whole(numerator: u32) -> Option<RuntimeFractionalPercent> {
    Some(RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator,
            denominator: 0,
        }),
        ..Default::default()
    })
}

#[test]
fn mirrors_of_the_nearest_level_count_with_the_routes_timeout() {
    let policy = |cluster: &str| RequestMirrorPolicy {
        cluster: cluster.into(),
        runtime_fraction: whole(30),
        ..Default::default()
    };
    let mut message = routes(to_cluster());
    message.request_mirror_policies = vec![policy("far")];
    let names = |message: &route::RouteConfiguration| {
        let action = compiled(message).forward().unwrap().clone();
        let one = |mirror: &std::sync::Arc<crate::table::Mirror>| {
            assert_eq!(mirror.action.timeout.unwrap().as_secs(), 15);
            (mirror.action.targets()[0].cluster.to_string(), mirror.share)
        };
        action.mirrors.iter().map(one).collect::<Vec<_>>()
    };
    let share = RequestShare {
        numerator: 30,
        denominator: 100,
    };
    assert_eq!(names(&message), [("far".into(), share)]);
    message.virtual_hosts[0].request_mirror_policies = vec![policy("near")];
    assert_eq!(names(&message), [("near".into(), share)]);
}

#[test]
fn a_virtual_hosts_retries_are_for_routes_without_their_own() {
    let policy = |times: u32| {
        Some(route::RetryPolicy {
            retry_on: "5xx".into(),
            num_retries: Some(UInt32Value { value: times }),
            ..Default::default()
        })
    };
    let mut message = routes(to_cluster());
    message.virtual_hosts[0].retry_policy = policy(7);
    let times = |message: &route::RouteConfiguration| {
        let action = compiled(message).forward().unwrap().clone();
        action.retry.unwrap().times
    };
    assert_eq!(times(&message), 7);
    let own = route::RouteAction {
        retry_policy: policy(1),
        ..to_cluster()
    };
    message.virtual_hosts[0].routes[0].action = Some(route::route::Action::Route(own));
    assert_eq!(times(&message), 1);
}

#[test]
fn rewrites_are_executed_and_two_of_the_path_refused() {
    let regex = RegexMatchAndSubstitute {
        pattern: Some(RegexMatcher {
            regex: "a+".into(),
            ..Default::default()
        }),
        substitution: "b".into(),
    };
    let action = forward(route::RouteAction {
        regex_rewrite: Some(regex.clone()),
        host_rewrite_specifier: Some(HostRewriteSpecifier::HostRewriteLiteral("h".into())),
        ..to_cluster()
    });
    let rewrite = action.rewrite.unwrap();
    assert_eq!(rewrite.host.unwrap(), "h");
    assert_eq!(rewrite.path.unwrap().apply("/aab"), b"/bb");
    let two = route::RouteAction {
        regex_rewrite: Some(regex),
        prefix_rewrite: "/".into(),
        ..to_cluster()
    };
    assert!(routes_error(&routes(two)).ends_with(
        "route.prefix_rewrite: expected either `prefix_rewrite` or `regex_rewrite`, found both"
    ));
}

#[test]
fn what_a_prefix_rewrite_exchanges_is_what_the_route_matched() {
    use route::route_match::PathSpecifier;
    let matched = |specifier: PathSpecifier| {
        let mut message = routes(route::RouteAction {
            prefix_rewrite: "/new".into(),
            ..to_cluster()
        });
        let condition = message.virtual_hosts[0].routes[0].r#match.as_mut().unwrap();
        condition.path_specifier = Some(specifier);
        let rewrite = compiled(&message)
            .forward()
            .unwrap()
            .rewrite
            .clone()
            .unwrap();
        match rewrite.path.unwrap() {
            PathRewrite::Prefix { matched, .. } => matched,
            PathRewrite::Regex(_) => panic!("no prefix"),
        }
    };
    assert_eq!(matched(PathSpecifier::Prefix("/a/b".into())), Some(4));
    assert_eq!(
        matched(PathSpecifier::PathSeparatedPrefix("/a".into())),
        Some(2)
    );
    assert_eq!(matched(PathSpecifier::Path("/a".into())), None);
}

#[test]
fn splits_may_take_their_number_from_a_header_and_targets_modify_headers() {
    let share = |name: &str, to_add| ClusterWeight {
        name: name.into(),
        weight: Some(UInt32Value { value: 1 }),
        request_headers_to_add: to_add,
        ..Default::default()
    };
    let weighted = route::WeightedCluster {
        clusters: vec![share("a", add("x", "a")), share("b", Vec::new())],
        random_value_specifier: Some(RandomValueSpecifier::HeaderName("X-Pick".into())),
        ..Default::default()
    };
    let cluster = route::route_action::ClusterSpecifier::WeightedClusters(weighted);
    let action = forward(route::RouteAction {
        cluster_specifier: Some(cluster),
        ..Default::default()
    });
    assert_eq!(action.random_header.as_deref().unwrap(), "x-pick");
    assert!(action.targets()[0].headers.is_some() && action.targets()[1].headers.is_none());
}

fn fault(numerator: u32) -> Any {
    use crate::proto::fault::fault_abort::ErrorType;
    use crate::proto::fault::{FaultAbort, HttpFault};
    proto::pack(&HttpFault {
        abort: Some(FaultAbort {
            percentage: Some(FractionalPercent {
                numerator,
                denominator: 1,
            }),
            error_type: Some(ErrorType::HttpStatus(503)),
            ..Default::default()
        }),
        ..Default::default()
    })
}

#[test]
fn of_filters_the_most_specific_level_counts() {
    let mut message = routes(to_cluster());
    message
        .typed_per_filter_config
        .insert(FAULT.into(), fault(1));
    let share = |message: &route::RouteConfiguration| {
        let fault = compiled(message).filters.fault.unwrap();
        fault
            .abort
            .map(|(_, share)| (share.numerator, share.denominator))
    };
    assert_eq!(share(&message), Some((1, 10_000)));
    let host = &mut message.virtual_hosts[0];
    host.typed_per_filter_config.insert(FAULT.into(), fault(2));
    assert_eq!(share(&message), Some((2, 10_000)));
    let route = &mut message.virtual_hosts[0].routes[0];
    route.typed_per_filter_config.insert(FAULT.into(), fault(0));
    assert_eq!(share(&message), None, "one that does nothing counts, too");
}

#[test]
fn of_cors_levels_fill_each_other_in() {
    use crate::proto::cors::CorsPolicy;
    let mut message = routes(to_cluster());
    let of_host = CorsPolicy {
        allow_methods: "GET".into(),
        max_age: "5".into(),
        allow_credentials: Some(BoolValue { value: true }),
        ..Default::default()
    };
    let of_route = CorsPolicy {
        max_age: "7".into(),
        ..Default::default()
    };
    let packed = |policy: &CorsPolicy| (CORS.to_owned(), proto::pack(policy));
    let host = &mut message.virtual_hosts[0];
    host.typed_per_filter_config.extend([packed(&of_host)]);
    let route = &mut host.routes[0];
    route.typed_per_filter_config.extend([packed(&of_route)]);
    let cors = compiled(&message).filters.cors.unwrap();
    assert_eq!(cors.allow_methods.as_ref().unwrap(), "GET");
    assert_eq!(cors.max_age.as_ref().unwrap(), "7");
    assert!(cors.allow_credentials && cors.forward_not_matching_preflights);
}

fn limit() -> proto::rate_limit::LocalRateLimit {
    proto::rate_limit::LocalRateLimit {
        stat_prefix: "x".into(),
        token_bucket: Some(TokenBucket {
            max_tokens: 5,
            tokens_per_fill: None,
            fill_interval: Some(proto::duration(std::time::Duration::from_millis(1500))),
        }),
        filter_enabled: whole(100),
        ..Default::default()
    }
}

#[test]
fn a_rate_limit_has_envoys_defaults() {
    let mut message = routes(to_cluster());
    let host = &mut message.virtual_hosts[0];
    let packed = proto::pack(&limit());
    host.typed_per_filter_config
        .insert(RATE_LIMIT.into(), packed);
    let limit = compiled(&message).filters.rate_limit.unwrap();
    let bucket = limit.bucket.unwrap();
    assert_eq!((bucket.max, bucket.per_fill), (5, 1));
    assert_eq!(bucket.interval.as_millis(), 1500);
    assert_eq!((limit.status, limit.dynamic_max), (429, 20));
    assert_eq!(limit.enabled.numerator, 100);
    assert_eq!(
        limit.enforced,
        RequestShare::NONE,
        "what is not set is nobody"
    );
    assert!(limit.always_default && !limit.report_state);
    assert_eq!(limit.host_rules, HostRules::Override);
}

#[test]
fn an_unknown_or_incomplete_filter_is_rejected_with_its_path() {
    let error = |name: &str, config: Any| {
        let mut message = routes(to_cluster());
        let route = &mut message.virtual_hosts[0].routes[0];
        route.typed_per_filter_config.insert(name.into(), config);
        routes_error(&message)
    };
    let at = "RouteConfiguration r: virtual_hosts[0].routes[0].typed_per_filter_config";
    assert!(error("lua", fault(1)).starts_with(&format!("{at}[lua].name: not supported yet")));
    assert!(error(CORS, fault(1)).starts_with(&format!("{at}[{CORS}].type_url: expected")));
    let mut fast = limit();
    fast.token_bucket.as_mut().unwrap().fill_interval = None;
    assert_eq!(
        error(RATE_LIMIT, proto::pack(&fast)),
        format!("{at}[{RATE_LIMIT}].token_bucket.fill_interval: expected 50 ms or more")
    );
    let none = proto::rate_limit::LocalRateLimit::default();
    assert_eq!(
        error(RATE_LIMIT, proto::pack(&none)),
        format!("{at}[{RATE_LIMIT}].token_bucket: expected a token bucket, found nothing")
    );
}

#[test]
fn a_direct_response_is_bytes_within_bounds() {
    use crate::proto::core::DataSource;
    use crate::proto::core::data_source::Specifier;
    let with = |length: usize| {
        let mut message = routes(to_cluster());
        let direct = route::DirectResponseAction {
            status: 200,
            body: Some(DataSource {
                specifier: Some(Specifier::InlineBytes(vec![b'x'; length])),
                ..Default::default()
            }),
            ..Default::default()
        };
        message.virtual_hosts[0].routes[0].action =
            Some(route::route::Action::DirectResponse(direct));
        message
    };
    let RouteActionKind::Respond(direct) = compiled(&with(4096)).action else {
        panic!("no answer")
    };
    assert_eq!(direct.body.len(), 4096);
    assert!(
        routes_error(&with(4097)).contains("direct_response.body: expected at most 4096 bytes")
    );
    let mut wide = with(4097);
    wide.max_direct_response_body_size_bytes = Some(UInt32Value { value: 5000 });
    assert!(compile_routes(&wide).is_ok());
}

#[test]
fn listeners_take_their_filters_in_order() {
    let filter = |name: &str, config: Any| manager::HttpFilter {
        name: name.into(),
        config_type: Some(manager::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    };
    let router = || {
        filter(
            proto::ROUTER,
            proto::pack(&proto::router::Router::default()),
        )
    };
    let compile = |filters: Vec<manager::HttpFilter>| {
        let mut message = listener(filters);
        message.traffic_direction = core::TrafficDirection::Outbound.into();
        compile_listener(&message).map(|listener| listener.filters)
    };
    let filters = compile(vec![
        filter(RATE_LIMIT, proto::pack(&limit())),
        filter(CORS, proto::pack(&proto::cors::Cors::default())),
        filter(FAULT, fault(1)),
        router(),
    ]);
    let filters = filters.unwrap();
    assert!(matches!(
        filters.as_slice(),
        [
            Filter::RateLimit(Some(_)),
            Filter::Cors,
            Filter::Fault(Some(_))
        ]
    ));
    let error = |filters| compile(filters).unwrap_err().to_string();
    assert!(
        error(vec![filter("lua", fault(1)), router()])
            .contains("http_filters[0]: not supported yet: `lua`")
    );
    assert!(error(vec![router(), router()]).contains("expected the router at the end only"));
    assert!(error(vec![filter(FAULT, fault(1))]).contains("http_filters[0].typed_config"));
}

/// An outbound listener with these HTTP filters.
pub(super) fn listener(filters: Vec<manager::HttpFilter>) -> listener::Listener {
    let manager = manager::HttpConnectionManager {
        http_filters: filters,
        route_specifier: Some(
            manager::http_connection_manager::RouteSpecifier::RouteConfig(routes(to_cluster())),
        ),
        ..Default::default()
    };
    let socket = core::SocketAddress {
        address: "10.0.0.1".into(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(80)),
        ..Default::default()
    };
    listener::Listener {
        name: "l".into(),
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        }),
        filter_chains: vec![listener::FilterChain {
            filters: vec![listener::Filter {
                name: "hcm".into(),
                config_type: Some(listener::filter::ConfigType::TypedConfig(proto::pack(
                    &manager,
                ))),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
