//! Files of Kubernetes documents, and what of each document is taken.

use super::Document;
use super::kinds::{self, Known, Treatment};
use super::meta::Header;
use super::omission::Omission;
use crate::diagnostic::{Diagnostics, Place};
use crate::registry::{Hostname, Port, Protocol, Service};
use crate::tree::{self, Node};

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
    /// Services by name and port: those of a Service, or the hosts of a ServiceEntry.
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
            Treatment::Modelled if kind.value == "Service" => Ok(Manifest {
                content: Content::Services(service(node).into_iter().collect()),
                omissions: Vec::new(),
            }),
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

/// A Service by its name and ports. One that has no port for TCP serves nothing here.
fn service(node: &Node) -> Option<Service> {
    let key = Header::key(node, "Service");
    let ports = ports(node.find(&["spec", "ports"]));
    (!ports.is_empty() && !key.name.is_empty())
        .then(|| Service::new(&key.name, &key.namespace, ports))
}

/// The hosts of a ServiceEntry, each as a service.
fn service_entry(node: &Node) -> Vec<Service> {
    let key = Header::key(node, "ServiceEntry");
    let ports = ports(node.find(&["spec", "ports"]));
    let hosts = node.find(&["spec", "hosts"]).and_then(Node::as_list);
    let hosts = hosts.unwrap_or_default().iter().filter_map(Node::as_str);
    let service = |host: &str| Service {
        name: host.to_owned(),
        namespace: key.namespace.clone(),
        hostname: Hostname::new(host),
        ports: ports.clone(),
        endpoints: Vec::new(),
    };
    match ports.is_empty() {
        true => Vec::new(),
        false => hosts
            .filter(|host| !host.contains('*'))
            .map(service)
            .collect(),
    }
}

/// Ports of a Service or a ServiceEntry.
fn ports(list: Option<&Node>) -> Vec<Port> {
    let items = list.and_then(Node::as_list).unwrap_or_default().iter();
    let port = |item: &Node| {
        let text = |key| item.get(key).and_then(Node::as_str).unwrap_or_default();
        let number = text("port").parse().or_else(|_| text("number").parse());
        if text("protocol").eq_ignore_ascii_case("udp")
            || text("protocol").eq_ignore_ascii_case("sctp")
        {
            return None;
        }
        Some(Port {
            number: number.ok()?,
            name: text("name").to_owned(),
            protocol: protocol(text("appProtocol"), text("name"), text("protocol")),
        })
    };
    items.filter_map(port).collect()
}

/// What is spoken on a port: `appProtocol` goes before the name's first part. Source: Istio, `ConvertProtocol`.
fn protocol(app_protocol: &str, name: &str, written: &str) -> Protocol {
    let first = name.split('-').next().unwrap_or_default();
    let said = [app_protocol, written, first].map(str::to_ascii_lowercase);
    let known = said.iter().find_map(|said| match said.as_str() {
        "http2" | "kubernetes.io/h2c" => Some(Protocol::Http2),
        "grpc" | "grpc-web" => Some(Protocol::Grpc),
        "http" => Some(Protocol::Http),
        _ => None,
    });
    known.unwrap_or_default()
}

#[cfg(test)]
mod tests;
