//! Mesh edits: documents from files, in place, patched, removed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use shakedown_config::api::{self, Document, Key};
use shakedown_config::registry::{self, Port};
use shakedown_config::{
    Mesh, MeshOptions, Node, Place as FilePlace, Registry, patch, suggest, tree,
};

use super::Reader;
use super::fields::{Keys, get};
use super::skeleton::Skeleton;
use crate::story::{Control, Service};

const PATCH: Keys = Keys {
    known: &["patch", "with"],
    later: &[],
};
const FILE: Keys = Keys {
    known: &["file"],
    later: &[],
};
const REMOVE: Keys = Keys {
    known: &["remove"],
    later: &[],
};

/// A document as a tree, and the place that brought its file in.
struct Edited {
    key: Key,
    node: Node,
    via: Option<FilePlace>,
}

impl Reader<'_> {
    /// Documents as trees, after all edits in order, with the place of the edit that brought in a file's.
    pub(super) fn mesh(&mut self, list: &Node) -> Vec<(Node, Option<FilePlace>)> {
        let mut documents: Vec<Edited> = Vec::new();
        for item in self.list(list, "mesh edits") {
            if self.map(item).is_none() {
                if item.is_null() {
                    self.error(&item.place, "expected a mesh edit: `{file: PATH}`, a document, `{patch: ...}` or `{remove: ...}`");
                }
                continue;
            }
            if let Some(file) = get(item, "file") {
                self.keys(item, &FILE);
                self.file(file, &mut documents);
            } else if let Some(name) = get(item, "patch") {
                self.keys(item, &PATCH);
                self.patch(item, name, &mut documents);
            } else if let Some(name) = get(item, "remove") {
                self.keys(item, &REMOVE);
                if let Some(at) = self.present(name, &documents) {
                    documents.remove(at);
                }
            } else {
                self.put(item.clone(), None, &mut documents);
            }
        }
        documents
            .into_iter()
            .map(|edited| (edited.node, edited.via))
            .collect()
    }

    /// Adds a document, in the place of one of its kind, namespace and name.
    fn put(&mut self, node: Node, via: Option<FilePlace>, documents: &mut Vec<Edited>) {
        match Key::of(&node) {
            Ok(key) => {
                let edited = Edited { key, node, via };
                match documents.iter_mut().find(|known| known.key == edited.key) {
                    Some(known) => *known = edited,
                    None => documents.push(edited),
                }
            }
            Err(errors) => self.errors.append(match &via {
                Some(via) => errors.via(via),
                None => errors,
            }),
        }
    }

    fn file(&mut self, file: &Node, documents: &mut Vec<Edited>) {
        let Some(path) = self.text(file, "a path") else {
            return;
        };
        match self.source.include(path) {
            Ok(content) => match tree::parse_bytes(&self.source.beside(path), &content) {
                Ok(nodes) => {
                    for node in nodes {
                        self.put(node, Some(file.place.clone()), documents);
                    }
                }
                Err(errors) => self.errors.append(errors.via(&file.place)),
            },
            Err(error) => self.error(&file.place, error.to_string()),
        }
    }

    fn patch(&mut self, item: &Node, name: &Node, documents: &mut [Edited]) {
        let Some(with) = get(item, "with") else {
            self.missing(item, "with", "with: {spec: {...}}");
            return;
        };
        if let Some(at) = self.present(name, documents) {
            patch::merge(&mut documents[at].node, with);
        }
    }

    /// The document of a written key.
    fn present(&mut self, name: &Node, documents: &[Edited]) -> Option<usize> {
        let key = self.parsed(name, "a document: `KIND/NAME`", str::parse::<Key>)?;
        let at = documents.iter().position(|document| document.key == key);
        if at.is_none() {
            let known: Vec<String> = documents
                .iter()
                .map(|document| document.key.to_string())
                .collect();
            let hint = suggest::hint(&key.to_string(), known.iter().map(String::as_str));
            self.error(&name.place, format!("no document `{key}` is there: {hint}"));
        }
        at
    }

    /// Documents as types, checked against the services.
    pub(super) fn documents(
        &mut self,
        nodes: &[(Node, Option<FilePlace>)],
        services: &[Service],
        skeletons: &[Skeleton],
        control: &Control,
    ) -> Vec<Document> {
        let mut documents = Vec::new();
        let mut vias: BTreeMap<String, FilePlace> = BTreeMap::new();
        let before = self.errors.len();
        for (node, via) in nodes {
            if let Some(via) = via {
                vias.insert(node.place.file.to_string(), via.clone());
            }
            match Document::read(node) {
                Ok(document) => documents.push(document),
                Err(errors) => self.errors.append(match via {
                    Some(via) => errors.via(via),
                    None => errors,
                }),
            }
        }
        // What only the whole mesh can tell makes sense once every service and document could be read.
        let whole =
            self.errors.len() == before && !self.incomplete && skeletons.iter().all(|s| !s.open);
        if whole {
            let mesh = Mesh {
                registry: registry(services),
                documents: documents.clone(),
                options: options(control),
            };
            for mut error in api::validate(&mesh) {
                if error.via.is_none() {
                    error.via = vias.get(&*error.place.file).cloned();
                }
                self.errors.push(error);
            }
        }
        documents
    }
}

/// What the control plane will know of the services, as far as documents can be checked against it.
fn registry(services: &[Service]) -> Registry {
    let mut registry = Registry::new();
    for service in services {
        let mut known = registry::Service::new(
            &service.name,
            &service.namespace,
            vec![Port::http(service.port)],
        );
        for version in &service.versions {
            known.endpoints.push(registry::Endpoint {
                // Nobody is asked at this address: it stands for the version's labels.
                address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), service.port),
                labels: version.labels.clone(),
                locality: registry::Locality::default(),
                ready: true,
                workload: format!("{}-{}", service.name, version.name),
            });
        }
        registry.insert(known);
    }
    registry
}

fn options(control: &Control) -> MeshOptions {
    MeshOptions {
        root_namespace: control.root_namespace.clone(),
        trust_domain: control.trust_domain.clone(),
        outbound_allow_any: control.outbound_allow_any,
    }
}
