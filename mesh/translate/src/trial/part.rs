//! The part of a mesh affected by changed documents: the services that they name, and the documents that name these
//! services.

use std::collections::BTreeSet;

use shakedown_istio::registry::{Hostname, Mesh, Registry, names_in};
use shakedown_istio::{Document, DocumentKey, in_force};

use crate::delegate;

/// Returns the services that changed documents name, with all documents that name one of these services, and all
/// delegates.
pub(super) fn touched(mesh: &Mesh, changed: &BTreeSet<DocumentKey>) -> Mesh {
    let is_changed =
        |document: &Document| changed.contains(&document.key()) || delegates_to(document, changed);
    let documents: Vec<&Document> = in_force(&mesh.documents).collect();
    let changed = documents
        .iter()
        .copied()
        .filter(|document| is_changed(document));
    let hosts: Vec<Hostname> = changed.flat_map(hosts_of).collect();
    let is_touched = |host: &Hostname| {
        hosts
            .iter()
            .any(|changed_host| changed_host.covers(host) || host.covers(changed_host))
    };
    let services = mesh
        .registry
        .services
        .iter()
        .filter(|(host, _)| is_touched(host));
    let is_part =
        |document: &Document| is_delegate(document) || hosts_of(document).iter().any(is_touched);
    let parts = documents.into_iter().filter(|document| is_part(document));
    Mesh {
        registry: Registry {
            services: services
                .map(|(host, service)| (host.clone(), service.clone()))
                .collect(),
            ..Registry::default()
        },
        documents: parts.cloned().collect(),
        options: mesh.options.clone(),
    }
}

fn hosts_of(document: &Document) -> Vec<Hostname> {
    let own = &document.meta().namespace;
    let names = names_in(document).into_iter();
    names
        .map(|(host, _)| Hostname::resolve(host, own))
        .collect()
}

fn is_delegate(document: &Document) -> bool {
    matches!(document, Document::VirtualService(resource) if resource.spec.hosts.is_empty())
}

/// Returns true if a document delegates to one of others.
fn delegates_to(document: &Document, others: &BTreeSet<DocumentKey>) -> bool {
    let Document::VirtualService(resource) = document else {
        return false;
    };
    let own = &resource.meta.namespace;
    resource
        .spec
        .http
        .iter()
        .filter_map(|route| route.delegate.as_ref())
        .any(|to| {
            let (namespace, name) = delegate::key(to, own);
            others.iter().any(|key| {
                key.kind == "VirtualService" && key.namespace == namespace && key.name == name
            })
        })
}
