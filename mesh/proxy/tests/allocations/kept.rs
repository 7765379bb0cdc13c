//! Tests the memory that a proxy retains per resource: the compiled resource, its bytes in the store, its version, and
//! the state of a cluster.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::UnixTime;
use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, Mesh, Port, Registry, Service, SidecarPod};
use shakedown_proxy::{DryRun, ResourceCache};
use shakedown_translate::{Caller, InboundPolicy};
use shakedown_xds::proto::discovery::{DeltaDiscoveryResponse, Resource};
use shakedown_xds::proto::{self, ResourceKind};
use shakedown_yaml::tree;

use super::shop;

/// The maximum sizes.
const CLUSTER_BYTES_MAX: i64 = 2_000;
const ROUTE_BYTES_MAX: i64 = 1_000;
/// The difference in number between the two measurements.
const MORE: usize = 2_000;

/// A mesh of this number of services, each with one endpoint.
fn services(number: usize) -> Mesh {
    let mut registry = Registry::new();
    for at in 0..number {
        let name = format!("service-{at}");
        let mut service = Service::new(&name, "default", vec![Port::http(9080)]);
        let [_, _, high, low] = u32::try_from(at).unwrap().to_be_bytes();
        service.endpoints.push(Endpoint {
            address: SocketAddr::from(([127, 9, high, low], 9080)),
            labels: [("version".to_owned(), "v1".to_owned())].into(),
            locality: Locality::default(),
            ready: true,
            workload: format!("{name}-v1"),
        });
        registry.insert(service);
    }
    Mesh {
        registry,
        ..Mesh::default()
    }
}

/// A mesh of one service with this number of routes, each with Istio's defaults.
fn routes(number: usize) -> Mesh {
    let mut text = String::from(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: s}\n\
         spec:\n  hosts: [service-0]\n  http:\n",
    );
    for at in 0..number {
        writeln!(
            text,
            "    - {{match: [{{uri: {{prefix: /item/{at}/}}}}], route: [{{destination: {{host: service-0}}}}]}}"
        )
        .unwrap();
    }
    let nodes = tree::parse("routes.yaml", &text).unwrap();
    Mesh {
        documents: vec![Document::read(&nodes[0]).unwrap()],
        ..services(1)
    }
}

fn response(kind: ResourceKind, resources: Vec<proto::Resource>) -> DeltaDiscoveryResponse {
    let sent = |resource: proto::Resource| Resource {
        name: resource.name,
        version: resource.version,
        resource: Some(resource.body),
        ..Default::default()
    };
    DeltaDiscoveryResponse {
        type_url: kind.url().to_owned(),
        resources: resources.into_iter().map(sent).collect(),
        ..Default::default()
    }
}

/// The bytes retained by a proxy that receives these kinds of a mesh's resources and its listener.
fn kept(mesh: &Mesh, kinds: &[ResourceKind]) -> i64 {
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
        noise: None,
    });
    let env = sim.add_host(HostSpec::new("pod", shop::POD.into()));
    let pod = SidecarPod {
        address: IpAddr::V4(shop::POD),
        ports: Vec::new(),
    };
    let own = shakedown_translate::own(&pod, &InboundPolicy::default());
    let outbound = shakedown_translate::outbound(mesh);
    let routes = shakedown_translate::routes_for(mesh, &Caller::default());
    let mut responses = vec![response(ResourceKind::Listener, own.listeners)];
    for kind in kinds {
        responses.push(match kind {
            ResourceKind::Cluster => response(ResourceKind::Cluster, outbound.clusters.clone()),
            ResourceKind::Endpoints => {
                response(ResourceKind::Endpoints, outbound.endpoints.clone())
            }
            ResourceKind::Routes => response(ResourceKind::Routes, vec![routes.clone()]),
            ResourceKind::Listener => continue,
        });
    }
    let mut proxy = None;
    let info = allocation_counter::measure(|| {
        let cache = ResourceCache::default();
        let bootstrap = shop::bootstrap();
        // The responses are copied, so that memory freed in the measured block was allocated in it.
        let responses = responses.clone();
        proxy = DryRun::configured(env, bootstrap, cache, responses, shop::LISTENER);
    });
    assert!(proxy.is_some(), "the listener is in force");
    info.bytes_current
}

/// The bytes per additional resource.
fn one_more(mesh: impl Fn(usize) -> Mesh, kinds: &[ResourceKind]) -> i64 {
    let [few, many] = [100, 100 + MORE].map(|number| kept(&mesh(number), kinds));
    (many - few) / i64::try_from(MORE).unwrap()
}

#[test]
fn a_cluster_and_its_endpoints_are_kept_in_two_thousand_bytes() {
    let bytes = one_more(services, &[ResourceKind::Cluster, ResourceKind::Endpoints]);
    assert!(
        (1..=CLUSTER_BYTES_MAX).contains(&bytes),
        "{bytes} bytes a cluster"
    );
}

#[test]
fn a_route_is_kept_in_a_thousand_bytes() {
    let bytes = one_more(routes, &[ResourceKind::Routes]);
    assert!(
        (1..=ROUTE_BYTES_MAX).contains(&bytes),
        "{bytes} bytes a route"
    );
}
