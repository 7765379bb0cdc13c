//! Virtual hosts, the VirtualServices that provide their routes, and their domains. Source: Istio,
//! `BuildSidecarVirtualHostWrapper`, `BuildSidecarOutboundVirtualHosts`.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_istio::registry::{DOMAIN, Hostname, Mesh, Port, Service};
use shakedown_istio::{Resource, VirtualService};
use shakedown_xds::proto::route::{Route, VirtualHost};

use super::{HTTP_PORT, default_route, virtual_routes};
use crate::caller::Caller;
use crate::index::Index;

/// Returns all virtual hosts of a caller, except the catch-all.
///
/// A domain belongs to the virtual host that claims it first, and a virtual host without domains is omitted.
/// VirtualServices are processed first, in order, each with its hosts outside the registry before its services.
/// Services for which no VirtualService has a route for this caller and port follow with their default route.
pub(super) fn of_caller(mesh: &Mesh, index: &Index<'_>, caller: &Caller) -> Vec<VirtualHost> {
    let mut hosts = VirtualHosts::new(mesh);
    for routed in routed(mesh, index) {
        for port in routed.ports() {
            let routes = virtual_routes(mesh, index, caller, routed.document, port);
            if routes.is_empty() {
                continue;
            }
            for host in &routed.unregistered {
                // A wildcard that covers services of this port does not get a virtual host of its own.
                if !host.is_wildcard() || !is_of_services(mesh, host, port) {
                    hosts.add_unregistered(host, port, routes.clone());
                }
            }
            for (service, port) in routed.services_at(port) {
                hosts.add_service(service, port, routes.clone());
            }
        }
    }
    for service in mesh.registry.services.values() {
        for port in &service.ports {
            if !hosts.has(&service.hostname, port.number) {
                let route = default_route(mesh, index, &service.hostname, port.number);
                hosts.add_service(service, port, vec![route]);
            }
        }
    }
    hosts.added.into_values().collect()
}

/// A VirtualService with the hosts that it routes.
struct Routed<'a> {
    document: &'a Resource<VirtualService>,
    services: Vec<&'a Service>,
    /// Hosts that are not in the registry.
    unregistered: Vec<Hostname>,
}

impl<'a> Routed<'a> {
    /// Returns the ports of its hosts.
    fn ports(&self) -> BTreeSet<u16> {
        let services = self.services.iter();
        let ports = services.flat_map(|service| service.ports.iter().map(|port| port.number));
        let http = (!self.unregistered.is_empty()).then_some(HTTP_PORT);
        ports.chain(http).collect()
    }

    fn services_at(&self, number: u16) -> impl Iterator<Item = (&'a Service, &'a Port)> {
        self.services.iter().filter_map(move |service| {
            let mut ports = service.ports.iter();
            Some((*service, ports.find(|port| port.number == number)?))
        })
    }
}

/// Returns the VirtualServices that the caller of an index sees, in order. If several name the same host, the first
/// that has a route for the caller applies. Only the most specific wildcard applies to a service. Source: Istio,
/// `separateVSHostsAndServices`.
fn routed<'a>(mesh: &'a Mesh, index: &Index<'a>) -> Vec<Routed<'a>> {
    let services = || mesh.registry.services.values();
    let mut by_wildcard: BTreeMap<(&str, &str), Vec<&Service>> = BTreeMap::new();
    for service in services() {
        if let Some(document) = index.virtual_service(&service.hostname) {
            let meta = &document.meta;
            let meant = by_wildcard
                .entry((&meta.namespace, &meta.name))
                .or_default();
            meant.push(service);
        }
    }
    let all = index.virtual_services().iter().map(|document| {
        let meta = &document.meta;
        let mut routed = Routed {
            document,
            services: Vec::new(),
            unregistered: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let meant = by_wildcard.get(&(meta.namespace.as_str(), meta.name.as_str()));
        for written in &document.spec.hosts {
            let host = Hostname::resolve(written, &meta.namespace);
            if !seen.insert(host.clone()) {
                continue;
            }
            match mesh.registry.service(host.as_str()) {
                Some(service) => routed.services.push(service),
                None => routed.unregistered.push(host),
            }
        }
        for service in meant.into_iter().flatten() {
            if !seen.contains(&service.hostname) {
                routed.services.push(service);
            }
        }
        routed
    });
    all.collect()
}

fn is_of_services(mesh: &Mesh, host: &Hostname, port: u16) -> bool {
    let mut services = mesh.registry.services.values();
    services.any(|service| {
        let mut ports = service.ports.iter();
        host.covers(&service.hostname) && ports.any(|known| known.number == port)
    })
}

/// A builder of virtual hosts with unique names and domains.
struct VirtualHosts<'a> {
    shorts: BTreeMap<&'a str, &'a Hostname>,
    /// The full names of services, which no short name of another service may take.
    full: BTreeSet<&'a str>,
    /// The claimed domains, in lower case.
    claimed: BTreeSet<String>,
    /// By host and port. The flag, true for hosts outside the registry, sorts those of services first.
    added: BTreeMap<(bool, Hostname, u16), VirtualHost>,
}

impl<'a> VirtualHosts<'a> {
    fn new(mesh: &'a Mesh) -> Self {
        VirtualHosts {
            shorts: short_names(mesh),
            full: mesh
                .registry
                .services
                .keys()
                .map(Hostname::as_str)
                .collect(),
            claimed: BTreeSet::new(),
            added: BTreeMap::new(),
        }
    }

    /// Returns true if a service's port already has a virtual host.
    fn has(&self, service: &Hostname, port: u16) -> bool {
        self.added.contains_key(&(false, service.clone(), port))
    }

    fn add_service(&mut self, service: &Service, port: &Port, routes: Vec<Route>) {
        let domains = self.domains(service, port);
        let key = (false, service.hostname.clone(), port.number);
        self.add(key, domains, routes);
    }

    /// Adds a host that is not in the registry.
    fn add_unregistered(&mut self, host: &Hostname, port: u16, routes: Vec<Route>) {
        let domains = at_port(host.as_str(), port, port == HTTP_PORT);
        self.add((true, host.clone(), port), domains, routes);
    }

    fn add(&mut self, key: (bool, Hostname, u16), mut domains: Vec<String>, routes: Vec<Route>) {
        if self.added.contains_key(&key) {
            return;
        }
        // Source: Istio, `dedupeDomains`.
        domains.retain(|domain| self.claimed.insert(domain.to_ascii_lowercase()));
        if domains.is_empty() {
            return;
        }
        let host = VirtualHost {
            name: format!("{}:{}", key.1, key.2),
            domains,
            routes,
            include_request_attempt_count: true,
            ..Default::default()
        };
        self.added.insert(key, host);
    }

    /// Returns all authorities of a service's port, each with the port, and also without it if that is unambiguous.
    /// Source: Istio, `generateVirtualHostDomains`.
    fn domains(&self, service: &Service, port: &Port) -> Vec<String> {
        let full = service.hostname.as_str();
        // The absolute form of the name. Source: Istio, `EnableAbsoluteFqdnVhostDomain`.
        let mut names = vec![full.to_owned(), format!("{full}.")];
        if service.is_of_kubernetes() {
            let mut others = Vec::new();
            if self.shorts.get(service.name.as_str()) == Some(&&service.hostname) {
                others.push(service.name.to_ascii_lowercase());
            }
            let local = DOMAIN.split_once('.').map_or(DOMAIN, |(local, _)| local);
            let namespaced = format!("{}.{}", service.name, service.namespace).to_ascii_lowercase();
            others.push(format!("{namespaced}.{local}"));
            others.push(namespaced);
            others.retain(|name| !self.full.contains(name.as_str()));
            names.extend(others);
        }
        let alone = service.ports.len() == 1 || port.number == HTTP_PORT;
        let domains = names.iter().map(|name| at_port(name, port.number, alone));
        domains.flatten().collect()
    }
}

/// Returns the authorities of a name at a port. `alone`: true to include the name without a port. As in Istio, the
/// port of an authority is ignored for port 80 unless another port of the name matches it. This needs a wildcard
/// because a listener for all ports cannot use `ignore_port_in_host_matching`.
fn at_port(name: &str, port: u16, alone: bool) -> Vec<String> {
    let mut all = vec![format!("{name}:{port}")];
    if alone {
        all.insert(0, name.to_owned());
    }
    // A domain may contain only one wildcard.
    if port == HTTP_PORT && !name.starts_with('*') {
        all.push(format!("{name}:*"));
    }
    all
}

/// Maps each short name to its service: the only one of that name, or else the one in `default`.
fn short_names(mesh: &Mesh) -> BTreeMap<&str, &Hostname> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for service in mesh.registry.services.values() {
        *count.entry(&service.name).or_default() += 1;
    }
    let services = mesh.registry.services.values();
    let meant = services
        .filter(|service| count[service.name.as_str()] == 1 || service.namespace == "default");
    meant
        .map(|service| (service.name.as_str(), &service.hostname))
        .collect()
}
