//! References to what does not exist: services, ports, subsets, delegates. Istio takes documents that have them, and requests
//! that need what is missing are answered 503. The codes are those of `istioctl analyze`.

use super::Advice;
use crate::api::{
    Delegate, Destination, DestinationRule, PortSelector, Resource, TrafficPolicy, VirtualService,
};
use crate::decode::Spanned;
use crate::registry::{Hostname, Service};
use crate::suggest;
use crate::translate::delegate;

/// Source: Istio, `ReferencedResourceNotFound`.
const NOT_FOUND: &str = "[IST0101]";

/// The consequence of a destination that does not exist.
#[derive(Clone, Copy)]
enum Sent {
    Requests,
    Copies,
}

impl Sent {
    fn lost(self) -> &'static str {
        match self {
            Sent::Requests => "so that its requests are answered 503 NC",
            Sent::Copies => "so that its copies are not sent",
        }
    }
}

impl Advice<'_> {
    pub(super) fn references(&mut self, resource: &Resource<VirtualService>) {
        let own = resource.meta.namespace.as_str();
        for route in &resource.spec.http {
            for to in &route.route {
                self.destination(&to.destination, own, Sent::Requests);
            }
            let several = route.mirrors.iter().map(|mirror| &mirror.destination);
            for to in route.mirror.iter().map(|to| &to.value).chain(several) {
                self.destination(to, own, Sent::Copies);
            }
            if let Some(to) = &route.delegate {
                self.delegate(to, own);
            }
        }
    }

    /// The references of a DestinationRule.
    pub(super) fn rule_references(&mut self, resource: &Resource<DestinationRule>) {
        let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
        let host = Hostname::resolve(&spec.host, own);
        let services = &self.mesh.registry.services;
        if !services.is_empty() && !services.keys().any(|known| host.covers(known)) {
            let lost = "so that nothing of the rule counts";
            self.no_service(&spec.host, own, lost);
        }
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        let of_subsets = spec.subsets.iter().map(|it| it.traffic_policy.as_ref());
        let policies = of_subsets.chain([spec.traffic_policy.as_ref()]).flatten();
        let ports = policies.flat_map(|policy: &TrafficPolicy| &policy.port_level_settings);
        for port in ports {
            self.port(service, &port.port, "so that its settings do not count");
        }
    }

    fn destination(&mut self, to: &Destination, own: &str, sent: Sent) {
        let host = Hostname::resolve(&to.host, own);
        let service = self.mesh.registry.service(host.as_str());
        if service.is_none() && !self.mesh.registry.services.is_empty() {
            self.no_service(&to.host, own, sent.lost());
            return;
        }
        if let (Some(port), Some(service)) = (&to.port, service) {
            self.port(service, port, sent.lost());
        }
        if let Some(subset) = &to.subset {
            // A host that no registry knows counts as one of the document's namespace.
            let of = service.map_or(own, |service| service.namespace.as_str());
            self.subset_of(subset, to, &host, of, sent);
        }
    }

    fn no_service(&mut self, host: &Spanned<String>, own: &str, lost: &str) {
        let services = self.mesh.registry.services.values();
        // As the person would write it: in the document's namespace the short name.
        let names: Vec<&str> = services
            .map(|service| match service.namespace == own {
                true => service.name.as_str(),
                false => service.hostname.as_str(),
            })
            .collect();
        let hint = suggest::hint(host, names);
        let message = format!("no service `{host}`, {lost}: {hint} {NOT_FOUND}");
        self.tell(&host.place, message);
    }

    fn port(&mut self, service: &Service, port: &PortSelector, lost: &str) {
        let number = port.number.value;
        if service.ports.iter().any(|known| known.number == number) {
            return;
        }
        let numbers = service.ports.iter().map(|known| known.number.to_string());
        let numbers: Vec<String> = numbers.collect();
        let accepted = suggest::one_of(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
        let name = &service.name;
        let message = format!(
            "service `{name}` has no port {number}, {lost}: expected {accepted} {NOT_FOUND}"
        );
        self.tell(&port.number.place, message);
    }

    /// A subset that no rule defines for any caller. One that some callers lack is a matter of
    /// [`destinations`](Advice::destinations).
    fn subset_of(
        &mut self,
        subset: &Spanned<String>,
        to: &Destination,
        host: &Hostname,
        of: &str,
        sent: Sent,
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
            // A short name is one of its own document's namespace, which is often not what was meant.
            Some(other) => format!(
                "DestinationRule {} at {} defines it for `{}`, which means another service",
                other.meta.name,
                other.place,
                Hostname::resolve(&other.spec.host, &other.meta.namespace)
            ),
            None if known.is_empty() => "no DestinationRule of that host defines one".to_owned(),
            None => suggest::hint(subset, known),
        };
        let (name, lost) = (&to.host, sent.lost());
        let message = format!("no subset `{subset}` of `{name}`, {lost}: {hint} {NOT_FOUND}");
        self.tell(&subset.place, message);
    }

    fn delegate(&mut self, to: &Spanned<Delegate>, own: &str) {
        if self.index.delegate(to, own).is_some() {
            return;
        }
        let (namespace, _) = delegate::key(to, own);
        let hint = match self.index.delegates_in(namespace).as_slice() {
            [] => "there is none at all".to_owned(),
            names => suggest::hint(&to.name, names.iter().copied()),
        };
        let message = format!(
            "no VirtualService `{}` without hosts in `{namespace}`, so that this route is left out: {hint} {NOT_FOUND}",
            to.name
        );
        self.tell(&to.name.place, message);
    }
}
