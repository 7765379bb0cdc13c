//! Translation of Istio documents and the service registry into xDS resources, as pure functions whose result depends
//! on no order but that of the documents.
//!
//! Names and defaults are Istio's: `outbound|9080|v2|reviews.default.svc.cluster.local`, LEAST_REQUEST, two retries,
//! no route timeout, a connect timeout of 10 s, and effectively unlimited circuit breakers. There are differences
//! because pods here have no traffic interception. A single outbound listener routes by authority, with one route
//! configuration for all ports, and there is an inbound listener for each service port. Sidecars share the outbound
//! configuration as far as the documents allow. Therefore a short service name (`reviews`) means the only service of
//! that name, or else the one in the namespace `default`, for every caller.
//!
//! The documents must be valid ([`shakedown_istio::validate`](crate::validate())). Invalid ones are translated as
//! Istio would: a reference to a missing subset becomes a reference to a missing cluster, for which the proxy
//! responds with 503.

mod balancing;
mod by_host;
pub mod caller;
mod cluster_policy;
mod clusters;
mod connection_pool;
pub mod delegate;
mod endpoints;
pub mod export;
mod inbound;
pub mod index;
mod locality;
mod messages;
mod names;
mod outlier;
mod policies;
mod retries;
pub mod routes;
pub mod rules;
mod sidecar_scope;
mod trial;
mod validate;

pub use caller::{Caller, depends_on_caller};
pub use cluster_policy::ClusterPolicy;
pub use connection_pool::CONNECT_TIMEOUT;
pub use locality::{LocalityClient, LocalityInputs};
pub use names::{BLACK_HOLE, OUTBOUND_ROUTES, PASSTHROUGH, inbound_cluster, outbound_cluster};
pub use policies::InboundPolicy;
pub use policies::{CallerPolicies, of_workload};
pub use sidecar_scope::{ScopeInputs, SidecarScope};

pub use validate::{validate, validate_changed};

use std::collections::BTreeSet;
use std::iter;

use shakedown_istio::registry::{Mesh, Service, SidecarPod};
use shakedown_xds::proto::Resource;

use index::Index;

/// The outbound configuration of sidecars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbound {
    /// The clusters. Those of services are ordered by service, port and subset.
    pub clusters: Vec<Resource>,
    /// The endpoints of these clusters.
    pub endpoints: Vec<Resource>,
    /// The route configuration [`OUTBOUND_ROUTES`]. Empty if it depends on the caller ([`depends_on_caller`]).
    pub routes: Vec<Resource>,
}

/// The configuration of a single sidecar that it shares with no other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SidecarResources {
    /// The inbound clusters, one for each port of the application.
    pub clusters: Vec<Resource>,
    /// The outbound listener, and an inbound one for each port.
    pub listeners: Vec<Resource>,
}

/// The differences between the outbound configuration of a [`SidecarScope`] and the shared one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopedResources {
    /// Resources that replace the shared ones of the same name.
    pub outbound: Outbound,
    /// The shared clusters that are absent for this scope. Their endpoints have the same names.
    pub absent: Vec<String>,
}

/// Returns the outbound configuration that all sidecars share, except those with a [`SidecarScope`] of their own.
pub fn outbound(mesh: &Mesh) -> Outbound {
    let index = Index::new(mesh);
    let mut result = clusters_of(mesh, &index, mesh.registry.services.values());
    for cluster in [clusters::black_hole(), clusters::passthrough()] {
        result
            .clusters
            .push(Resource::new(cluster.name.clone(), &cluster));
    }
    if !depends_on_caller(mesh) {
        result.routes.push(routes(mesh, &index, &Caller::default()));
    }
    result
}

/// Returns the differences from [`outbound`] for a scope. `caller`: any caller in it.
pub fn outbound_of(mesh: &Mesh, scope: &SidecarScope, caller: &Caller) -> ScopedResources {
    let index = Index::seen_by(mesh, caller);
    let services = || {
        let services = scope.services();
        services.filter_map(|host| mesh.registry.services.get(host))
    };
    let mut outbound = clusters_of(mesh, &index, services());
    let has: BTreeSet<&str> = outbound.clusters.iter().map(|own| &*own.name).collect();
    let mut absent = names_of(&Index::new(mesh), services());
    absent.retain(|name| !has.contains(name.as_str()));
    if !depends_on_caller(mesh) {
        outbound.routes.push(routes(mesh, &index, caller));
    }
    ScopedResources { outbound, absent }
}

/// Returns the names of services' clusters.
fn names_of<'m>(index: &Index<'_>, services: impl Iterator<Item = &'m Service>) -> Vec<String> {
    let mut names = Vec::new();
    for service in services {
        let rule = index.rule(service);
        let subsets = || rule.subsets.iter().map(|subset| subset.name.as_str());
        for port in &service.ports {
            let all = iter::once("").chain(subsets());
            names.extend(
                all.map(|subset| outbound_cluster(port.number, subset, service.hostname.as_str())),
            );
        }
    }
    names
}

/// Returns the clusters of services with their endpoints, as a caller sees them.
fn clusters_of<'m>(
    mesh: &Mesh,
    index: &Index<'_>,
    services: impl Iterator<Item = &'m Service>,
) -> Outbound {
    let policies = policies::CallerPolicies::new(mesh);
    let mut result = Outbound::default();
    for service in services {
        let rule = index.rule(service);
        for port in &service.ports {
            for mut cluster in clusters::of_port(service, port, &rule, &mesh.options) {
                policies.apply(&mut cluster.message, &service.hostname);
                let endpoints = endpoints::for_cluster(service, port, &cluster);
                let name = &cluster.message.name;
                let endpoints = Resource::new(name.clone(), &endpoints);
                result.endpoints.push(endpoints);
                let sent = Resource::new(name.clone(), &cluster.message);
                result.clusters.push(sent);
            }
        }
    }
    result
}

/// Returns a caller's routes, for meshes in which they depend on the caller ([`depends_on_caller`]).
pub fn routes_for(mesh: &Mesh, caller: &Caller) -> Resource {
    routes(mesh, &Index::seen_by(mesh, caller), caller)
}

fn routes(mesh: &Mesh, index: &Index<'_>, caller: &Caller) -> Resource {
    let mut routes = routes::outbound(mesh, index, caller);
    balancing::hash_routes(&mut routes, mesh, index);
    Resource::new(OUTBOUND_ROUTES, &routes)
}

/// Returns the endpoints of all clusters for which they depend on the client's locality. They replace the endpoints
/// of the same name that are shared by the client's scope.
pub fn nearby(mesh: &Mesh, caller: &Caller, client: &LocalityClient) -> Vec<Resource> {
    let index = Index::seen_by(mesh, caller);
    let mut result = Vec::new();
    for service in mesh.registry.services.values() {
        let rule = index.rule(service);
        for port in &service.ports {
            for cluster in clusters::of_port(service, port, &rule, &mesh.options) {
                if let Some(setting) = &cluster.locality {
                    let endpoints = endpoints::near(service, port, &cluster, setting, client);
                    result.push(Resource::new(cluster.message.name.clone(), &endpoints));
                }
            }
        }
    }
    result
}

/// Returns the configuration that only a pod's own sidecar has. `policy`: its inbound policy.
pub fn own(pod: &SidecarPod, policy: &InboundPolicy) -> SidecarResources {
    let mut result = SidecarResources::default();
    let listener = inbound::outbound_listener(pod.address);
    result
        .listeners
        .push(Resource::new(listener.name.clone(), &listener));
    for port in &pod.ports {
        let cluster = inbound::cluster(pod.address, *port, policy.pool(port.service));
        result
            .clusters
            .push(Resource::new(cluster.name.clone(), &cluster));
        let listener = inbound::inbound_listener(pod.address, *port, policy.filters());
        result
            .listeners
            .push(Resource::new(listener.name.clone(), &listener));
    }
    result
}

#[cfg(test)]
mod tests;
