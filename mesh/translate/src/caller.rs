//! Callers as documents distinguish them. Documents can select callers, and then callers see different routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use shakedown_istio::registry::{DEFAULT_NAMESPACE, Mesh, Registry};
use shakedown_istio::{Document, HttpRoute, VirtualService, in_force};

use super::export::is_for_all;

/// The properties by which documents select a caller. Equal callers see the same configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The namespace of its pod. Empty: a namespace that appears in no document.
    pub namespace: String,
    /// The labels of its pod.
    pub labels: BTreeMap<String, String>,
}

impl Caller {
    /// Looks up the pod at an address in the registry: the labels of its endpoints, and the namespace of the first
    /// service they belong to. A pod without endpoints is looked up among the registry's clients. An unknown pod has
    /// no labels, and is in the namespace `default`.
    pub fn at(registry: &Registry, address: IpAddr) -> Caller {
        let mut caller = Caller::default();
        for service in registry.services.values() {
            for endpoint in &service.endpoints {
                if endpoint.address.ip() == address {
                    if caller.namespace.is_empty() {
                        caller.namespace.clone_from(&service.namespace);
                    }
                    caller.labels.extend(endpoint.labels.clone());
                }
            }
        }
        if !caller.namespace.is_empty() {
            return caller;
        }
        match registry.clients.get(&address) {
            Some(client) => Caller {
                namespace: client.namespace.clone(),
                labels: client.labels.clone(),
            },
            None => Caller {
                namespace: DEFAULT_NAMESPACE.into(),
                ..caller
            },
        }
    }
}

/// Returns true if a sidecar's routes depend on the caller it serves.
pub fn depends_on_caller(mesh: &Mesh) -> bool {
    let default = mesh.options.virtual_services_for;
    in_force(&mesh.documents).any(|document| match document {
        Document::VirtualService(resource) => {
            speaks_of_callers(&resource.spec) || !is_for_all(&resource.spec, default)
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
