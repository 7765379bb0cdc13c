//! Files of Kubernetes documents, and what of each document is taken.

use shakedown_yaml::{Diagnostics, Node, Place, tree};

use super::Document;
use super::kinds::{self, Known, Treatment};
use super::meta::Header;
use super::omission::Omission;
use crate::registry::{Hostname, Port, Protocol, Service};

/// What a document came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What is taken of it.
    pub content: Content,
    /// What of it was passed over.
    pub omissions: Vec<Omission>,
}

/// What is taken of a document.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a mesh has few documents, and each is read once: no indirection is worth its noise"
)]
pub enum Content {
    /// A document that configures the mesh.
    Document(Document),
    /// Services by name and port: that of a Service, or the hosts of a ServiceEntry, of which some are wildcards.
    Services(Vec<Service>),
    /// Nothing.
    Nothing,
}

/// The documents of a file in the YAML that kubectl reads, or in JSON; those of a `List` one by one.
///
/// # Errors
/// All that is wrong with the file, and a list that nests too deeply.
pub fn documents_of(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Diagnostics> {
    let nodes = tree::parse_kubernetes(file, bytes)?;
    Ok(nodes.into_iter().flat_map(items_of).collect())
}

/// The documents of a `List`, one by one; any other document alone.
pub fn items_of(node: Node) -> Vec<Node> {
    let mut items = Vec::new();
    flatten(node, &mut items);
    items
}

/// Takes lists apart. Source: kubectl, `FlattenListVisitor`.
fn flatten(node: Node, out: &mut Vec<Node>) {
    let is_list = node.get("kind").and_then(Node::as_str);
    let is_list = is_list.is_some_and(|kind| kind.ends_with("List"));
    match node.get("items").and_then(Node::as_list) {
        // The tree's depth is bounded, and so is this recursion.
        Some(items) if is_list => items.iter().for_each(|item| flatten(item.clone(), out)),
        _ => out.push(node),
    }
}

impl Manifest {
    /// Reads a document, and passes over what is not modelled.
    ///
    /// # Errors
    /// What is wrong with it: fields and kinds that do not exist, values that are not accepted.
    pub fn read(node: &Node) -> Result<Manifest, Diagnostics> {
        let (api_version, kind) = Header::kind(node)?;
        let treatment = match kinds::known(&api_version.value, &kind.value) {
            Known::Yes(treatment) => treatment,
            Known::Foreign => {
                return Ok(foreign(node, &api_version.value, &kind.value, kind.place));
            }
            Known::No(why) => return Err(Diagnostics::one(kind.place, why)),
        };
        let omitted = |effect: Option<&str>| Omission {
            document: Header::key(node, &kind.value),
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
            // A list without items.
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

/// A document of somebody else's group.
fn foreign(node: &Node, api_version: &str, kind: &str, place: Place) -> Manifest {
    let effect = format!(
        "`{}` is not known: whatever this document changes is missing from the answer",
        kinds::group_of(api_version)
    );
    Manifest {
        content: Content::Nothing,
        omissions: vec![Omission {
            document: Header::key(node, kind),
            field: None,
            place,
            effect: Some(effect),
        }],
    }
}

/// The effect of a ConfigMap that holds Istio's mesh settings.
fn mesh_config(node: &Node, kind: &str) -> Option<&'static str> {
    let holds = kind == "ConfigMap"
        && node.find(&["data", "mesh"]).is_some()
        && node.find(&["metadata", "name"]).and_then(Node::as_str) == Some("istio");
    holds.then_some("its mesh settings are not applied: Istio's defaults are in force")
}

/// A Service by its name and ports, with its ports that are passed over because they do not speak HTTP.
fn service(node: &Node) -> (Option<Service>, Vec<Omission>) {
    let key = Header::key(node, "Service");
    let (mut http, mut others, mut omissions) = (Vec::new(), Vec::new(), Vec::new());
    for item in ports(node) {
        // The name says what is spoken only where `appProtocol` does not.
        let text = |key| {
            item.get(key)
                .and_then(Node::as_str)
                .filter(|it| !it.is_empty())
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
                        "its protocol is {protocol} and not HTTP: connections to it are missing from the answer"
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

/// The hosts of a ServiceEntry, each as a service; wildcards, too.
fn service_entry(node: &Node) -> Vec<Service> {
    let key = Header::key(node, "ServiceEntry");
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

/// The ports of a Service or a ServiceEntry, as written.
fn ports(node: &Node) -> impl Iterator<Item = &Node> {
    let list = node.find(&["spec", "ports"]).and_then(Node::as_list);
    list.unwrap_or_default().iter()
}

/// A port that speaks HTTP; as an error the number and protocol of one that speaks something else over TCP. None: it is not
/// of TCP, or has no number.
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

/// The protocol of a port, by its `appProtocol` or else the first part of its name; as an error one that is not HTTP. A port
/// that says nothing is taken for HTTP, which Istio detects, unless its number is known for another protocol.
/// Source: Istio, `ConvertProtocol`, `protocol.Parse`.
fn protocol(number: u16, says: &str) -> Result<Protocol, &'static str> {
    let says = says.to_ascii_lowercase();
    match says.as_str() {
        "kubernetes.io/h2c" => return Ok(Protocol::Http2),
        "kubernetes.io/ws" => return Ok(Protocol::Http),
        "kubernetes.io/wss" => return Err("HTTPS"),
        _ if says.starts_with("grpc-web") => return Ok(Protocol::Grpc),
        _ => {}
    }
    match says.split('-').next().unwrap_or_default() {
        "http2" => Ok(Protocol::Http2),
        "grpc" => Ok(Protocol::Grpc),
        "http" | "http_proxy" => Ok(Protocol::Http),
        "tcp" => Err("TCP"),
        "tls" => Err("TLS"),
        "https" => Err("HTTPS"),
        "mongo" => Err("Mongo"),
        "redis" => Err("Redis"),
        "mysql" => Err("MySQL"),
        "hbone" => Err("HBONE"),
        // SMTP, DNS, MySQL, MongoDB. Source: Istio, `wellKnownPorts`.
        _ if [25, 53, 3306, 27017].contains(&number) => Err("TCP"),
        _ => Ok(Protocol::Http),
    }
}

#[cfg(test)]
mod tests;
