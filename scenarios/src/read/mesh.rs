//! Reads mesh edits: documents from files, inline documents, patches and removals.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use shakedown_istio::registry::{self, Mesh, MeshOptions, Port, Registry};
use shakedown_istio::{Content, Document, DocumentKey, Manifest, Omission};
use shakedown_yaml::{Diagnostics, Location as FilePlace, Node, Raw, patch, suggest};

use super::chaos::known_start;
use super::fields::get;
use super::reader::ScenarioReader;
use super::routes::ScenarioRoutes;
use super::target::TargetNames;
use crate::file::{ApplyKeys, EditFileKeys, EditPatchKeys, EditRemoveKeys};
use crate::scenario::ControlPlane;

/// A document as a tree, with the place that included its file.
#[derive(Clone)]
pub(super) struct Edited {
    key: DocumentKey,
    pub(super) node: Node,
    via: Option<FilePlace>,
}

impl ScenarioReader<'_> {
    /// Applies all edits in order and returns the resulting documents as trees.
    pub(super) fn mesh(&mut self, list: &Node) -> Vec<Edited> {
        let mut documents = Vec::new();
        self.edits(list, &mut documents);
        documents
    }

    /// The routes that requests may encounter, from the documents that can be parsed.
    pub(super) fn routes(&self, edited: &[Edited]) -> ScenarioRoutes {
        let at_0_s: Vec<Document> = edited
            .iter()
            .filter_map(|edited| Document::read(&edited.node).ok())
            .collect();
        let applied = self.applied.values();
        ScenarioRoutes::new(at_0_s.iter(), applied.flat_map(|(documents, _)| documents))
    }

    /// Applies edits in order. Returns the keys of the added and patched documents, even if these are unchanged.
    fn edits(&mut self, list: &Node, documents: &mut Vec<Edited>) -> Vec<DocumentKey> {
        let mut offered = Vec::new();
        for item in self.list(list, "mesh edits") {
            if self.map(item).is_none() {
                if item.is_null() {
                    self.error(&item.place, "expected a mesh edit: `{file: PATH}`, a document, `{patch: ...}` or `{remove: ...}`");
                }
                continue;
            }
            if get(item, "file").is_some() {
                if let Some(EditFileKeys { file: Raw(file) }) = self.decode(item) {
                    offered.extend(self.file(&file, documents));
                }
            } else if get(item, "patch").is_some() {
                if let Some(edit) = self.decode(item) {
                    offered.extend(self.patch(&edit, documents));
                }
            } else if get(item, "remove").is_some() {
                if let Some(EditRemoveKeys { remove: Raw(name) }) = self.decode(item)
                    && let Some(at) = self.present(&name, documents)
                {
                    documents.remove(at);
                }
            } else {
                for node in shakedown_istio::items_of(item.clone()) {
                    offered.extend(self.put(node, None, documents));
                }
            }
        }
        offered
    }

    /// Computes the documents of each `apply` item, in the order of their starts, because each builds on the result of
    /// the earlier ones.
    pub(super) fn applies(&mut self, chaos: &Node, mesh: &[Edited]) {
        let items = chaos.as_list().unwrap_or_default().iter().enumerate();
        let mut applies: Vec<(usize, &Node)> = items
            .filter(|(_, item)| get(item, "do").and_then(Node::as_str) == Some("apply"))
            .collect();
        applies.sort_by_key(|(_, item)| known_start(item));
        let mut documents = mesh.to_vec();
        for (index, item) in applies {
            let Some(ApplyKeys { mesh: Raw(list) }) = self.decode_part(item) else {
                continue;
            };
            let list = &list;
            self.include_files(list);
            let before = documents.clone();
            let offered = self.edits(list, &mut documents);
            if self.list(list, "mesh edits").is_empty() {
                self.error(&list.place, "`apply` needs at least one edit");
            }
            let remove = before
                .iter()
                .filter(|old| !documents.iter().any(|d| d.key == old.key));
            let remove = remove.map(|old| old.key.clone()).collect();
            let mut read = Vec::new();
            for edited in documents.iter().filter(|new| offered.contains(&new.key)) {
                match Manifest::read(&edited.node) {
                    Ok(manifest) => read.extend(self.taken(manifest, edited, None)),
                    Err(errors) => self.unreadable(errors, edited),
                }
            }
            self.applied.insert(index, (read, remove));
        }
    }

    /// Includes the files of an `apply`. The expanded scenario refers to them by name.
    fn include_files(&mut self, list: &Node) {
        let items = list.as_list().unwrap_or_default().iter();
        for path in items.filter_map(|item| get(item, "file")?.as_str()) {
            if let Ok(content) = self.source.include(path) {
                let text = String::from_utf8_lossy(&content).into_owned();
                self.included.insert(path.to_owned(), text);
            }
        }
    }

    /// Reports a document that cannot be parsed. The control plane would refuse it, but the runner cannot send it such
    /// a document.
    fn unreadable(&mut self, errors: Diagnostics, edited: &Edited) {
        for mut error in errors {
            if !error.message.starts_with("not supported yet") {
                error.message = format!(
                    "not supported yet: `apply` of a document that cannot be read: {}",
                    error.message
                );
            }
            error.via = error.via.or_else(|| edited.via.clone());
            self.errors.push(error);
        }
    }

    /// Adds a document. Replaces one of the same kind, namespace and name.
    fn put(
        &mut self,
        node: Node,
        via: Option<FilePlace>,
        documents: &mut Vec<Edited>,
    ) -> Option<DocumentKey> {
        match DocumentKey::from_node(&node) {
            Ok(key) => {
                let edited = Edited {
                    key: key.clone(),
                    node,
                    via,
                };
                match documents.iter_mut().find(|known| known.key == edited.key) {
                    Some(known) => *known = edited,
                    None => documents.push(edited),
                }
                Some(key)
            }
            Err(errors) => {
                self.errors.append(match &via {
                    Some(via) => errors.via(via),
                    None => errors,
                });
                None
            }
        }
    }

    fn file(&mut self, file: &Node, documents: &mut Vec<Edited>) -> Vec<DocumentKey> {
        let mut offered = Vec::new();
        let Some(path) = self.text(file, "a path") else {
            return offered;
        };
        let content = match self.source.include(path) {
            Ok(content) => content,
            Err(error) => {
                self.error(&file.place, error.to_string());
                return offered;
            }
        };
        match shakedown_istio::documents_of(&self.source.beside(path), &content) {
            Ok(nodes) => {
                for node in nodes {
                    offered.extend(self.put(node, Some(file.place.clone()), documents));
                }
            }
            Err(errors) => self.errors.append(errors.via(&file.place)),
        }
        offered
    }

    fn patch(&mut self, edit: &EditPatchKeys, documents: &mut [Edited]) -> Option<DocumentKey> {
        let at = self.present(&edit.patch.0, documents)?;
        patch::merge(&mut documents[at].node, &edit.with.0);
        Some(documents[at].key.clone())
    }

    /// The index of the document with a written key.
    fn present(&mut self, name: &Node, documents: &[Edited]) -> Option<usize> {
        let key = self.parsed(name, "a document: `KIND/NAME`", str::parse::<DocumentKey>)?;
        let at = documents.iter().position(|document| document.key == key);
        if at.is_none() {
            let known: Vec<String> = documents
                .iter()
                .map(|document| document.key.to_string())
                .collect();
            let hint = if known.is_empty() {
                "the mesh has no documents".to_owned()
            } else {
                suggest::hint(&key.to_string(), known.iter().map(String::as_str))
            };
            self.error(&name.place, format!("no document `{key}`: {hint}"));
        }
        at
    }

    /// Parses all documents and validates them together with the services.
    pub(super) fn documents(
        &mut self,
        edited: &[Edited],
        names: &TargetNames<'_>,
        control: &ControlPlane,
    ) -> Vec<Document> {
        let mut documents = Vec::new();
        let mut vias: BTreeMap<String, FilePlace> = BTreeMap::new();
        let before = self.errors.len();
        for edited in edited {
            if let Some(via) = &edited.via {
                vias.insert(edited.node.place.file.to_string(), via.clone());
            }
            documents.extend(self.document(edited, names));
        }
        // Errors about the whole mesh are only meaningful if every service and document is valid.
        let whole = self.errors.len() == before
            && !self.incomplete
            && names.skeletons.iter().all(|s| !s.open);
        if whole {
            let mesh = Mesh {
                registry: registry(names),
                documents: documents.clone(),
                options: options(control),
            };
            for mut error in shakedown_translate::validate(&mesh) {
                if error.via.is_none() {
                    error.via = vias.get(&*error.place.file).cloned();
                }
                self.errors.push(error);
            }
            if self.errors.len() == before {
                let advice = shakedown_analysis::advise(&mesh);
                self.warnings.extend(advice.iter().map(ToString::to_string));
            }
        }
        documents
    }
}

impl ScenarioReader<'_> {
    fn document(&mut self, edited: &Edited, names: &TargetNames<'_>) -> Option<Document> {
        match Manifest::read(&edited.node) {
            Ok(manifest) => self.taken(manifest, edited, Some(names)),
            Err(errors) => {
                self.errors.append(match &edited.via {
                    Some(via) => errors.via(via),
                    None => errors,
                });
                None
            }
        }
    }

    /// Returns the document if it configures the mesh, and records its omissions. Services are defined by the topology,
    /// so that a Service document is ignored. Its difference from the `scene`, if known, becomes the effect of the
    /// omission.
    fn taken(
        &mut self,
        manifest: Manifest,
        edited: &Edited,
        names: Option<&TargetNames<'_>>,
    ) -> Option<Document> {
        for omission in manifest.omissions {
            if !self.omissions.contains(&omission) {
                self.omissions.push(omission);
            }
        }
        match manifest.content {
            Content::Document(document) => return Some(document),
            Content::Services(services) if edited.key.kind == "Service" => {
                let first = services.first();
                self.omissions.push(Omission {
                    document: edited.key.clone(),
                    field: None,
                    place: edited.node.place.clone(),
                    effect: first.and_then(|service| differs(service, names?)),
                });
            }
            Content::Services(_) | Content::Nothing => {}
        }
        None
    }
}

/// The effect of ignoring a Service document that differs from the topology. `None` if it does not.
fn differs(service: &registry::Service, names: &TargetNames<'_>) -> Option<String> {
    let (name, namespace) = (&service.name, &service.namespace);
    let mut services = names.services.iter();
    let Some(known) =
        services.find(|service| service.name == *name && service.namespace == *namespace)
    else {
        return Some(format!(
            "services are defined by the topology, which has no `{name}`: requests to it are not answered"
        ));
    };
    let port = known.port;
    (!service.ports.iter().any(|known| known.number == port)).then(|| {
        format!("services are defined by the topology, where `{name}` has port {port}: the ports of this document are not served")
    })
}

/// The registry of services that documents are validated against.
fn registry(names: &TargetNames<'_>) -> Registry {
    let mut registry = Registry::new();
    let locality = |zone: &u16| {
        let zone = &names.zones[usize::from(*zone)];
        registry::Locality {
            region: zone.region.clone(),
            zone: zone.name.clone(),
            subzone: zone.subzone.clone(),
        }
    };
    for service in names.services {
        let mut known = registry::Service::new(
            &service.name,
            &service.namespace,
            vec![Port::http(service.port)],
        );
        for version in &service.versions {
            for locality in version.zones.iter().map(locality) {
                known.endpoints.push(registry::Endpoint {
                    // A placeholder address: the endpoint only represents the version's labels.
                    address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), service.port),
                    labels: registry::augment_labels(&locality, version.labels.clone()),
                    locality,
                    ready: true,
                    workload: format!("{}-{}", service.name, version.name),
                });
            }
        }
        registry.insert(known);
    }
    for (number, load) in (1..).zip(names.loads) {
        let locality = load.zones.first().map(locality).unwrap_or_default();
        let labels = BTreeMap::from([("app".to_owned(), load.name.clone())]);
        let client = registry::Workload {
            namespace: load.namespace.clone(),
            labels: registry::augment_labels(&locality, labels),
            locality,
        };
        // A placeholder address, too.
        let address = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
        registry.clients.insert(address.into(), client);
    }
    registry
}

fn options(control: &ControlPlane) -> MeshOptions {
    MeshOptions {
        root_namespace: control.root_namespace.clone(),
        trust_domain: control.trust_domain.clone(),
        outbound_allow_any: control.outbound_allow_any,
        ejection_delay: control.ejection_delay,
        destination_rules_for: control.destination_rules_for,
        virtual_services_for: control.virtual_services_for,
    }
}
