mod hosts;
mod inbound;
mod policy;
mod ports;
mod protocol;
mod resilience;
mod routing;
mod virtual_service;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use shakedown_istio::Document;
use shakedown_istio::registry::{
    Endpoint, InboundPort, Locality, MeshOptions, Port, Registry, Service,
};
use shakedown_xds::compile::{
    compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::proto::{self, cluster, endpoint, listener, manager, route};
use shakedown_xds::table::{RequestView, RouteActionKind, RouteTable};
use shakedown_yaml::tree::parse;

use super::*;

/// The documents of the first scenario, and a second service.
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

/// Reads the documents of a text that has no errors.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    let nodes = parse("a.yaml", text).unwrap();
    nodes
        .iter()
        .map(|node| Document::read(node).unwrap())
        .collect()
}

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
    Mesh {
        registry,
        documents: documents(text),
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

/// The cluster of a GET request, or `None` if no route forwards it.
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
        RouteActionKind::Forward(action) => Some(action.pick(0).to_string()),
        RouteActionKind::Respond(answer) => Some(answer.status.to_string()),
        RouteActionKind::Redirect(_) => None,
    }
}

/// The debug output without unset fields, one field per line.
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
    let pod = SidecarPod {
        address: "127.1.0.1".parse().unwrap(),
        ports: vec![InboundPort {
            service: 9080,
            app: 20_000,
            protocol: shakedown_istio::registry::PortProtocol::Http,
        }],
    };
    let own = own(&pod, &InboundPolicy::default());
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
        let manager: manager::HttpConnectionManager = proto::unpack(config).unwrap();
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
    assert_eq!(cluster("my-service:9999"), PASSTHROUGH);
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
        &InboundPolicy::default(),
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
