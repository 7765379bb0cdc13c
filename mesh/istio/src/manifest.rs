//! Parser for files of Kubernetes documents, which decides the parts of each document that are used.

use shakedown_yaml::{Diagnostics, Location, Node, tree};

use super::document::Document;
use super::kinds::{self, KnownKind, Treatment};
use super::meta::DocumentHeader;
use super::omission::Omission;
use crate::registry::{Hostname, Port, PortProtocol, Service};

/// The result of reading a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub content: Content,
    /// The document or fields that were skipped.
    pub omissions: Vec<Omission>,
}

/// The used content of a document.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a mesh has few documents and each is read once, so boxing would not pay off"
)]
pub enum Content {
    /// A document that configures the mesh.
    Document(Document),
    /// Services by name and port: that of a Service, or the hosts of a ServiceEntry, which may be wildcards.
    Services(Vec<Service>),
    Nothing,
}

/// Returns the documents of a file in kubectl's YAML or in JSON, with each `List` split into its items.
///
/// # Errors
/// All errors of the file, including lists that are nested too deeply.
pub fn documents_of(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Diagnostics> {
    let nodes = tree::parse_kubernetes(file, bytes)?;
    Ok(nodes.into_iter().flat_map(items_of).collect())
}

/// Returns the items of a `List`. Any other document is returned unchanged.
pub fn items_of(node: Node) -> Vec<Node> {
    let mut items = Vec::new();
    flatten(node, &mut items);
    items
}

/// Splits lists. Source: kubectl, `FlattenListVisitor`.
fn flatten(node: Node, out: &mut Vec<Node>) {
    let is_list = node.get("kind").and_then(Node::as_str);
    let is_list = is_list.is_some_and(|kind| kind.ends_with("List"));
    match node.get("items").and_then(Node::as_list) {
        // The recursion is bounded, because the depth of the tree is.
        Some(items) if is_list => items.iter().for_each(|item| flatten(item.clone(), out)),
        _ => out.push(node),
    }
}

impl Manifest {
    /// Reads a document, and skips kinds and fields that are not modelled.
    ///
    /// # Errors
    /// Unknown fields and kinds, and invalid values.
    pub fn read(node: &Node) -> Result<Manifest, Diagnostics> {
        let (api_version, kind) = DocumentHeader::kind(node)?;
        let treatment = match kinds::known(&api_version.value, &kind.value) {
            KnownKind::Yes(treatment) => treatment,
            KnownKind::Foreign => {
                return Ok(foreign(node, &api_version.value, &kind.value, kind.place));
            }
            KnownKind::No(why) => return Err(Diagnostics::one(kind.place, why)),
        };
        let omitted = |effect: Option<&str>| Omission {
            document: DocumentHeader::key(node, &kind.value),
            field: None,
            place: kind.place.clone(),
            effect: effect.map(str::to_owned),
        };
        let nothing = |effect| Manifest {
            content: Content::Nothing,
            omissions: vec![omitted(effect)],
        };
        match treatment {
            Treatment::Modelled if kind.value == "Service" => {
                let (service, omissions) = service(node);
                Ok(Manifest {
                    content: Content::Services(service.into_iter().collect()),
                    omissions,
                })
            }
            // Only a list without items, because `items_of` splits all others.
            Treatment::Modelled if kind.value == "List" => Ok(Manifest {
                content: Content::Nothing,
                omissions: Vec::new(),
            }),
            Treatment::Modelled => {
                let (document, omissions) = Document::read_modelled(node)?;
                Ok(match document {
                    Some(document) => Manifest {
                        content: Content::Document(document),
                        omissions,
                    },
                    None => Manifest {
                        content: Content::Nothing,
                        omissions,
                    },
                })
            }
            Treatment::Planned(effect) | Treatment::PassedOver(effect) => {
                let mut manifest = nothing(Some(effect));
                if kind.value == "ServiceEntry" {
                    manifest.content = Content::Services(service_entry(node));
                }
                Ok(manifest)
            }
            Treatment::Harmless => Ok(nothing(mesh_config(node, &kind.value))),
        }
    }
}

/// Reports a document of an unknown group as skipped.
fn foreign(node: &Node, api_version: &str, kind: &str, place: Location) -> Manifest {
    let effect = format!(
        "`{}` is an unknown API group: results do not include the effect of this document",
        kinds::group_of(api_version)
    );
    Manifest {
        content: Content::Nothing,
        omissions: vec![Omission {
            document: DocumentHeader::key(node, kind),
            field: None,
            place,
            effect: Some(effect),
        }],
    }
}

/// Returns the effect of skipping a ConfigMap with Istio's mesh settings.
fn mesh_config(node: &Node, kind: &str) -> Option<&'static str> {
    let holds = kind == "ConfigMap"
        && node.find(&["data", "mesh"]).is_some()
        && node.find(&["metadata", "name"]).and_then(Node::as_str) == Some("istio");
    holds.then_some("its mesh settings are not applied: Istio's defaults apply")
}

/// Reads a Service's name and ports. Ports that do not speak HTTP are reported as omissions.
fn service(node: &Node) -> (Option<Service>, Vec<Omission>) {
    let key = DocumentHeader::key(node, "Service");
    let (mut http, mut others, mut omissions) = (Vec::new(), Vec::new(), Vec::new());
    for item in ports(node) {
        // The name determines the protocol only if `appProtocol` does not.
        let text = |key| {
            item.get(key)
                .and_then(Node::as_str)
                .filter(|value| !value.is_empty())
        };
        let says = text("appProtocol").or(text("name")).unwrap_or_default();
        match port(item, says) {
            Some(Ok(port)) => http.push(port),
            Some(Err((number, protocol))) => {
                others.push(number);
                omissions.push(Omission {
                    document: key.clone(),
                    field: Some(format!("ports: {number}")),
                    place: item.place.clone(),
                    effect: Some(format!(
                        "its protocol is {protocol}, not HTTP: results do not include connections to it"
                    )),
                });
            }
            None => {}
        }
    }
    let mut service = Service::new(&key.name, &key.namespace, http);
    service.other_ports = others;
    ((!key.name.is_empty()).then_some(service), omissions)
}

/// Reads the hosts of a ServiceEntry, including wildcards, each as a service.
fn service_entry(node: &Node) -> Vec<Service> {
    let key = DocumentHeader::key(node, "ServiceEntry");
    let (mut http, mut others) = (Vec::new(), Vec::new());
    for item in ports(node) {
        let says = item.get("protocol").and_then(Node::as_str);
        match port(item, says.unwrap_or_default()) {
            Some(Ok(port)) => http.push(port),
            Some(Err((number, _))) => others.push(number),
            None => {}
        }
    }
    let hosts = node.find(&["spec", "hosts"]).and_then(Node::as_list);
    let hosts = hosts.unwrap_or_default().iter().filter_map(Node::as_str);
    let service = |host: &str| Service {
        name: host.to_owned(),
        namespace: key.namespace.clone(),
        hostname: Hostname::new(host),
        ports: http.clone(),
        other_ports: others.clone(),
        endpoints: Vec::new(),
    };
    hosts.map(service).collect()
}

/// Returns the ports of a Service or a ServiceEntry, as written.
fn ports(node: &Node) -> impl Iterator<Item = &Node> {
    let list = node.find(&["spec", "ports"]).and_then(Node::as_list);
    list.unwrap_or_default().iter()
}

/// Reads a port that speaks HTTP. `Err` contains the number and the protocol of a TCP port with another protocol.
/// `None`: not a TCP port, or without a number.
fn port(item: &Node, says: &str) -> Option<Result<Port, (u16, &'static str)>> {
    let text = |key| item.get(key).and_then(Node::as_str).unwrap_or_default();
    let number = text("port").parse().or_else(|_| text("number").parse());
    let number: u16 = number.ok()?;
    if ["udp", "sctp"].contains(&text("protocol").to_ascii_lowercase().as_str()) {
        return None;
    }
    Some(match protocol(number, says) {
        Ok(protocol) => Ok(Port {
            number,
            name: text("name").to_owned(),
            protocol,
        }),
        Err(other) => Err((number, other)),
    })
}

/// Determines the protocol of a port by its `appProtocol`, or else by the first part of its name. `Err` contains a
/// protocol other than HTTP. An unspecified protocol counts as HTTP, which Istio detects automatically, unless the
/// port's number is well known for another protocol. Source: Istio, `ConvertProtocol`, `protocol.Parse`.
fn protocol(number: u16, says: &str) -> Result<PortProtocol, &'static str> {
    let says = says.to_ascii_lowercase();
    match says.as_str() {
        "kubernetes.io/h2c" => return Ok(PortProtocol::Http2),
        "kubernetes.io/ws" => return Ok(PortProtocol::Http),
        "kubernetes.io/wss" => return Err("HTTPS"),
        _ if says.starts_with("grpc-web") => return Ok(PortProtocol::Grpc),
        _ => {}
    }
    match says.split('-').next().unwrap_or_default() {
        "http2" => Ok(PortProtocol::Http2),
        "grpc" => Ok(PortProtocol::Grpc),
        "http" | "http_proxy" => Ok(PortProtocol::Http),
        "tcp" => Err("TCP"),
        "tls" => Err("TLS"),
        "https" => Err("HTTPS"),
        "mongo" => Err("Mongo"),
        "redis" => Err("Redis"),
        "mysql" => Err("MySQL"),
        "hbone" => Err("HBONE"),
        // SMTP, DNS, MySQL, MongoDB. Source: Istio, `wellKnownPorts`.
        _ if [25, 53, 3306, 27017].contains(&number) => Err("TCP"),
        _ => Ok(PortProtocol::Http),
    }
}

#[cfg(test)]
mod tests;
