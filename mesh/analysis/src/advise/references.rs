//! Warnings about references to missing services, ports, subsets and delegates. Istio accepts such documents, and
//! requests that need the missing object receive a 503.

use std::collections::BTreeSet;

use shakedown_istio::gateways::is_for_sidecars;
use shakedown_istio::registry::{Hostname, Service};
use shakedown_istio::{
    Canary, Delegate, Destination, DestinationRule, HttpRoute, PortSelector, ProxyPolicy, Resource,
    TrafficPolicy, VirtualService,
};
use shakedown_translate::delegate;
use shakedown_yaml::{Spanned, suggest};

use super::Advice;
use super::codes::{NOT_FOUND, PORT_REQUIRED};

/// The consequence of a missing destination.
#[derive(Clone, Copy)]
enum DanglingEffect {
    Requests,
    Copies,
}

impl DanglingEffect {
    fn lost(self) -> &'static str {
        match self {
            DanglingEffect::Requests => "so its requests fail with 503 NC",
            DanglingEffect::Copies => "so its copies are not sent",
        }
    }
}

impl Advice<'_> {
    pub(super) fn references(&mut self, resource: &Resource<VirtualService>) {
        let own = resource.meta.namespace.as_str();
        let ports = self.ports_of_hosts(resource);
        for route in &resource.spec.http {
            let ports = ports_of_route(route, &ports);
            for to in &route.route {
                self.destination(&to.destination, own, DanglingEffect::Requests, &ports);
            }
            let several = route.mirrors.iter().map(|mirror| &mirror.destination);
            for to in route.mirror.iter().map(|to| &to.value).chain(several) {
                self.destination(to, own, DanglingEffect::Copies, &ports);
            }
            if let Some(to) = &route.delegate {
                self.delegate(to, own);
            }
        }
    }

    /// Checks the references of a DestinationRule.
    pub(super) fn rule_references(&mut self, resource: &Resource<DestinationRule>) {
        let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
        let host = Hostname::resolve(&spec.host, own);
        if !self.is_known(&host) {
            let lost = "so the rule has no effect";
            self.no_service(&spec.host, own, lost);
        }
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        let of_subsets = spec
            .subsets
            .iter()
            .map(|subset| subset.traffic_policy.as_ref());
        let policies = of_subsets.chain([spec.traffic_policy.as_ref()]).flatten();
        let ports = policies.flat_map(|policy: &TrafficPolicy| &policy.port_level_settings);
        for port in ports {
            self.port(service, &port.port, "so its settings have no effect");
        }
    }

    /// Checks the references of a Canary. Flagger accepts a missing target, and waits for it.
    pub(super) fn canary_references(&mut self, resource: &Resource<Canary>) {
        let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
        let name = spec.service_name();
        let host = Hostname::resolve(name, own);
        if !self.is_known(&host) {
            self.no_service(name, own, "so nothing is rolled out until it exists");
        }
        if let Some(service) = self.mesh.registry.service(host.as_str()) {
            let lost = "so the canary's `port` has no effect";
            self.port_number(service, &spec.service.port, lost);
        }
    }

    /// Checks the references of a ProxyPolicy.
    pub(super) fn policy_references(&mut self, resource: &Resource<ProxyPolicy>) {
        let own = resource.meta.namespace.as_str();
        if let Some(host) = &resource.spec.host
            && !self.is_known(&Hostname::resolve(host, own))
        {
            self.no_service(host, own, "so the policy has no effect");
        }
    }

    /// Returns true if a host is known, or covers a known one. If the registry is empty, every host counts as known.
    fn is_known(&self, host: &Hostname) -> bool {
        let registry = &self.mesh.registry;
        let mut services = registry.services.keys();
        registry.services.is_empty()
            || registry.knows(host)
            || services.any(|known| host.covers(known))
    }

    /// Checks a destination of a route for requests to these ports.
    fn destination(
        &mut self,
        to: &Destination,
        own: &str,
        sent: DanglingEffect,
        ports: &BTreeSet<u16>,
    ) {
        let host = Hostname::resolve(&to.host, own);
        let service = self.mesh.registry.service(host.as_str());
        if !self.is_known(&host) {
            self.no_service(&to.host, own, sent.lost());
            return;
        }
        match (&to.port, service) {
            (Some(port), Some(service)) => self.port(service, port, sent.lost()),
            (None, Some(service)) => self.no_port(&to.host, service, sent, ports),
            (_, None) => {}
        }
        if let Some(subset) = &to.subset {
            // A host outside the registry belongs to the document's namespace.
            let of = service.map_or(own, |service| service.namespace.as_str());
            self.subset_of(subset, to, &host, of, sent);
        }
    }

    fn no_service(&mut self, host: &Spanned<String>, own: &str, lost: &str) {
        let services = self.mesh.registry.services.values();
        // The suggested names are short in the document's own namespace, and full elsewhere.
        let names: Vec<&str> = services
            .map(|service| {
                if service.namespace == own {
                    service.name.as_str()
                } else {
                    service.hostname.as_str()
                }
            })
            .collect();
        let hint = suggest::hint(host, names);
        let message = format!("no service `{host}`, {lost}: {hint} {NOT_FOUND}");
        self.warn(&host.place, message);
    }

    fn port(&mut self, service: &Service, port: &PortSelector, lost: &str) {
        self.port_number(service, &port.number, lost);
    }

    fn port_number(&mut self, service: &Service, port: &Spanned<u16>, lost: &str) {
        let number = port.value;
        if service.ports.iter().any(|known| known.number == number) {
            return;
        }
        let name = &service.name;
        let expected = ports_of(service);
        let message = if service.other_ports.contains(&number) {
            format!("port {number} of service `{name}` is not an HTTP port, {lost}: {expected}")
        } else {
            format!("service `{name}` has no port {number}, {lost}: {expected} {NOT_FOUND}")
        };
        self.warn(&port.place, message);
    }

    /// Warns of a destination without a port, if its service has several ports and lacks one of the request ports.
    /// The port of the request is used in this case.
    fn no_port(
        &mut self,
        host: &Spanned<String>,
        service: &Service,
        sent: DanglingEffect,
        ports: &BTreeSet<u16>,
    ) {
        let has = |port: &u16| service.ports.iter().any(|known| known.number == *port);
        let lacks = ports.iter().filter(|port| !has(port)).map(u16::to_string);
        let lacks: Vec<String> = lacks.collect();
        if service.ports.len() < 2 || lacks.is_empty() {
            return;
        }
        let message = format!(
            "service `{host}` has several ports and the destination names none, {} at port {}: {} {PORT_REQUIRED}",
            sent.lost(),
            lacks.join(" and "),
            ports_of(service)
        );
        self.warn(&host.place, message);
    }

    /// Returns the ports of a VirtualService's hosts for requests from sidecars, as far as they are known.
    fn ports_of_hosts(&self, resource: &Resource<VirtualService>) -> BTreeSet<u16> {
        let own = resource.meta.namespace.as_str();
        let inside = is_for_sidecars(&resource.spec);
        let hosts = resource.spec.hosts.iter().filter(|_| inside);
        let services = hosts.filter_map(|host| {
            let host = Hostname::resolve(host, own);
            self.mesh.registry.service(host.as_str())
        });
        let ports = services.flat_map(|service| &service.ports);
        ports.map(|port| port.number).collect()
    }

    /// Warns of a subset that no rule defines for any caller. A subset missing only for some callers is checked in
    /// [`destinations`](Advice::destinations).
    fn subset_of(
        &mut self,
        subset: &Spanned<String>,
        to: &Destination,
        host: &Hostname,
        of: &str,
        sent: DanglingEffect,
    ) {
        let rules = self.index.rules();
        let mut known: Vec<&str> = Vec::new();
        for caller in &self.callers {
            let rule = rules.rule(caller, host, of);
            if rule.subset(subset).is_some() {
                return;
            }
            known.extend(rule.subsets.iter().map(|known| known.name.as_str()));
        }
        known.sort_unstable();
        known.dedup();
        let hint = match self.index.rule_of_namesake(host, subset) {
            // A short name is resolved in the namespace of its own document, which is often a mistake.
            Some(other) => format!(
                "DestinationRule {} at {} defines it for `{}`, which is another service",
                other.meta.name,
                other.place,
                Hostname::resolve(&other.spec.host, &other.meta.namespace)
            ),
            None if known.is_empty() => {
                "no DestinationRule of that host defines subsets".to_owned()
            }
            None => suggest::hint(subset, known),
        };
        let (name, lost) = (&to.host, sent.lost());
        let message = format!("no subset `{subset}` of `{name}`, {lost}: {hint} {NOT_FOUND}");
        self.warn(&subset.place, message);
    }

    fn delegate(&mut self, to: &Spanned<Delegate>, own: &str) {
        if self.index.delegate(to, own).is_some() {
            return;
        }
        let (namespace, _) = delegate::key(to, own);
        let hint = match self.index.delegates_in(namespace).as_slice() {
            [] => "that namespace has none".to_owned(),
            names => suggest::hint(&to.name, names.iter().copied()),
        };
        let message = format!(
            "no VirtualService `{}` without hosts in `{namespace}`, so this route is ignored: {hint} {NOT_FOUND}",
            to.name
        );
        self.warn(&to.name.place, message);
    }
}

/// Returns the ports to which a route applies.
fn ports_of_route(route: &HttpRoute, all: &BTreeSet<u16>) -> BTreeSet<u16> {
    let wanted: Option<BTreeSet<u16>> = route
        .r#match
        .iter()
        .map(|condition| condition.port)
        .collect();
    match wanted {
        Some(wanted) if !wanted.is_empty() => &wanted & all,
        _ => all.clone(),
    }
}

/// Lists the ports of a service, for a message.
fn ports_of(service: &Service) -> String {
    let numbers = service.ports.iter().map(|known| known.number.to_string());
    let numbers: Vec<String> = numbers.collect();
    match numbers.as_slice() {
        [] => "it has no HTTP ports".to_owned(),
        known => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            format!("expected {}", suggest::one_of(&known))
        }
    }
}
