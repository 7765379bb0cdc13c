//! Services derived from documents alone, without a cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::gateways::is_for_sidecars;

use super::{Hostname, Port, Registry, Service};
use crate::{Canary, Document, HttpRoute, Resource, VirtualService};

/// The suffixes of the services that Flagger creates for a canary. Source: Flagger, `KubernetesDefaultRouter`.
const OF_CANARIES: [&str; 3] = ["", "-primary", "-canary"];

impl Registry {
    /// Returns the services that documents declare: Services, hosts of ServiceEntries, and the services that Flagger
    /// creates for Canaries. `None` if the documents contain no Service, because the cluster's services are then
    /// unknown.
    pub fn declared(services: &[Service], documents: &[Document]) -> Option<Registry> {
        if !services.iter().any(Service::is_of_kubernetes) {
            return None;
        }
        let mut registry = Registry::new();
        for document in documents {
            if let Document::Canary(canary) = document {
                services_of_canary(canary).for_each(|service| registry.insert(service));
            }
        }
        registry.extend(services);
        Some(registry)
    }

    /// Returns all services that documents refer to, each with the referenced ports, or with `port` if there are none.
    pub fn named_by(documents: &[Document], port: u16) -> Registry {
        let mut ports: BTreeMap<Hostname, BTreeSet<u16>> = BTreeMap::new();
        for document in documents {
            let namespace = &document.meta().namespace;
            for (host, port) in names_in(document) {
                let found = ports.entry(Hostname::resolve(host, namespace)).or_default();
                found.extend(port);
            }
        }
        let mut registry = Registry::new();
        for (hostname, mut numbers) in ports {
            if hostname.is_wildcard() {
                continue;
            }
            if numbers.is_empty() {
                numbers.insert(port);
            }
            let ports = numbers.into_iter().map(Port::http).collect();
            registry.insert(Service::with_hostname(hostname, ports));
        }
        registry
    }

    /// Adds services, and wildcards of hosts outside of the mesh.
    pub fn extend(&mut self, services: &[Service]) {
        for service in services {
            if service.hostname.is_wildcard() {
                self.external.push(service.hostname.clone());
            } else {
                self.insert(service.clone());
            }
        }
    }
}

impl Service {
    /// Creates a Kubernetes Service if the full name has that form, else an external service.
    fn with_hostname(hostname: Hostname, ports: Vec<Port>) -> Service {
        let mut labels = hostname.as_str().splitn(3, '.');
        if let (Some(name), Some(namespace)) = (labels.next(), labels.next()) {
            let service = Service::new(name, namespace, ports.clone());
            if service.hostname == hostname {
                return service;
            }
        }
        let mut service = Service::new(hostname.as_str(), super::DEFAULT_NAMESPACE, ports);
        service.hostname = hostname;
        service
    }
}

fn services_of_canary(canary: &Resource<Canary>) -> impl Iterator<Item = Service> {
    let port = canary.spec.service.port.value;
    OF_CANARIES.into_iter().map(move |suffix| {
        let name = format!("{}{suffix}", canary.spec.service_name());
        Service::new(&name, &canary.meta.namespace, vec![Port::http(port)])
    })
}

/// Returns the hosts that a document refers to, each with its port if given.
pub fn names_in(document: &Document) -> Vec<(&str, Option<u16>)> {
    match document {
        Document::VirtualService(resource) => {
            let spec = &resource.spec;
            let destinations = spec.http.iter().flat_map(|route| destinations(route));
            own_hosts(spec).chain(destinations).collect()
        }
        Document::DestinationRule(resource) => vec![(&resource.spec.host, None)],
        Document::Canary(resource) => {
            let port = resource.spec.service.port.value;
            vec![(resource.spec.service_name(), Some(port))]
        }
        Document::ProxyPolicy(resource) => {
            let host = resource.spec.host.iter();
            host.map(|host| (host.as_str(), None)).collect()
        }
    }
}

/// Returns the hosts that a VirtualService routes for callers inside the mesh. Each counts as a service, because a
/// route with a redirect or a direct response has no destination.
fn own_hosts(spec: &VirtualService) -> impl Iterator<Item = (&str, Option<u16>)> {
    let inside = is_for_sidecars(spec);
    let hosts = spec.hosts.iter().filter(move |_| inside);
    hosts.map(|host| (host.as_str(), None))
}

/// Returns the hosts of a route's destinations and mirrors.
fn destinations(route: &HttpRoute) -> impl Iterator<Item = (&str, Option<u16>)> {
    let targets = route.route.iter().map(|to| &to.destination);
    let mirror = route.mirror.iter().map(|mirror| &mirror.value);
    let mirrors = route.mirrors.iter().map(|mirror| &mirror.destination);
    targets.chain(mirror).chain(mirrors).map(|to| {
        let port = to.port.as_ref().map(|port| port.number.value);
        (to.host.as_str(), port)
    })
}
