//! The control plane's model of the mesh: services with their ports and endpoints, and the user's documents.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::document::Document;

mod documents;

pub use crate::meta::DEFAULT_NAMESPACE;
pub use documents::names_in;
pub use shakedown_xds::table::Locality;

/// The first port on which an app listens behind its sidecar. Further ports follow in order.
pub const FIRST_APP_PORT: u16 = 20_000;
/// The port of a sidecar's outbound listener.
pub const OUTBOUND_PORT: u16 = 15_001;
/// The suffix that Kubernetes appends to `<service>.<namespace>`.
pub const DOMAIN: &str = "svc.cluster.local";

/// The full name of a service in the mesh, in lower case: `reviews.default.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

impl Hostname {
    /// Creates a hostname from a full name.
    pub fn new(name: &str) -> Self {
        Hostname(Arc::from(name.to_ascii_lowercase()))
    }

    /// Returns the hostname of a Kubernetes Service.
    pub fn for_service(service: &str, namespace: &str) -> Self {
        Hostname::new(&format!("{service}.{namespace}.{DOMAIN}"))
    }

    /// Resolves a host in a document of a namespace. A host without a dot is a service of that namespace, any other is
    /// a full name. Source: Istio, `ResolveShortnameToFQDN`.
    pub fn resolve(host: &str, namespace: &str) -> Self {
        if host.contains('.') || host == "*" {
            Hostname::new(host)
        } else {
            Hostname::for_service(host, namespace)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the name is a wildcard: `*` or `*.domain`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Returns true if the name equals `other`, or is a wildcard that covers it.
    pub fn covers(&self, other: &Hostname) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => other.0.ends_with(suffix),
            None => self == other,
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The services of the mesh by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    pub services: BTreeMap<Hostname, Service>,
    /// Known pods that are not endpoints of any service. Their locality determines the priority of endpoints, and their
    /// namespace and labels determine the documents that apply to them.
    pub clients: BTreeMap<IpAddr, Workload>,
    /// Wildcards of hosts outside of the mesh. They are not routed, but references to the hosts that they cover are
    /// valid.
    pub external: Vec<Hostname>,
}

impl Registry {
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds a service. Replaces an existing one of the same name.
    pub fn insert(&mut self, service: Service) {
        self.services.insert(service.hostname.clone(), service);
    }

    /// Returns true if a host is a service or an external host.
    pub fn knows(&self, host: &Hostname) -> bool {
        self.services.contains_key(host) || self.external.iter().any(|wild| wild.covers(host))
    }

    pub fn service(&self, hostname: &str) -> Option<&Service> {
        self.services.get(hostname)
    }

    /// Returns the pod at an address as its sidecar is configured: the service ports that lead to it, and the app's
    /// port behind each. App ports count from [`FIRST_APP_PORT`], in the order of the service ports' numbers. An
    /// address without a service is a pod without ports, a client.
    pub fn pod(&self, address: IpAddr) -> SidecarPod {
        let mut numbers: BTreeMap<u16, PortProtocol> = BTreeMap::new();
        for service in self.services.values() {
            for endpoint in service
                .endpoints
                .iter()
                .filter(|endpoint| endpoint.address.ip() == address)
            {
                numbers.extend(
                    service
                        .ports
                        .iter()
                        .map(|port| (service.address(endpoint, port).port(), port.protocol)),
                );
            }
        }
        let ports = (FIRST_APP_PORT..)
            .zip(numbers)
            .map(|(app, (service, protocol))| InboundPort {
                service,
                app,
                protocol,
            });
        SidecarPod {
            address,
            ports: ports.collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    pub hostname: Hostname,
    /// The ports that speak HTTP. Without any, requests are not routed to the service.
    pub ports: Vec<Port>,
    /// The numbers of ports that speak another protocol over TCP. They are not routed.
    pub other_ports: Vec<u16>,
    /// All endpoints, including those that are not ready.
    pub endpoints: Vec<Endpoint>,
}

impl Service {
    /// Creates a Kubernetes Service without endpoints.
    pub fn new(name: &str, namespace: &str, ports: Vec<Port>) -> Self {
        Service {
            name: name.into(),
            namespace: namespace.into(),
            hostname: Hostname::for_service(name, namespace),
            ports,
            other_ports: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Returns true if the hostname is that of a Kubernetes Service, from name and namespace.
    pub fn is_of_kubernetes(&self) -> bool {
        self.hostname == Hostname::for_service(&self.name, &self.namespace)
    }

    /// Returns the address at which an endpoint serves a port: its own address if the service has only one port, else
    /// the service port's number at its IP.
    pub fn address(&self, endpoint: &Endpoint, port: &Port) -> SocketAddr {
        match self.ports.len() {
            0 | 1 => endpoint.address,
            _ => SocketAddr::new(endpoint.address.ip(), port.number),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub name: String,
    pub protocol: PortProtocol,
}

impl Port {
    /// Creates a port for HTTP/1.1, named `http`.
    pub fn http(number: u16) -> Self {
        Port {
            number,
            name: "http".into(),
            protocol: PortProtocol::Http,
        }
    }
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortProtocol {
    #[default]
    Http,
    /// HTTP/2 without TLS between an app and its sidecar.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
}

impl PortProtocol {
    /// Returns true for HTTP/2 and for gRPC.
    pub fn is_http2(self) -> bool {
        matches!(self, PortProtocol::Http2 | PortProtocol::Grpc)
    }
}

/// A pod that is an endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The labels, by which subsets select endpoints.
    pub labels: BTreeMap<String, String>,
    pub locality: Locality,
    /// True if the endpoint accepts traffic. Others stay in the registry, but are not sent to proxies.
    pub ready: bool,
    /// The name of the workload, for example `reviews-v2`.
    pub workload: String,
}

/// A pod that is not an endpoint of any service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub locality: Locality,
}

/// The label with a pod's region.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// The label with a pod's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label with a pod's subzone.
pub const SUBZONE_LABEL: &str = "topology.istio.io/subzone";
/// The label with a pod's cluster.
const CLUSTER_LABEL: &str = "topology.istio.io/cluster";
/// Istio's default name of a cluster.
const CLUSTER: &str = "Kubernetes";

/// Adds the labels that Istio derives from a pod's locality, which replace the pod's own of the same name.
/// `kubernetes.io/hostname` is not added, because nodes are not modelled. Source: Istio, `AugmentLabels`.
pub fn augment_labels(
    locality: &Locality,
    mut labels: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (name, value) in [
        (REGION_LABEL, locality.region.as_str()),
        (ZONE_LABEL, &locality.zone),
        (SUBZONE_LABEL, &locality.subzone),
        (CLUSTER_LABEL, CLUSTER),
    ] {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.to_owned());
        }
    }
    labels
}

/// A pod, as its sidecar is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarPod {
    pub address: IpAddr,
    pub ports: Vec<InboundPort>,
}

/// A port of a sidecar's inbound listener, with the app's port behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboundPort {
    /// The service's port, on the pod's address.
    pub service: u16,
    /// The app's port, on the same address.
    pub app: u16,
    pub protocol: PortProtocol,
}

/// All inputs of the configuration that proxies receive.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    pub registry: Registry,
    /// The user's documents. If several have the same key, the last one is effective.
    pub documents: Vec<Document>,
    pub options: MeshOptions,
}

/// Settings of the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshOptions {
    /// The namespace whose documents apply to all namespaces.
    pub root_namespace: String,
    /// The trust domain of workload identities.
    pub trust_domain: String,
    /// True if requests to unknown hosts are passed through. Otherwise they get 502.
    pub outbound_allow_any: bool,
    /// The delay of host health changes (an ejection, a return) after the last one, before a proxy's load balancing
    /// uses them: Envoy's `update_merge_window`.
    pub ejection_delay: Duration,
    /// The scope of DestinationRules without `exportTo`. Source: Istio, `MeshConfig.defaultDestinationRuleExportTo`.
    pub destination_rules_for: DefaultExport,
    /// The scope of VirtualServices without `exportTo`. Source: Istio, `MeshConfig.defaultVirtualServiceExportTo`.
    pub virtual_services_for: DefaultExport,
}

/// The scope of documents without `exportTo`. Istio supports no other values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultExport {
    /// All callers: `*`.
    #[default]
    All,
    /// Callers of the document's own namespace: `.`.
    OwnNamespace,
}

impl MeshOptions {
    /// Envoy's default. Source: Envoy, `Cluster.CommonLbConfig.update_merge_window`.
    pub const EJECTION_DELAY: Duration = Duration::from_secs(1);
}

impl Default for MeshOptions {
    fn default() -> Self {
        MeshOptions {
            root_namespace: "istio-system".into(),
            trust_domain: "cluster.local".into(),
            outbound_allow_any: true,
            ejection_delay: MeshOptions::EJECTION_DELAY,
            destination_rules_for: DefaultExport::default(),
            virtual_services_for: DefaultExport::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_a_service_of_the_documents_namespace() {
        assert_eq!(
            Hostname::resolve("reviews", "shop").as_str(),
            "reviews.shop.svc.cluster.local"
        );
        assert_eq!(
            Hostname::resolve("reviews.prod", "shop").as_str(),
            "reviews.prod"
        );
        assert_eq!(Hostname::resolve("*", "shop").as_str(), "*");
    }

    #[test]
    fn a_pods_labels_tell_where_it_runs() {
        let locality = Locality {
            region: "eu".into(),
            zone: "eu-a".into(),
            subzone: String::new(),
        };
        let own = [("app", "a"), (ZONE_LABEL, "elsewhere")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = augment_labels(&locality, BTreeMap::from(own));
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            labels,
            [
                "app=a",
                "topology.istio.io/cluster=Kubernetes",
                "topology.kubernetes.io/region=eu",
                "topology.kubernetes.io/zone=eu-a"
            ]
        );
    }

    #[test]
    fn a_pods_ports_lead_to_app_ports_from_twenty_thousand() {
        let mut service = Service::new("a", "default", vec![Port::http(9080), Port::http(80)]);
        let address: SocketAddr = "127.1.0.1:80".parse().unwrap();
        service.endpoints.push(Endpoint {
            address,
            labels: BTreeMap::new(),
            locality: Locality::default(),
            ready: false,
            workload: "a-v1".into(),
        });
        let mut registry = Registry::new();
        registry.insert(service);
        let ports = [
            InboundPort {
                service: 80,
                app: 20_000,
                protocol: PortProtocol::Http,
            },
            InboundPort {
                service: 9080,
                app: 20_001,
                protocol: PortProtocol::Http,
            },
        ];
        assert_eq!(registry.pod(address.ip()).ports, ports);
        assert_eq!(registry.pod("127.9.9.9".parse().unwrap()).ports, []);
    }
}
