mod protocol;
mod resilience;
mod routing;

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::*;
use crate::api::Document;
use crate::compile::{compile_cluster, compile_endpoints, compile_listener, compile_routes};
use crate::registry::{Endpoint, InboundPort, Locality, MeshOptions, Port, Registry, Service};
use crate::table::{Action, RequestView, RouteTable};
use crate::tree::parse;
use crate::xds::{cluster, endpoint, listener, manager, route};

/// The documents of the first scenario, with a second service beside.
const MY_SERVICE: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: my-service
spec:
  hosts:
  - my-service
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: my-service
        subset: v2
  - route:
    - destination:
        host: my-service
        subset: v1
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: my-service
spec:
  host: my-service
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2
";

fn endpoint(address: &str, version: &str, zone: &str, ready: bool) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        labels: BTreeMap::from([("version".into(), version.into())]),
        locality: Locality {
            region: "local".into(),
            zone: zone.into(),
            subzone: String::new(),
        },
        ready,
        workload: format!("my-service-{version}"),
    }
}

fn mesh(text: &str) -> Mesh {
    let mut registry = Registry::new();
    let mut service = Service::new("my-service", "default", vec![Port::http(9080)]);
    service
        .endpoints
        .push(endpoint("127.1.0.1:9080", "v1", "b", true));
    service
        .endpoints
        .push(endpoint("127.1.0.2:9080", "v2", "a", true));
    service
        .endpoints
        .push(endpoint("127.1.0.3:9080", "v1", "a", true));
    service
        .endpoints
        .push(endpoint("127.1.0.4:9080", "v2", "a", false));
    registry.insert(service);
    registry.insert(Service::new(
        "other",
        "default",
        vec![Port::http(80), Port::http(81)],
    ));
    registry.insert(Service::new("twin", "default", vec![Port::http(80)]));
    registry.insert(Service::new("twin", "shop", vec![Port::http(80)]));
    let documents = parse("mesh.yaml", text)
        .unwrap()
        .iter()
        .map(|node| Document::read(node).unwrap())
        .collect();
    Mesh {
        registry,
        documents,
        options: MeshOptions::default(),
    }
}

fn message<M: prost::Message + prost::Name + Default>(resources: &[Resource], name: &str) -> M {
    resources
        .iter()
        .find(|resource| resource.name == name)
        .expect(name)
        .message()
        .unwrap()
}

fn table(mesh: &Mesh) -> RouteTable {
    compile_routes(&message(&outbound(mesh).routes, OUTBOUND_ROUTES)).unwrap()
}

/// The cluster that a GET goes to; `None` if it goes nowhere.
fn cluster_of(
    table: &RouteTable,
    authority: &str,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Option<String> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).try_into().unwrap(), value.parse().unwrap()));
    let headers = headers.collect();
    let request = RequestView {
        method: "GET",
        path,
        authority,
        scheme: "http",
        headers: &headers,
    };
    match &table.find_host(authority)?.route(&request)?.action {
        Action::Forward(action) => Some(action.pick(0).to_string()),
        Action::Respond(answer) => Some(answer.status.to_string()),
        Action::Redirect(_) => None,
    }
}

/// The message without what is not set, one field a line.
fn shown(message: &impl Debug) -> String {
    let mut lines: Vec<String> = format!("{message:#?}").lines().map(str::to_owned).collect();
    lines.retain(|line| {
        !["None,", "[],", "{},", "\"\",", "0,", "false,"]
            .iter()
            .any(|end| line.ends_with(&format!(": {end}")))
    });
    lines.join("\n") + "\n"
}

#[test]
fn the_virtual_service_of_the_first_scenario_is_sent_so() {
    let outbound = outbound(&mesh(MY_SERVICE));
    let routes: route::RouteConfiguration = message(&outbound.routes, OUTBOUND_ROUTES);
    insta::assert_snapshot!("my_service_virtual_host", shown(&routes.virtual_hosts[0]));
    let v1 = "outbound|9080|v1|my-service.default.svc.cluster.local";
    insta::assert_snapshot!(
        "my_service_cluster",
        shown(&message::<cluster::Cluster>(&outbound.clusters, v1))
    );
    insta::assert_snapshot!(
        "my_service_endpoints",
        shown(&message::<endpoint::ClusterLoadAssignment>(
            &outbound.endpoints,
            v1
        ))
    );
    let names: Vec<&str> = outbound
        .clusters
        .iter()
        .map(|resource| resource.name.as_str())
        .collect();
    insta::assert_snapshot!("my_service_clusters", names.join("\n"));
}

#[test]
fn what_a_sidecar_has_for_itself_is_sent_so() {
    let pod = Pod {
        address: "127.1.0.1".parse().unwrap(),
        ports: vec![InboundPort {
            service: 9080,
            app: 20_000,
            protocol: crate::registry::Protocol::Http,
        }],
    };
    let own = own(&pod, &Inbound::default());
    let mut text = shown(&message::<cluster::Cluster>(
        &own.clusters,
        "inbound|9080||",
    ));
    for resource in &own.listeners {
        let listener: listener::Listener = resource.message().unwrap();
        let Some(listener::filter::ConfigType::TypedConfig(config)) =
            &listener.filter_chains[0].filters[0].config_type
        else {
            panic!("no filter")
        };
        let manager: manager::HttpConnectionManager = xds::unpack(config).unwrap();
        text.push_str(&format!(
            "{}\n{}\n{}",
            listener.name,
            shown(&listener.address),
            shown(&manager.route_specifier)
        ));
    }
    insta::assert_snapshot!("own", text);
}

#[test]
fn jason_goes_to_v2_and_all_others_to_v1() {
    let table = table(&mesh(MY_SERVICE));
    let v = |v: &str| {
        Some(format!(
            "outbound|9080|{v}|my-service.default.svc.cluster.local"
        ))
    };
    assert_eq!(
        cluster_of(&table, "my-service:9080", "/", &[("end-user", "jason")]),
        v("v2")
    );
    assert_eq!(
        cluster_of(&table, "my-service:9080", "/", &[("end-user", "jasonx")]),
        v("v1")
    );
    assert_eq!(cluster_of(&table, "my-service", "/", &[]), v("v1"));
}

#[test]
fn a_service_is_found_by_all_its_names_and_by_its_port() {
    let table = table(&mesh(MY_SERVICE));
    let cluster = |authority: &str| cluster_of(&table, authority, "/", &[]).unwrap();
    for name in [
        "other",
        "other.default",
        "other.default.svc",
        "OTHER.default.svc.cluster.local",
    ] {
        assert_eq!(
            cluster(name),
            "outbound|80||other.default.svc.cluster.local",
            "{name}"
        );
        assert_eq!(
            cluster(&format!("{name}:81")),
            "outbound|81||other.default.svc.cluster.local",
            "{name}"
        );
    }
    assert_eq!(
        cluster("twin"),
        "outbound|80||twin.default.svc.cluster.local"
    );
    assert_eq!(
        cluster("twin.shop:80"),
        "outbound|80||twin.shop.svc.cluster.local"
    );
    assert_eq!(cluster("example.com"), PASSTHROUGH);
    assert_eq!(cluster("other:9999"), PASSTHROUGH);
}

#[test]
fn with_registry_only_a_host_that_nobody_has_is_answered_502() {
    let mut mesh = mesh(MY_SERVICE);
    mesh.options.outbound_allow_any = false;
    assert_eq!(
        cluster_of(&table(&mesh), "example.com", "/", &[]),
        Some("502".into())
    );
}

#[test]
fn a_subset_has_only_ready_endpoints_with_its_labels() {
    let outbound = outbound(&mesh(MY_SERVICE));
    let addresses = |subset: &str| -> Vec<String> {
        let name = outbound_cluster(9080, subset, "my-service.default.svc.cluster.local");
        let hosts = compile_endpoints(&message(&outbound.endpoints, &name))
            .unwrap()
            .hosts;
        hosts
            .iter()
            .map(|host| format!("{} {} {}", host.address, host.workload, host.locality.zone))
            .collect()
    };
    assert_eq!(addresses("v2"), ["127.1.0.2:9080 my-service-v2 a"]);
    assert_eq!(
        addresses("v1"),
        [
            "127.1.0.3:9080 my-service-v1 a",
            "127.1.0.1:9080 my-service-v1 b"
        ]
    );
    assert_eq!(addresses("").len(), 3);
}

#[test]
fn the_same_mesh_gives_the_same_bytes_and_versions() {
    assert_eq!(outbound(&mesh(MY_SERVICE)), outbound(&mesh(MY_SERVICE)));
}

#[test]
fn all_that_is_sent_can_be_executed() {
    let mesh = mesh(MY_SERVICE);
    let outbound = outbound(&mesh);
    let own = own(
        &mesh.registry.pod("127.1.0.1".parse().unwrap()),
        &Inbound::default(),
    );
    for resource in outbound.clusters.iter().chain(&own.clusters) {
        compile_cluster(&resource.message().unwrap()).unwrap();
    }
    for resource in &outbound.endpoints {
        compile_endpoints(&resource.message().unwrap()).unwrap();
    }
    assert_eq!(own.listeners.len(), 2);
    for resource in &own.listeners {
        compile_listener(&resource.message().unwrap()).unwrap();
    }
}

fn service(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s}}\nspec: {spec}\n"
    )
}

fn rule(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

#[test]
fn conditions_are_and_within_an_entry_and_or_across_entries() {
    let table = table(&mesh(&service(
        "{hosts: [my-service], http: [{match: [{uri: {prefix: /a}, method: {exact: GET}}, {queryParams: {q: {exact: '1'}}}],
          route: [{destination: {host: other, port: {number: 81}}}]}]}")));
    let goes = |path: &str| cluster_of(&table, "my-service", path, &[]).is_some();
    assert!(goes("/abc") && goes("/x?q=1") && goes("/a?q=2"));
    assert!(!goes("/x") && !goes("/x?q=2"));
}

#[test]
fn headers_that_must_not_be_such_may_be_missing() {
    let table = table(&mesh(&service(
        "{hosts: [my-service], http: [{match: [{withoutHeaders: {a: {exact: x}, b: {}}}], route: [{destination: {host: other}}]}]}",
    )));
    let goes =
        |headers: &[(&'static str, &str)]| cluster_of(&table, "my-service", "/", headers).is_some();
    assert!(goes(&[]) && goes(&[("a", "y")]));
    assert!(!goes(&[("a", "x")]) && !goes(&[("b", "")]));
}

#[test]
fn routes_behind_one_that_takes_everything_are_left_out() {
    let mesh = mesh(&service(
        "{hosts: [my-service], http: [
        {name: n, match: [{name: m, uri: {prefix: /}}], route: [{destination: {host: other}}]},
        {route: [{destination: {host: twin}}]}]}",
    ));
    let routes: route::RouteConfiguration = message(&outbound(&mesh).routes, OUTBOUND_ROUTES);
    let names: Vec<&str> = routes.virtual_hosts[0]
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(names, ["n.m"]);
}

#[test]
fn weights_timeouts_and_retries_reach_the_table() {
    let mesh = mesh(&service("{hosts: [my-service], http: [{timeout: 3s, retries: {attempts: 4, perTryTimeout: 1s, retryOn: '5xx,429'},
        route: [{destination: {host: my-service}, weight: 90}, {destination: {host: other}, weight: 10}, {destination: {host: twin}, weight: 0}]}]}"));
    let table = table(&mesh);
    let Action::Forward(action) = &table.hosts()[0].routes[0].action else {
        panic!("no way on")
    };
    let mine = "outbound|9080||my-service.default.svc.cluster.local";
    let picked = (0..100)
        .filter(|random| &**action.pick(*random) == mine)
        .count();
    assert_eq!(
        (picked, action.total_weight(), action.targets().len()),
        (90, 100, 2)
    );
    assert_eq!(
        &**action.pick(99),
        "outbound|9080||other.default.svc.cluster.local"
    );
    assert_eq!(action.timeout, Some(Duration::from_secs(3)));
    let retry = action.retry.as_ref().unwrap();
    assert_eq!(
        (retry.times, retry.codes.as_slice(), retry.per_try_timeout),
        (4, &[429][..], Some(Duration::from_secs(1)))
    );
    assert_eq!(
        format!("{:?}", retry.on),
        r#"{"5xx", "retriable-status-codes"}"#
    );
}

#[test]
fn without_a_word_a_route_has_istios_retries_and_no_timeout() {
    let table = table(&mesh(MY_SERVICE));
    let Action::Forward(action) = &table.find_host("other").unwrap().routes[0].action else {
        panic!("no way on")
    };
    assert_eq!(action.timeout, None);
    let retry = action.retry.as_ref().unwrap();
    assert_eq!(
        (
            retry.times,
            retry.codes.len(),
            retry.avoid_previous_hosts,
            retry.host_selection_attempts
        ),
        (2, 0, true, 5)
    );
    assert_eq!(
        (
            retry.base_interval.as_millis(),
            retry.max_interval.as_millis()
        ),
        (25, 250)
    );
}

#[test]
fn no_attempts_are_no_retries() {
    let table = table(&mesh(&service(
        "{hosts: [other], http: [{retries: {attempts: 0}, route: [{destination: {host: other}}]}]}",
    )));
    let Action::Forward(action) = &table.find_host("other").unwrap().routes[0].action else {
        panic!("no way on")
    };
    assert!(action.retry.is_none());
}

#[test]
fn of_two_virtual_services_for_a_host_the_oldest_counts() {
    let one = |name: &str, created: &str, to: &str| {
        service(&format!(
            "{{hosts: [other], http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}"
        ))
        .replace("{name: s}", &format!("{{name: {name}{created}}}"))
    };
    let goes = |text: String| cluster_of(&table(&mesh(&text)), "other", "/", &[]).unwrap();
    let (first, second) = (one("a", "", "twin"), one("b", "", "my-service"));
    assert!(goes(format!("{first}---\n{second}")).contains("twin"));
    let dated = one(
        "c",
        ", creationTimestamp: 2025-01-01T00:00:00Z",
        "my-service",
    );
    assert!(goes(format!("{first}---\n{dated}")).contains("my-service"));
}

#[test]
fn a_host_that_only_a_virtual_service_has_is_served_at_port_80() {
    let table = table(&mesh(&service(
        "{hosts: [api.example.com], http: [{route: [{destination: {host: other}}]}]}",
    )));
    let other = Some("outbound|80||other.default.svc.cluster.local".to_owned());
    assert_eq!(cluster_of(&table, "api.example.com", "/", &[]), other);
    assert_eq!(cluster_of(&table, "api.example.com:80", "/", &[]), other);
}

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
    assert_eq!(whole.lb, crate::table::LbPolicy::Random);
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
        crate::table::LbPolicy::ROUND_ROBIN
    );
    assert_eq!(
        lb("twin.default.svc.cluster.local"),
        crate::table::LbPolicy::Random
    );
    assert_eq!(
        lb("twin.shop.svc.cluster.local"),
        crate::table::LbPolicy::LEAST_REQUEST
    );
}

/// The compiled cluster of `other` under a `trafficPolicy`.
fn under_policy(policy: &str) -> crate::table::Cluster {
    let text = rule(
        "a",
        &format!("{{host: other, trafficPolicy: {{{policy}}}}}"),
    );
    let outbound = outbound(&mesh(&text));
    let name = outbound_cluster(80, "", "other.default.svc.cluster.local");
    compile_cluster(&message(&outbound.clusters, &name)).unwrap()
}

#[test]
fn a_connection_pool_sets_limits_and_what_it_leaves_out_never_bites() {
    use crate::table::Limits;

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
fn requests_go_on_as_http2_where_that_is_asked_and_only_then_are_streams_bounded() {
    use crate::table::UpstreamProtocol;

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
fn a_retry_budget_without_a_percentage_is_a_fifth_of_a_percent_as_istio_sends_it() {
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
        (cluster.outlier.unwrap(), cluster.lb_options.panic_percent)
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
        crate::api::validate(&mesh(&text)).to_string()
    };
    let wrong =
        invalid("outlierDetection: {maxEjectionPercent: 101, consecutiveLocalOriginFailures: 2}");
    assert!(
        wrong.contains("`maxEjectionPercent` is 101: expected 0 to 100"),
        "{wrong}"
    );
    assert!(
        wrong.contains("expected `splitExternalLocalOriginErrors: true` beside it"),
        "{wrong}"
    );
    assert_eq!(invalid("outlierDetection: {maxEjectionPercent: 100}"), "");
}

#[test]
fn retries_take_their_backoff_and_whether_hosts_are_avoided() {
    let policy = |text: &str| {
        let written: crate::api::HttpRetry =
            crate::decode::decode(&crate::tree::parse("a.yaml", text).unwrap()[0]).unwrap();
        super::retries::outbound(Some(&written)).unwrap()
    };
    let plain = policy("attempts: 3");
    assert_eq!(plain.retry_host_predicate.len(), 1);
    assert_eq!(plain.retry_back_off, None);
    let told = policy("{attempts: 3, backoff: 100ms}").retry_back_off;
    let base = told.unwrap().base_interval.unwrap();
    assert_eq!((base.seconds, base.nanos), (0, 100_000_000));
    let not = policy("{attempts: 3, retryIgnorePreviousHosts: false}");
    assert!(not.retry_host_predicate.is_empty());
}
