//! Whom routes are for: documents may speak of callers, and then callers see different routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use shakedown_istio::registry::{DEFAULT_NAMESPACE, Mesh, Registry};
use shakedown_istio::{Document, HttpRoute, VirtualService, in_force};

use super::export::is_for_all;

/// A caller, as documents may speak of it. Callers that are equal see the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The namespace of its pod; none: one that no document speaks of.
    pub namespace: String,
    /// Its pod's labels.
    pub labels: BTreeMap<String, String>,
}

impl Caller {
    /// The pod at an address, as far as the registry knows it: the labels of the endpoints there, and the namespace of the
    /// first service that they belong to. One that serves nothing is as it says itself; one that is not known has no labels,
    /// and is in the namespace `default`.
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

/// Whether the routes that a sidecar is sent depend on which caller it serves.
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
