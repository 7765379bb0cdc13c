//! Validation of `exportTo` and `workloadSelector`. Source: Istio, `validateExportTo`, `validateWorkloadSelector`.

use std::collections::BTreeMap;

use shakedown_yaml::Spanned;

use super::DocumentCheck;
use super::names::is_dns_label;
use crate::export::{EVERYBODY, OWN_NAMESPACE};
use crate::{DestinationRule, Resource, WorkloadSelector};

/// No namespace. Istio accepts this value only in a ServiceEntry.
const NOBODY: &str = "~";

impl DocumentCheck<'_> {
    pub(super) fn export_to(&mut self, export_to: &[Spanned<String>], own: &str) {
        let mut seen = BTreeMap::new();
        for to in export_to {
            let name = to.as_str();
            if name == NOBODY {
                let message = "invalid namespace `~`: it is valid only for services; expected `*` (all), `.` (its own) or a name";
                self.report(&to.place, message);
            } else if name != EVERYBODY && name != OWN_NAMESPACE && !is_dns_label(name) {
                let message = format!(
                    "invalid namespace `{name}`: expected `*` (all), `.` (its own) or a name"
                );
                self.report(&to.place, message);
            }
            let meant = if name == OWN_NAMESPACE { own } else { name };
            if let Some(first) = seen.insert(meant, &to.place) {
                let message = format!(
                    "duplicate namespace `{meant}`; the first is at {}",
                    first.in_file()
                );
                self.report(&to.place, message);
            }
        }
        if let (Some(all), true) = (seen.get(EVERYBODY), export_to.len() > 1) {
            let message = "`*` already means all namespaces: expected only `*`, or only names";
            self.report(all, message);
        }
    }

    pub(super) fn selector(&mut self, selector: &Spanned<WorkloadSelector>) {
        for (name, value) in &selector.match_labels {
            if name.is_empty() || name.contains('*') || value.contains('*') {
                let message = format!(
                    "invalid label `{name}: {value}`: expected a name and a value without wildcards"
                );
                self.report(&selector.place, message);
            }
        }
    }

    /// Checks that a rule with a workload selector is exported to its own namespace only.
    pub(super) fn selects_at_home(&mut self, rule: &Resource<DestinationRule>) {
        let own = rule.meta.namespace.as_str();
        for to in &rule.spec.export_to {
            if to.as_str() != OWN_NAMESPACE && to.as_str() != own {
                let message = format!(
                    "a rule with `workloadSelector` applies only to callers of its own namespace: expected `.` or `{own}`"
                );
                self.report(&to.place, message);
            }
        }
    }
}
