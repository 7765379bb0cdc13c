//! Selection of the DestinationRules that apply to a caller: those of its own namespace, else those of the service's,
//! else those of the root namespace. Rules of a later namespace are ignored if an earlier one has any.
//!
//! Sources: Istio, `push_context.go` (`setDestinationRules`, `destinationRule`), `destination_rule.go`
//! (`mergeDestinationRule`), `sidecar.go` (`SidecarScope.DestinationRule`).

mod idle;

use std::collections::{BTreeMap, BTreeSet};

use shakedown_istio::export::{EVERYBODY, OWN_NAMESPACE};
use shakedown_istio::in_force;
use shakedown_istio::registry::{DefaultExport, Hostname, Mesh, MeshOptions, Registry};
use shakedown_istio::{
    DestinationRule, Document, Resource, Subset, TrafficPolicy, WorkloadSelector,
};
use shakedown_yaml::Spanned;

use super::by_host::ByHost;
use super::caller::Caller;
pub use idle::Idle;

/// A DestinationRule document.
pub type RuleDocument<'a> = &'a Resource<DestinationRule>;

/// The DestinationRules of a mesh, by namespace.
pub struct Rules<'a> {
    options: &'a MeshOptions,
    by_namespace: BTreeMap<&'a str, ByHost<'a, DestinationRule>>,
}

/// The merged DestinationRules of a host for one caller.
#[derive(Default)]
pub struct MergedRule<'a> {
    /// The policy for the whole host: that of the first document that has one.
    pub policy: Option<&'a TrafficPolicy>,
    /// The subsets of all documents. If two have the same name, the first one applies.
    pub subsets: Vec<&'a Spanned<Subset>>,
    /// The merged documents, in order of precedence.
    pub from: Vec<RuleDocument<'a>>,
}

/// The part of a namespace's rules that is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RuleVisibility {
    /// Rules visible to callers in the same namespace.
    Own,
    /// Rules visible only to callers in the same namespace. Callers in the root namespace first search only these,
    /// because its exported rules would otherwise take precedence over those of the services.
    Private,
    /// Rules that may be visible to other namespaces.
    Exported,
}

/// Merged rules of one namespace and host.
struct RuleGroup<'a> {
    export: BTreeSet<&'a str>,
    selector: Option<&'a WorkloadSelector>,
    from: Vec<RuleDocument<'a>>,
}

impl<'a> Rules<'a> {
    /// Collects the rules of a mesh.
    pub fn new(mesh: &'a Mesh) -> Self {
        let rules = in_force(&mesh.documents).filter_map(|document| match document {
            Document::DestinationRule(rule) => Some(rule),
            _ => None,
        });
        let mut rules: Vec<RuleDocument<'a>> = rules.collect();
        rules.sort_by_key(|rule| rule.meta.age());
        Rules::for_namespace(&mesh.options, rules)
    }

    /// Indexes rules, given oldest first.
    pub(super) fn for_namespace(
        options: &'a MeshOptions,
        mut rules: Vec<RuleDocument<'a>>,
    ) -> Self {
        // The sort is stable. Source: Istio, `sortConfigBySelectorAndCreationTime`.
        rules.sort_by_key(|rule| rule.spec.workload_selector.is_none());
        let mut by_namespace: BTreeMap<&str, ByHost<'a, DestinationRule>> = BTreeMap::new();
        for rule in rules {
            let namespace = rule.meta.namespace.as_str();
            let host = Hostname::resolve(&rule.spec.host, namespace);
            by_namespace
                .entry(namespace)
                .or_default()
                .insert(host, rule);
        }
        Rules {
            options,
            by_namespace,
        }
    }

    /// Returns the rules of all hosts that are not wildcards, with their hosts.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&Hostname, &[RuleDocument<'a>])> {
        self.by_namespace.values().flat_map(|rules| rules.exact())
    }

    /// Returns all rules for a host or for a wildcard that covers it.
    pub fn over(&self, host: &Hostname) -> impl Iterator<Item = RuleDocument<'a>> {
        let all = self.by_namespace.values();
        all.flat_map(move |rules| rules.over(host))
            .flatten()
            .copied()
    }

    /// Returns the merged rule for a caller of a service in `namespace`.
    pub fn rule(&self, caller: &Caller, host: &Hostname, namespace: &str) -> MergedRule<'a> {
        let groups = self.groups(&caller.namespace, host, namespace);
        MergedRule::from_documents(chosen(&groups, Some(caller)))
    }

    /// Returns the merged rule that applies to a service's inbound traffic in a pod. `pod`: the pod's namespace.
    /// Rules with a workload selector are skipped, because they apply to the outbound traffic of the selected
    /// workloads.
    pub fn rule_before_app(&self, pod: &str, host: &Hostname, namespace: &str) -> MergedRule<'a> {
        let groups = self.groups(pod, host, namespace);
        MergedRule::from_documents(chosen(&groups, None))
    }

    /// Returns the namespaces in which a caller's rules for a service are searched, in order.
    fn search_order<'n>(
        &'n self,
        caller: &'n str,
        namespace: &'n str,
    ) -> [(&'n str, RuleVisibility); 3] {
        let root = self.options.root_namespace.as_str();
        let own = if caller == root {
            RuleVisibility::Private
        } else {
            RuleVisibility::Own
        };
        [
            (caller, own),
            (namespace, RuleVisibility::Exported),
            (root, RuleVisibility::Exported),
        ]
    }

    /// Returns the groups from which a caller's rule is chosen.
    fn groups(&self, caller: &str, host: &Hostname, namespace: &str) -> Vec<RuleGroup<'a>> {
        let searched = self.search_order(caller, namespace).into_iter();
        let found = searched.map(|(of, visibility)| self.groups_at(of, visibility, caller, host));
        let mut found = found.filter(|groups| !groups.is_empty());
        found.next().unwrap_or_default()
    }

    /// Returns the groups of one namespace that a caller sees.
    fn groups_at(
        &self,
        of: &str,
        visibility: RuleVisibility,
        caller: &str,
        host: &Hostname,
    ) -> Vec<RuleGroup<'a>> {
        let mut groups = self.all_groups_at(of, visibility, host);
        if visibility == RuleVisibility::Exported {
            groups.retain(|group| is_shown_to(&group.export, caller));
        }
        groups
    }

    /// Returns the groups of one namespace for the most specific host.
    fn all_groups_at(
        &self,
        of: &str,
        visibility: RuleVisibility,
        host: &Hostname,
    ) -> Vec<RuleGroup<'a>> {
        let Some(rules) = self.by_namespace.get(of) else {
            return Vec::new();
        };
        let fit = rules.over(host).map(|rules| {
            let fit = rules
                .iter()
                .filter(|rule| self.has_visibility(rule, visibility));
            fit.copied().collect::<Vec<_>>()
        });
        let mut fit = fit.filter(|rules| !rules.is_empty());
        grouped(fit.next().unwrap_or_default())
    }

    fn has_visibility(&self, rule: RuleDocument<'_>, visibility: RuleVisibility) -> bool {
        let own = rule.meta.namespace.as_str();
        let export = export_of(rule);
        match visibility {
            RuleVisibility::Own => {
                export.is_empty()
                    || [EVERYBODY, OWN_NAMESPACE, own]
                        .iter()
                        .any(|to| export.contains(to))
            }
            RuleVisibility::Private => self.is_private(&export, own),
            RuleVisibility::Exported => !self.is_private(&export, own),
        }
    }

    fn is_private(&self, export: &BTreeSet<&str>, own: &str) -> bool {
        match export.len() {
            0 => self.options.destination_rules_for == DefaultExport::OwnNamespace,
            1 => export.contains(OWN_NAMESPACE) || export.contains(own),
            _ => false,
        }
    }

    /// Returns true if a rule, when it applies, applies to all callers: it is exported to all, and its namespace is
    /// searched for all callers.
    pub(super) fn is_alike(&self, rule: RuleDocument<'_>, registry: &Registry) -> bool {
        let own = &rule.meta.namespace;
        let export = export_of(rule);
        let for_all = if export.is_empty() {
            self.options.destination_rules_for == DefaultExport::All
        } else {
            export.contains(EVERYBODY)
        };
        let host = Hostname::resolve(&rule.spec.host, own);
        let at_home = || {
            if host.is_wildcard() {
                let mut services = registry.services.values();
                services.all(|service| service.namespace == *own || !host.covers(&service.hostname))
            } else {
                let service = registry.services.get(&host);
                service.is_none_or(|service| service.namespace == *own)
            }
        };
        for_all && (*own == self.options.root_namespace || at_home())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = RuleDocument<'a>> {
        self.by_namespace.values().flat_map(|rules| rules.all())
    }
}

impl<'a> MergedRule<'a> {
    fn from_documents(from: Vec<RuleDocument<'a>>) -> Self {
        let mut merged = MergedRule {
            policy: from
                .iter()
                .find_map(|rule| rule.spec.traffic_policy.as_ref()),
            subsets: Vec::new(),
            from: Vec::new(),
        };
        for subset in from.iter().flat_map(|rule| &rule.spec.subsets) {
            if !merged.subsets.iter().any(|known| known.name == subset.name) {
                merged.subsets.push(subset);
            }
        }
        merged.from = from;
        merged
    }

    /// Returns the subset with this name.
    pub fn subset(&self, name: &str) -> Option<&'a Spanned<Subset>> {
        let mut subsets = self.subsets.iter();
        subsets.find(|known| known.name.value == name).copied()
    }
}

/// Returns the namespaces a rule is exported to. A rule with a workload selector is only visible in its own
/// namespace.
fn export_of<'a>(rule: RuleDocument<'a>) -> BTreeSet<&'a str> {
    match &rule.spec.workload_selector {
        Some(_) => BTreeSet::from([OWN_NAMESPACE]),
        None => rule.spec.export_to.iter().map(|to| to.as_str()).collect(),
    }
}

/// Returns true if `export` includes callers of another namespace.
fn is_shown_to(export: &BTreeSet<&str>, caller: &str) -> bool {
    export.is_empty() || export.contains(EVERYBODY) || export.contains(caller)
}

/// Merges rules that have the same `exportTo` and the same selector.
///
/// This is Istio's own loop, including its side effects. A later rule exported to more namespaces than an earlier one
/// is merged into the earlier one, and lost to the other namespaces. A rule without a selector is merged into one
/// with a selector if they share an `exportTo`, and lost to the workloads that are not selected. Source: Istio,
/// `mergeDestinationRule`.
fn grouped(rules: Vec<RuleDocument<'_>>) -> Vec<RuleGroup<'_>> {
    let mut groups: Vec<RuleGroup<'_>> = Vec::new();
    for rule in rules {
        let export = export_of(rule);
        let selector = rule.spec.workload_selector.as_deref();
        let mut alone = true;
        for group in &mut groups {
            alone = export != group.export;
            let wider = !group.export.is_empty() && export.is_superset(&group.export);
            if alone && !wider {
                continue;
            }
            match (selector, group.selector) {
                (Some(one), Some(other)) if one != other => {
                    alone = true;
                    continue;
                }
                (None, None) | (Some(_), Some(_)) => alone = false,
                _ => {}
            }
            group.from.push(rule);
        }
        if alone {
            groups.push(RuleGroup {
                export,
                selector,
                from: vec![rule],
            });
        }
    }
    groups
}

/// Returns the applicable group: the first with a selector that matches the caller, else the last without a selector.
/// `caller`: `None` if groups with selectors are skipped.
fn chosen<'a>(groups: &[RuleGroup<'a>], caller: Option<&Caller>) -> Vec<RuleDocument<'a>> {
    let selects = |group: &&RuleGroup<'_>| {
        let fits = |caller: &Caller| group.selects(caller);
        group.selector.is_some() && caller.is_some_and(fits)
    };
    let selected = groups.iter().find(selects);
    let general = || groups.iter().rfind(|group| group.selector.is_none());
    let group = selected.or_else(general);
    group.map_or(Vec::new(), |group| group.from.clone())
}

impl RuleGroup<'_> {
    /// Returns true if a caller is in the rules' namespace and has all labels of the selector.
    fn selects(&self, caller: &Caller) -> bool {
        let at_home = self
            .from
            .first()
            .is_some_and(|rule| rule.meta.namespace == caller.namespace);
        let has = |(name, value): (&String, &String)| caller.labels.get(name) == Some(value);
        at_home
            && self
                .selector
                .is_none_or(|selector| selector.match_labels.iter().all(has))
    }
}

#[cfg(test)]
mod tests;
