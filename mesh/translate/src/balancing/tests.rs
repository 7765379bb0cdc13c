//! Tests of load balancing, from a DestinationRule to the compiled table.

use std::net::IpAddr;
use std::time::Duration;

use shakedown_istio::registry::{Endpoint, Locality, Mesh, MeshOptions, Port, Registry, Service};
use shakedown_xds::compile::{compile_cluster, compile_endpoints, compile_routes};
use shakedown_xds::proto::Resource;
use shakedown_xds::table::{
    Assignment, Cluster, HashBy, HeaderKey, LbPolicy, LeastRequest, Maglev, RingHash, RoundRobin,
    RouteAction, RouteActionKind, SlowStart,
};

use crate::tests::documents;
use crate::{Caller, LocalityInputs, OUTBOUND_ROUTES, nearby, outbound, outbound_cluster};

const HOST: &str = "stock.default.svc.cluster.local";

fn endpoint(number: u8, region: &str, zone: &str) -> Endpoint {
    Endpoint {
        address: ([10, 0, 0, number], 80).into(),
        labels: [("version".to_owned(), "v1".to_owned())].into(),
        locality: Locality {
            region: region.into(),
            zone: zone.into(),
            subzone: String::new(),
        },
        ready: true,
        workload: "stock-v1".into(),
    }
}

/// The zones of the scenario `zone-loss`, with a DestinationRule's `spec` without its host.
fn mesh(spec: &str) -> Mesh {
    let mut registry = Registry::new();
    let mut stock = Service::new("stock", "default", vec![Port::http(80)]);
    stock.endpoints = vec![
        endpoint(1, "eu-1", "a"),
        endpoint(2, "eu-1", "b"),
        endpoint(3, "eu-2", "c"),
    ];
    registry.insert(stock);
    let mut web = Service::new("web", "default", vec![Port::http(80)]);
    web.endpoints = vec![endpoint(11, "eu-1", "a"), endpoint(13, "eu-2", "c")];
    registry.insert(web);
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: stock}}, spec: {{host: stock, {spec}}}}}"
    );
    Mesh {
        registry,
        documents: documents(&text),
        options: MeshOptions::default(),
    }
}

fn find<'r>(resources: &'r [Resource], name: &str) -> &'r Resource {
    let mut all = resources.iter();
    all.find(|resource| resource.name == name).expect(name)
}

fn cluster_of(spec: &str) -> Cluster {
    let outbound = outbound(&mesh(spec));
    let name = outbound_cluster(80, "", HOST);
    compile_cluster(&find(&outbound.clusters, &name).message().unwrap()).unwrap()
}

fn lb(balancer: &str) -> LbPolicy {
    cluster_of(&format!("trafficPolicy: {{loadBalancer: {balancer}}}")).lb
}

/// The route action of requests to the service.
fn action_of(balancer: &str) -> RouteAction {
    let mesh = mesh(&format!("trafficPolicy: {{loadBalancer: {balancer}}}"));
    let outbound = outbound(&mesh);
    let message = find(&outbound.routes, OUTBOUND_ROUTES).message().unwrap();
    let table = compile_routes(&message).unwrap();
    match &table.find_host("stock").unwrap().routes[0].action {
        RouteActionKind::Forward(action) => action.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn simple_policies_may_warm_hosts_up() {
    let slow = |seconds, aggression, min_weight| {
        Some(SlowStart {
            window: Duration::from_secs(seconds),
            aggression,
            min_weight,
        })
    };
    assert_eq!(
        lb("{simple: ROUND_ROBIN, warmupDurationSecs: 30s}"),
        LbPolicy::RoundRobin(RoundRobin {
            slow_start: slow(30, 1.0, 0.1)
        })
    );
    assert_eq!(
        lb("{warmup: {duration: 60s, minimumPercent: 20, aggression: 1.5}}"),
        LbPolicy::LeastRequest(LeastRequest {
            slow_start: slow(60, 1.5, 0.2),
            ..LeastRequest::ENVOY
        })
    );
    assert_eq!(lb("{simple: RANDOM}"), LbPolicy::Random);
}

#[test]
fn a_consistent_hash_is_a_ring_unless_it_is_a_table() {
    let ring = |min_size| {
        LbPolicy::RingHash(RingHash {
            min_size,
            ..RingHash::ENVOY
        })
    };
    assert_eq!(lb("{consistentHash: {useSourceIp: true}}"), ring(1024));
    assert_eq!(
        lb("{consistentHash: {useSourceIp: true, minimumRingSize: 4096}}"),
        ring(4096)
    );
    assert_eq!(
        lb("{consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 2048}}}"),
        ring(2048)
    );
    assert_eq!(
        lb("{consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 251}}}"),
        LbPolicy::Maglev(Maglev { table_size: 251 })
    );
    assert_eq!(
        lb("{consistentHash: {httpHeaderName: x-user, maglev: {}}}"),
        LbPolicy::Maglev(Maglev::ENVOY)
    );
}

#[test]
fn routes_say_what_is_hashed_and_retries_stay_with_the_hash() {
    let action = action_of("{consistentHash: {httpHeaderName: X-User}}");
    assert_eq!(
        action.hash[0].by,
        HashBy::Header(HeaderKey::named("x-user").unwrap())
    );
    assert!(!action.retry.unwrap().avoid_previous_hosts);
    let plain = action_of("{simple: RANDOM}");
    assert!(plain.hash.is_empty());
    assert!(plain.retry.unwrap().avoid_previous_hosts);
    let cookie = action_of("{consistentHash: {httpCookie: {name: user, path: /, ttl: 60s}}}");
    let HashBy::Cookie(cookie) = &cookie.hash[0].by else {
        panic!("{:?}", cookie.hash);
    };
    assert_eq!(
        (&*cookie.name, &*cookie.path, cookie.ttl),
        ("user", "/", Some(Duration::from_secs(60)))
    );
}

/// The priority and locality weight of each endpoint, in the order of their addresses.
fn seen_from(mesh: &Mesh, client: &str) -> Vec<(u32, u32)> {
    let inputs = LocalityInputs::for_caller(mesh, &Caller::default()).unwrap();
    let address: IpAddr = client.parse().unwrap();
    let endpoints = nearby(mesh, &Caller::default(), &inputs.client(mesh, address));
    let found = find(&endpoints, &outbound_cluster(80, "", HOST));
    let assignment: Assignment = compile_endpoints(&found.message().unwrap()).unwrap();
    let mut hosts = assignment.hosts;
    hosts.sort_by_key(|host| host.address);
    hosts
        .iter()
        .map(|host| (host.priority, host.locality_weight))
        .collect()
}

#[test]
fn endpoints_depend_on_the_client_only_where_a_rule_says_so() {
    for spec in [
        "trafficPolicy: {loadBalancer: {simple: RANDOM}}",
        "trafficPolicy: {loadBalancer: {localityLbSetting: {failoverPriority: [a]}}}",
        "trafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}}",
    ] {
        assert_eq!(
            LocalityInputs::for_caller(&mesh(spec), &Caller::default()),
            None,
            "{spec}"
        );
    }
    // By default, outlier detection enables failover by distance.
    let mesh = mesh("trafficPolicy: {outlierDetection: {}}");
    assert_eq!(seen_from(&mesh, "10.0.0.11"), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(seen_from(&mesh, "10.0.0.13"), [(1, 1), (1, 1), (0, 1)]);
    assert_eq!(
        seen_from(&mesh, "10.9.9.9"),
        [(0, 1), (0, 1), (0, 1)],
        "nobody knows where it runs: all are as far"
    );
}

#[test]
fn the_story_of_a_lost_zone_has_three_priorities() {
    let spec = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {simple: LEAST_REQUEST,
        localityLbSetting: {enabled: true, failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]}}}";
    let mesh = mesh(spec);
    assert_eq!(seen_from(&mesh, "10.0.0.11"), [(0, 1), (1, 1), (2, 1)]);
    // From another region, both zones of the first region are equally far.
    assert_eq!(seen_from(&mesh, "10.0.0.13"), [(1, 1), (1, 1), (0, 1)]);
    assert!(cluster_of(spec).lb_options.by_locality);
}

#[test]
fn shares_of_localities_go_with_the_client() {
    let spec = "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [
        {from: eu-1/a/*, to: {'eu-1/a/*': 80, 'eu-1/b/*': 20}}]}}}";
    let mesh = mesh(spec);
    // Zone c has no share, so its endpoints are not sent.
    assert_eq!(seen_from(&mesh, "10.0.0.11"), [(0, 80), (0, 20)]);
    assert_eq!(seen_from(&mesh, "10.0.0.13"), [(0, 1), (0, 1), (0, 1)]);
    assert!(cluster_of(spec).lb_options.by_locality);
}

#[test]
fn localities_are_weighed_only_where_a_rule_asks_for_them() {
    assert!(
        !cluster_of("trafficPolicy: {outlierDetection: {}}")
            .lb_options
            .by_locality
    );
    let off = "trafficPolicy: {loadBalancer: {localityLbSetting: {failoverPriority: [a]}}}";
    assert!(
        !cluster_of(off).lb_options.by_locality,
        "nothing is ejected"
    );
}
