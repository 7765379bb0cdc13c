//! What the control plane knows: services, their ports and endpoints; and with the documents of the user, the mesh.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::Document;

mod documents;

pub use documents::names_in;
pub use shakedown_xds::table::Locality;

/// The first port that an app listens on behind its sidecar; its service's ports follow in order.
pub const FIRST_APP_PORT: u16 = 20_000;
/// The port of a sidecar's outbound listener.
pub const OUTBOUND_PORT: u16 = 15_001;
/// The namespace of documents and pods that name none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// What Kubernetes appends to `<service>.<namespace>`.
pub const DOMAIN: &str = "svc.cluster.local";

/// A service's full name in the mesh: `reviews.default.svc.cluster.local`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

impl Hostname {
    /// A name that is full already.
    pub fn new(name: &str) -> Self {
        Hostname(Arc::from(name.to_ascii_lowercase()))
    }

    /// The name of a service of Kubernetes.
    pub fn of(service: &str, namespace: &str) -> Self {
        Hostname::new(&format!("{service}.{namespace}.{DOMAIN}"))
    }

    /// The name that a document of a namespace means: one without a dot is a service of that namespace, any other is
    /// full. Source: Istio, `ResolveShortnameToFQDN`.
    pub fn resolve(host: &str, namespace: &str) -> Self {
        if host.contains('.') || host == "*" {
            Hostname::new(host)
        } else {
            Hostname::of(host, namespace)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for many names: `*` or `*.domain`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether it is, or as a wildcard covers, `other`.
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

/// Services by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// The services.
    pub services: BTreeMap<Hostname, Service>,
    /// Pods that serve nothing, as far as they are known: where they run decides which endpoints are near to them, and who they
    /// are which documents hold for them.
    pub clients: BTreeMap<IpAddr, Workload>,
    /// Wildcards of hosts outside of the mesh. Nothing is routed by them; a reference to a host that one covers is not dangling.
    pub external: Vec<Hostname>,
}

impl Registry {
    /// No services.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds a service, or replaces the one of its name.
    pub fn insert(&mut self, service: Service) {
        self.services.insert(service.hostname.clone(), service);
    }

    /// Returns true if a host is a service or an external host.
    pub fn knows(&self, host: &Hostname) -> bool {
        self.services.contains_key(host) || self.external.iter().any(|wild| wild.covers(host))
    }

    /// The service of a name.
    pub fn service(&self, hostname: &str) -> Option<&Service> {
        self.services.get(hostname)
    }

    /// The pod at an address as its sidecar must know it: each service port that leads to it, and the app's port
    /// behind. App ports count from [`FIRST_APP_PORT`], in the order of the service ports' numbers. An address that
    /// serves nothing is a pod, too: a client.
    pub fn pod(&self, address: IpAddr) -> Pod {
        let mut numbers: BTreeMap<u16, Protocol> = BTreeMap::new();
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
        Pod {
            address,
            ports: ports.collect(),
        }
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its short name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its full name.
    pub hostname: Hostname,
    /// Ports that speak HTTP. Nothing is routed to a service without one.
    pub ports: Vec<Port>,
    /// The numbers of its ports that speak another protocol over TCP. Nothing is routed to them.
    pub other_ports: Vec<u16>,
    /// Its endpoints, ready or not.
    pub endpoints: Vec<Endpoint>,
}

impl Service {
    /// A service of Kubernetes, without endpoints.
    pub fn new(name: &str, namespace: &str, ports: Vec<Port>) -> Self {
        Service {
            name: name.into(),
            namespace: namespace.into(),
            hostname: Hostname::of(name, namespace),
            ports,
            other_ports: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Returns true if the hostname is that of a Kubernetes Service, from name and namespace.
    pub fn is_of_kubernetes(&self) -> bool {
        self.hostname == Hostname::of(&self.name, &self.namespace)
    }

    /// Where an endpoint serves one of the ports: its own port where the service has one only, else the same number.
    pub fn address(&self, endpoint: &Endpoint, port: &Port) -> SocketAddr {
        match self.ports.len() {
            0 | 1 => endpoint.address,
            _ => SocketAddr::new(endpoint.address.ip(), port.number),
        }
    }
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
}

impl Port {
    /// A port for HTTP/1.1, named `http`.
    pub fn http(number: u16) -> Self {
        Port {
            number,
            name: "http".into(),
            protocol: Protocol::Http,
        }
    }
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2, without TLS between an app and its sidecar.
    Http2,
    /// gRPC, over HTTP/2.
    Grpc,
}

impl Protocol {
    /// Whether it is HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc)
    }
}

/// A pod as an endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it serves.
    pub address: SocketAddr,
    /// Its labels, which subsets select by.
    pub labels: BTreeMap<String, String>,
    /// Where it runs.
    pub locality: Locality,
    /// Whether it takes traffic. Others are known, and not sent.
    pub ready: bool,
    /// The workload that it belongs to: `reviews-v2`.
    pub workload: String,
}

/// A pod that is no endpoint of any service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it runs.
    pub locality: Locality,
}

/// The label of a pod's region.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// The label of a pod's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label of a pod's subzone.
pub const SUBZONE_LABEL: &str = "topology.istio.io/subzone";
/// The label of a pod's cluster.
const CLUSTER_LABEL: &str = "topology.istio.io/cluster";
/// Istio's name of a cluster that has been given none.
const CLUSTER: &str = "Kubernetes";

/// The labels of a pod with those that Istio adds for its locality, which replace the pod's own of the same name.
/// `kubernetes.io/hostname` is not added, because there are no nodes. Source: Istio, `AugmentLabels`.
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
pub struct Pod {
    /// The pod's address, which its sidecar owns.
    pub address: IpAddr,
    /// The ports that lead to the app.
    pub ports: Vec<InboundPort>,
}

/// A port that a sidecar takes in, and the app's behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboundPort {
    /// The service's port, on the pod's address.
    pub service: u16,
    /// The app's port, on the same address.
    pub app: u16,
    /// What the app speaks there.
    pub protocol: Protocol,
}

/// All that configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    /// The services.
    pub registry: Registry,
    /// The user's documents; of two with one key the later counts.
    pub documents: Vec<Document>,
    /// Settings of the whole mesh.
    pub options: MeshOptions,
}

/// Settings of the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshOptions {
    /// The namespace whose documents hold for all others.
    pub root_namespace: String,
    /// The trust domain of identities.
    pub trust_domain: String,
    /// Whether requests to hosts that no service has are let out; else they are answered 502.
    pub outbound_allow_any: bool,
    /// How long changes of hosts' health (an ejection, a return) are held back after the last one, before a proxy's
    /// balancing sees them: Envoy's `update_merge_window`.
    pub ejection_delay: Duration,
    /// Whom DestinationRules without `exportTo` are for. Source: Istio, `MeshConfig.defaultDestinationRuleExportTo`.
    pub destination_rules_for: DefaultExport,
    /// Whom VirtualServices without `exportTo` are for. Source: Istio, `MeshConfig.defaultVirtualServiceExportTo`.
    pub virtual_services_for: DefaultExport,
}

/// Whom documents are for that do not say it. Istio honours no other values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultExport {
    /// All callers: `*`.
    #[default]
    All,
    /// Those of the document's own namespace: `.`.
    OwnNamespace,
}

impl MeshOptions {
    /// Envoy's. Source: Envoy, `Cluster.CommonLbConfig.update_merge_window`.
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
                protocol: Protocol::Http,
            },
            InboundPort {
                service: 9080,
                app: 20_001,
                protocol: Protocol::Http,
            },
        ];
        assert_eq!(registry.pod(address.ip()).ports, ports);
        assert_eq!(registry.pod("127.9.9.9".parse().unwrap()).ports, []);
    }
}
