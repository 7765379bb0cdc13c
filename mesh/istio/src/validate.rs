//! Validation of well-formed documents in the context of the whole mesh.

mod balancing;
mod canary;
mod export;
mod names;
mod proxy_policy;
mod traffic_policy;
mod virtual_service;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use shakedown_yaml::{Diagnostics, Location, Spanned};

use crate::registry::Mesh;
use crate::{DestinationRule, Document, DocumentKey, PortSelector, Resource, in_force};

/// Returns the errors of the mesh's documents, ordered by source location. With `changed`, only the errors of those
/// documents. References to missing objects are not errors, because Istio accepts them. Errors that only a proxy would
/// report are not found, because that requires the translation to xDS.
pub fn validate_documents(mesh: &Mesh, changed: Option<&BTreeSet<DocumentKey>>) -> Diagnostics {
    let mut check = DocumentCheck {
        mesh,
        errors: Diagnostics::new(),
        prefix: String::new(),
    };
    let is_changed =
        |document: &&Document| changed.is_none_or(|keys| keys.contains(&document.key()));
    for document in in_force(&mesh.documents).filter(is_changed) {
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

struct DocumentCheck<'a> {
    mesh: &'a Mesh,
    errors: Diagnostics,
    prefix: String,
}

impl<'a> DocumentCheck<'a> {
    fn report(&mut self, place: &Location, message: impl AsRef<str>) {
        self.errors
            .add(place, format!("{}{}", self.prefix, message.as_ref()));
    }

    /// Checks a host as Istio does, and returns true if it is valid.
    fn host_name(&mut self, host: &Spanned<String>) -> bool {
        let Err(reason) = names::check_domain(host) else {
            return true;
        };
        self.report(
            &host.place,
            format!(
                "invalid host `{host}`: {reason}; expected a name, or a wildcard like `*.example.com`"
            ),
        );
        false
    }

    /// Checks labels that select pods. Source: Istio, `labels.Instance.Validate`.
    fn labels(&mut self, labels: &IndexMap<String, String>, place: &Location) {
        for (key, value) in labels {
            if !names::is_label_key(key) {
                let message = format!(
                    "invalid label key `{key}`: expected letters, digits, `-`, `_` or `.`, optionally after a domain and `/`"
                );
                self.report(place, message);
            }
            if !names::is_label_value(value) {
                let message = format!(
                    "invalid label value `{value}`: expected letters, digits, `-`, `_` or `.`, the first and last alphanumeric"
                );
                self.report(place, message);
            }
        }
    }

    fn subset_name(&mut self, name: &Spanned<String>) {
        if !names::is_dns_label(name) {
            let message = format!(
                "invalid subset name `{name}`: expected at most 63 letters, digits and `-`"
            );
            self.report(&name.place, message);
        }
    }

    /// Checks that a port's number is not 0.
    fn port_number(&mut self, port: &PortSelector) {
        if port.number.value == 0 {
            self.report(&port.number.place, "invalid port 0: expected 1 to 65535");
        }
    }

    fn destination_rule(&mut self, resource: &Resource<DestinationRule>) {
        let (spec, namespace) = (&resource.spec, resource.meta.namespace.as_str());
        self.host_name(&spec.host);
        let mut seen: BTreeMap<&str, &Location> = BTreeMap::new();
        for subset in &spec.subsets {
            let name = &subset.name;
            self.subset_name(name);
            self.labels(&subset.labels, &name.place);
            if let Some(first) = seen.insert(name.as_str(), &name.place) {
                self.report(
                    &name.place,
                    format!(
                        "duplicate subset `{name}`; the first is at {}",
                        first.in_file()
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
        }
        self.subsets_beside_canary(resource);
    }
}
