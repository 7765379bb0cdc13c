//! The measured configuration: a mesh of two dozen services, written as Istio's YAML, and translated and compiled as
//! for any sidecar.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use shakedown_istio::Document;
use shakedown_istio::registry::{
    Endpoint, Locality, Mesh, MeshOptions, Port, Registry, Service, SidecarPod,
};
use shakedown_proxy::Bootstrap;
use shakedown_translate::{Caller, InboundPolicy};
use shakedown_xds::compile::{
    compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::table::Table;
use shakedown_yaml::tree;

/// The address of the measured sidecar.
pub(crate) const POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The name of the sidecar's outbound listener.
pub(crate) const LISTENER: &str = "127.0.0.2_15001";
/// A service without documents: one endpoint, and Istio's defaults for its route.
pub(crate) const PLAIN: &str = "plain:9080";
/// A service with every policy.
pub(crate) const REVIEWS: &str = "reviews:9080";
/// The number of endpoints of [`REVIEWS`].
pub(crate) const REVIEWS_HOSTS: u8 = 10;

const DOCUMENTS: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
    - match: [{uri: {prefix: /admin}}, {uri: {regex: '/v[0-9]+/old/.*'}}]
      route: [{destination: {host: reviews, subset: v2}}]
    - match: [{headers: {end-user: {exact: tester}}}]
      route: [{destination: {host: reviews, subset: v2}}]
    - match: [{headers: {end-user: {exact: jason}}}]
      timeout: 10s
      retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx,reset,connect-failure'}
      route:
        - {destination: {host: reviews, subset: v1}, weight: 90}
        - {destination: {host: reviews, subset: v2}, weight: 10}
    - route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: LEAST_REQUEST}
    connectionPool:
      tcp: {maxConnections: 100, connectTimeout: 1s}
      http: {http1MaxPendingRequests: 100, http2MaxRequests: 200, maxRetries: 10}
    outlierDetection: {consecutive5xxErrors: 5, interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 50}
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
";

/// The bootstrap of the measured sidecar.
pub(crate) fn bootstrap() -> Bootstrap {
    let control = SocketAddr::from(([127, 0, 0, 3], 15_010));
    Bootstrap::sidecar("pages-1", "default", IpAddr::V4(POD), control)
}

/// The addresses of the endpoints of [`PLAIN`] and [`REVIEWS`].
pub(crate) fn endpoints() -> Vec<SocketAddr> {
    let reviews = (1..=REVIEWS_HOSTS).map(|number| SocketAddr::from(([127, 2, 0, number], 9080)));
    std::iter::once(plain()).chain(reviews).collect()
}

/// The address of the endpoint of [`PLAIN`].
pub(crate) fn plain() -> SocketAddr {
    SocketAddr::from(([127, 1, 0, 1], 9080))
}

/// The sidecar's compiled table.
pub(crate) fn table() -> Table {
    let documents = tree::parse("shop.yaml", DOCUMENTS).unwrap();
    let documents = documents.iter().map(|node| Document::read(node).unwrap());
    let mesh = Mesh {
        registry: registry(),
        documents: documents.collect(),
        options: MeshOptions::default(),
    };
    let mut table = Table::default();
    let shared = shakedown_translate::outbound(&mesh);
    for sent in &shared.clusters {
        let cluster = compile_cluster(&sent.message().unwrap()).unwrap();
        table.clusters.put(Arc::new(cluster));
    }
    for sent in &shared.endpoints {
        let assignment = compile_endpoints(&sent.message().unwrap()).unwrap();
        table.endpoints.put(Arc::new(assignment));
    }
    let routes = shakedown_translate::routes_for(&mesh, &Caller::default());
    let routes = compile_routes(&routes.message().unwrap()).unwrap();
    table
        .routes
        .insert(Arc::clone(&routes.name), Arc::new(routes));
    let pod = SidecarPod {
        address: IpAddr::V4(POD),
        ports: Vec::new(),
    };
    for sent in shakedown_translate::own(&pod, &InboundPolicy::default()).listeners {
        let listener = compile_listener(&sent.message().unwrap()).unwrap();
        table
            .listeners
            .insert(Arc::clone(&listener.name), Arc::new(listener));
    }
    table
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    for number in 0..22 {
        let name = format!("service-{number}");
        registry.insert(Service::new(&name, "default", vec![Port::http(9080)]));
    }
    let (plain, reviews) = (vec![endpoints()[0]], endpoints()[1..].to_vec());
    for (name, addresses) in [("plain", plain), ("reviews", reviews)] {
        let mut service = Service::new(name, "default", vec![Port::http(9080)]);
        for (number, address) in addresses.into_iter().enumerate() {
            service.endpoints.push(endpoint(name, number, address));
        }
        registry.insert(service);
    }
    registry
}

fn endpoint(service: &str, number: usize, address: SocketAddr) -> Endpoint {
    let version = ["v1", "v2"][number % 2];
    Endpoint {
        address,
        labels: BTreeMap::from([("version".to_owned(), version.to_owned())]),
        locality: Locality::default(),
        ready: true,
        workload: format!("{service}-{version}"),
    }
}
