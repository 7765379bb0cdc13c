//! What is wrong with documents that are well formed, as far as only the whole mesh can tell.

mod balancing;
mod canary;
mod export;
mod names;
mod proxy_policy;
mod traffic_policy;
mod virtual_service;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::{DestinationRule, Document, PortSelector, Resource};
use crate::decode::Spanned;
use crate::diagnostic::{Diagnostics, Place};
use crate::registry::{Hostname, Mesh, Service};
use crate::suggest;
use crate::translate::Caller;
use crate::translate::index::{Index, in_force};

/// All that is wrong with the mesh's documents, in order of place. A registry without services is taken as not known:
/// then hosts are not looked up.
pub fn validate(mesh: &Mesh) -> Diagnostics {
    let mut check = Check {
        mesh,
        index: Index::new(mesh),
        callers: OnceCell::new(),
        errors: Diagnostics::new(),
        prefix: String::new(),
    };
    for document in in_force(&mesh.documents) {
        check.prefix = format!("{} {}: ", document.kind(), document.meta().name);
        match document {
            Document::VirtualService(resource) => check.virtual_service(resource),
            Document::DestinationRule(resource) => check.destination_rule(resource),
            Document::Canary(resource) => check.canary(resource),
            Document::ProxyPolicy(resource) => check.proxy_policy(resource),
        }
    }
    check.errors.sorted()
}

struct Check<'a> {
    mesh: &'a Mesh,
    index: Index<'a>,
    /// One of each kind that documents tell apart, where anybody has asked.
    callers: OnceCell<Vec<Caller>>,
    errors: Diagnostics,
    prefix: String,
}

impl<'a> Check<'a> {
    fn tell(&mut self, place: &Place, message: impl AsRef<str>) {
        self.errors
            .add(place, format!("{}{}", self.prefix, message.as_ref()));
    }

    /// Checks a host as Istio does, and returns whether it is one.
    fn host_name(&mut self, host: &Spanned<String>) -> bool {
        let Err(reason) = names::check_domain(host) else {
            return true;
        };
        self.tell(
            &host.place,
            format!(
                "invalid host `{host}`: {reason}; expected a name, or a wildcard like `*.example.com`"
            ),
        );
        false
    }

    /// Checks labels that select pods. Source: Istio, `labels.Instance.Validate`.
    fn labels(&mut self, labels: &IndexMap<String, String>, place: &Place) {
        for (key, value) in labels {
            if !names::is_label_key(key) {
                let message = format!(
                    "invalid label key `{key}`: expected letters, digits, `-`, `_` or `.`, perhaps after a domain and `/`"
                );
                self.tell(place, message);
            }
            if !names::is_label_value(value) {
                let message = format!(
                    "invalid label value `{value}`: expected letters, digits, `-`, `_` or `.`, the first and last alphanumeric"
                );
                self.tell(place, message);
            }
        }
    }

    fn subset_name(&mut self, name: &Spanned<String>) {
        if !names::is_dns_label(name) {
            let message = format!(
                "invalid subset name `{name}`: expected letters, digits and `-`, at most 63"
            );
            self.tell(&name.place, message);
        }
    }

    /// Checks the number of a port, which is never 0.
    fn port_number(&mut self, port: &PortSelector) {
        if port.number.value == 0 {
            self.tell(&port.number.place, "invalid port 0: expected 1 to 65535");
        }
    }

    fn unknown_host(&mut self, host: &Spanned<String>, namespace: &str) {
        let services = self.mesh.registry.services.values();
        // As the person would write it: in the document's namespace the short name.
        let names: Vec<&str> = services
            .map(|service| {
                if service.namespace == namespace {
                    &service.name
                } else {
                    service.hostname.as_str()
                }
            })
            .collect();
        self.tell(
            &host.place,
            format!("no service `{host}`: {}", suggest::hint(host, names)),
        );
    }

    /// A port that a service has.
    fn port_of(&mut self, service: &Service, port: &PortSelector) {
        let number = port.number.value;
        if service.ports.iter().any(|known| known.number == number) {
            return;
        }
        let numbers = service.ports.iter().map(|known| known.number.to_string());
        let numbers: Vec<String> = numbers.collect();
        let accepted = suggest::one_of(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
        let message = format!(
            "service `{}` has no port {number}: expected {accepted}",
            service.name
        );
        self.tell(&port.number.place, message);
    }

    fn destination_rule(&mut self, resource: &Resource<DestinationRule>) {
        let (spec, namespace) = (&resource.spec, resource.meta.namespace.as_str());
        self.host_name(&spec.host);
        let host = Hostname::resolve(&spec.host, namespace);
        let services = &self.mesh.registry.services;
        if !services.is_empty() && !services.keys().any(|known| host.covers(known)) {
            self.unknown_host(&spec.host, namespace);
        }
        let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
        for subset in &spec.subsets {
            let name = &subset.name;
            self.subset_name(name);
            self.labels(&subset.labels, &name.place);
            if let Some(first) = seen.insert(name.as_str(), &name.place) {
                self.tell(
                    &name.place,
                    format!(
                        "subset `{name}` stands here twice; the first is at {}",
                        short(first)
                    ),
                );
            }
        }
        self.export_to(&spec.export_to, namespace);
        if let Some(selector) = &spec.workload_selector {
            self.selector(selector);
            self.selects_at_home(resource);
        }
        let policies = spec.traffic_policy.iter().chain(
            spec.subsets
                .iter()
                .filter_map(|subset| subset.traffic_policy.as_ref()),
        );
        for policy in policies {
            self.traffic_policy(policy);
            self.policy_ports(&host, policy);
        }
        self.subsets_beside_canary(resource);
    }
}

/// A place in the same file.
pub(super) fn short(place: &Place) -> String {
    format!("{}:{}", place.line, place.column)
}
