//! From what the user wrote and the control plane knows to what is sent: pure functions, no order but the documents'.
//!
//! Names and defaults are Istio's: `outbound|9080|v2|reviews.default.svc.cluster.local`, LEAST_REQUEST, two retries, no
//! route timeout, a connect timeout of 10 s, and thresholds that never bite. It differs from Istio where our pods do:
//! there is no interception, so that one outbound listener routes by authority with a single route configuration for
//! all ports, and an inbound listener stands on each service port. Sidecars share what is outbound as far as documents let
//! them; so a service's short name alone (`reviews`) means the only service of that name, or else the one in the namespace
//! `default`, whoever calls.
//!
//! The documents must be valid ([`shakedown_istio::validate`](crate::validate())); from those that are not, it makes what
//! Istio would: a subset that does not exist is a cluster that does not, which the proxy answers with 503.

mod audience;
mod balancing;
mod by_host;
pub mod caller;
mod clusters;
mod connection_pool;
pub mod delegate;
mod endpoints;
pub mod export;
mod inbound;
pub mod index;
mod locality;
mod outlier;
mod policies;
mod retries;
pub mod routes;
pub mod rules;
mod trial;
mod validate;

pub use audience::{Audience, Audiences};
pub use caller::{Caller, depends_on_caller};
pub use clusters::Policy as ClusterPolicy;
pub use locality::{Client, Nearness};
pub use policies::Inbound;
pub use policies::{OfCallers, of_workload};

pub use validate::{validate, validate_changed};

use std::collections::BTreeSet;
use std::iter;
use std::time::Duration;

use shakedown_istio::registry::{Mesh, Pod, Service};
use shakedown_xds::proto::{self, Resource, core};

use index::Index;

/// The name of the route configuration that outbound listeners use.
pub const OUTBOUND_ROUTES: &str = "15001";
/// The cluster of requests to hosts that no service has.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// The cluster that reaches nothing.
pub const BLACK_HOLE: &str = "BlackHoleCluster";
/// How long a connection may take to come up. Source: Istio, `MeshConfig.connectTimeout`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What sidecars have to send by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbound {
    /// Clusters, those of services by service, port and subset.
    pub clusters: Vec<Resource>,
    /// Endpoints of those clusters.
    pub endpoints: Vec<Resource>,
    /// The route configuration [`OUTBOUND_ROUTES`], unless it depends on the caller ([`depends_on_caller`]).
    pub routes: Vec<Resource>,
}

/// What one sidecar has for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// A cluster for each port of the app.
    pub clusters: Vec<Resource>,
    /// The outbound listener, and an inbound one for each port.
    pub listeners: Vec<Resource>,
}

/// What the sidecars of an [`Audience`] have in the place of what others have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Otherwise {
    /// What takes the place of what has the same name.
    pub outbound: Outbound,
    /// The clusters that they do not have, whose names are those of their endpoints.
    pub absent: Vec<String>,
}

/// What all sidecars share but those of an [`Audience`] of their own.
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

/// What the callers of an audience have otherwise than [`outbound`] says. `caller`: any of them.
pub fn outbound_of(mesh: &Mesh, audience: &Audience, caller: &Caller) -> Otherwise {
    let index = Index::seen_by(mesh, caller);
    let services = || {
        let services = audience.services();
        services.filter_map(|host| mesh.registry.services.get(host))
    };
    let mut outbound = clusters_of(mesh, &index, services());
    let has: BTreeSet<&str> = outbound.clusters.iter().map(|own| &*own.name).collect();
    let mut absent = names_of(&Index::new(mesh), services());
    absent.retain(|name| !has.contains(name.as_str()));
    if !depends_on_caller(mesh) {
        outbound.routes.push(routes(mesh, &index, caller));
    }
    Otherwise { outbound, absent }
}

/// The names of services' clusters.
fn names_of<'m>(index: &Index<'_>, services: impl Iterator<Item = &'m Service>) -> Vec<String> {
    let mut names = Vec::new();
    for service in services {
        let rule = index.rule(service);
        let subsets = || rule.subsets.iter().map(|subset| subset.name.as_str());
        for port in &service.ports {
            let all = iter::once("").chain(subsets());
            names
                .extend(all.map(|it| outbound_cluster(port.number, it, service.hostname.as_str())));
        }
    }
    names
}

/// The clusters of services and their endpoints, as a caller sees them.
fn clusters_of<'m>(
    mesh: &Mesh,
    index: &Index<'_>,
    services: impl Iterator<Item = &'m Service>,
) -> Outbound {
    let policies = policies::OfCallers::new(mesh);
    let mut result = Outbound::default();
    for service in services {
        let rule = index.rule(service);
        for port in &service.ports {
            for mut cluster in clusters::of_port(service, port, &rule, &mesh.options) {
                policies.apply(&mut cluster.message, &service.hostname);
                let endpoints = endpoints::of(service, port, &cluster);
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

/// The routes that a caller sees, where that depends on the caller ([`depends_on_caller`]).
pub fn routes_for(mesh: &Mesh, caller: &Caller) -> Resource {
    routes(mesh, &Index::seen_by(mesh, caller), caller)
}

fn routes(mesh: &Mesh, index: &Index<'_>, caller: &Caller) -> Resource {
    let mut routes = routes::outbound(mesh, index, caller);
    balancing::hash_routes(&mut routes, mesh, index);
    Resource::new(OUTBOUND_ROUTES, &routes)
}

/// Endpoints as one client is to see them, of all clusters for which that depends on the client. They take the place of
/// those of the same name that all callers like it have.
pub fn nearby(mesh: &Mesh, caller: &Caller, client: &Client) -> Vec<Resource> {
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

/// What the sidecar of a pod has for itself; `policy` is what it does before its app.
pub fn own(pod: &Pod, policy: &Inbound) -> Own {
    let mut result = Own::default();
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

/// The name of a service's cluster; `subset` is empty for all of it.
pub fn outbound_cluster(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The name of an app port's cluster.
pub fn inbound_cluster(port: u16) -> String {
    format!("inbound|{port}||")
}

/// What says that a resource comes by ADS, too.
fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        // No bound on the first fetch: a listener without its routes would serve 404. Source: Istio.
        initial_fetch_timeout: Some(proto::duration(Duration::ZERO)),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            Default::default(),
        )),
        ..Default::default()
    }
}

fn socket(address: std::net::IpAddr, port: u16) -> core::Address {
    let socket = core::SocketAddress {
        address: address.to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    core::Address {
        address: Some(core::address::Address::SocketAddress(socket)),
    }
}

fn wrapped(value: u32) -> proto::protobuf::UInt32Value {
    proto::protobuf::UInt32Value { value }
}

#[cfg(test)]
mod tests;
