//! Whom routes are for: documents may speak of callers, and then callers see different routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::index::in_force;
use crate::api::{Document, HttpRoute, VirtualService};
use crate::registry::{Mesh, Registry};

/// The name that stands for all sidecars among gateways.
pub(crate) const SIDECARS: &str = "mesh";
/// Everybody, in `exportTo`.
pub(crate) const EVERYBODY: &str = "*";
/// The document's own namespace, in `exportTo`.
pub(crate) const OWN_NAMESPACE: &str = ".";

/// A caller, as documents may speak of it. Callers that are equal see the same routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The namespace of its pod.
    pub namespace: String,
    /// Its pod's labels.
    pub labels: BTreeMap<String, String>,
}

impl Caller {
    /// The pod at an address, as far as the registry knows it: the labels of the endpoints there, and the namespace of the
    /// first service that they belong to. A pod that serves nothing has no labels, and is in the namespace `default`.
    pub fn at(registry: &Registry, address: IpAddr) -> Caller {
        let mut caller = Caller {
            namespace: "default".into(),
            labels: BTreeMap::new(),
        };
        let mut found = false;
        for service in registry.services.values() {
            for endpoint in &service.endpoints {
                if endpoint.address.ip() == address {
                    if !found {
                        caller.namespace.clone_from(&service.namespace);
                        found = true;
                    }
                    caller.labels.extend(endpoint.labels.clone());
                }
            }
        }
        caller
    }
}

/// Whether what a sidecar is sent depends on which caller it serves.
pub fn depends_on_caller(mesh: &Mesh) -> bool {
    in_force(&mesh.documents).any(|document| match document {
        Document::VirtualService(resource) => {
            speaks_of_callers(&resource.spec) || !is_exported_to_all(&resource.spec)
        }
        _ => false,
    })
}

fn speaks_of_callers(spec: &VirtualService) -> bool {
    let of_route = |route: &HttpRoute| {
        route.r#match.iter().any(|condition| {
            !condition.source_labels.is_empty() || condition.source_namespace.is_some()
        })
    };
    spec.http.iter().any(|route| of_route(route))
}

fn is_exported_to_all(spec: &VirtualService) -> bool {
    spec.export_to.is_empty() || spec.export_to.iter().any(|to| to.value == EVERYBODY)
}

/// Whether a document of a namespace is for callers of another.
pub(super) fn is_exported_to(spec: &VirtualService, namespace: &str, caller: &str) -> bool {
    is_exported_to_all(spec)
        || spec.export_to.iter().any(|to| match to.as_str() {
            OWN_NAMESPACE => caller == namespace,
            other => caller == other,
        })
}

/// Whether a document is for sidecars at all.
pub(crate) fn is_for_sidecars(spec: &VirtualService) -> bool {
    spec.gateways.is_empty() || spec.gateways.iter().any(|name| name.value == SIDECARS)
}
