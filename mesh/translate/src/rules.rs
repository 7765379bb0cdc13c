//! Which DestinationRules hold for a caller: those of its own namespace, else those of the service's, else those of the root
//! namespace. Nothing is taken from a farther namespace where a nearer one has any.
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

/// A rule as it stands in a document.
pub type Written<'a> = &'a Resource<DestinationRule>;

/// The DestinationRules of a mesh, by namespace.
pub struct Rules<'a> {
    options: &'a MeshOptions,
    by_namespace: BTreeMap<&'a str, ByHost<'a, DestinationRule>>,
}

/// All that DestinationRules say to a caller of a host.
#[derive(Default)]
pub struct Rule<'a> {
    /// For all of it: the first that has one.
    pub policy: Option<&'a TrafficPolicy>,
    /// Its parts, of all documents; of two with one name the first.
    pub subsets: Vec<&'a Spanned<Subset>>,
    /// The documents that it is merged of, in the order in which they count.
    pub from: Vec<Written<'a>>,
}

/// Where rules are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    /// Those of a namespace that its own callers see.
    Own,
    /// Those of a namespace that only its own callers see. Callers in the root namespace look there alone first: else what
    /// is said there for all would go before what services say.
    Private,
    /// Those of a namespace that others may see.
    Exported,
}

/// Rules of one namespace and host that merge.
struct Group<'a> {
    export: BTreeSet<&'a str>,
    selector: Option<&'a WorkloadSelector>,
    from: Vec<Written<'a>>,
}

impl<'a> Rules<'a> {
    /// Those of a mesh.
    pub fn new(mesh: &'a Mesh) -> Self {
        let rules = in_force(&mesh.documents).filter_map(|document| match document {
            Document::DestinationRule(rule) => Some(rule),
            _ => None,
        });
        let mut rules: Vec<Written<'a>> = rules.collect();
        rules.sort_by_key(|rule| rule.meta.age());
        Rules::of(&mesh.options, rules)
    }

    /// Of rules, oldest first.
    pub(super) fn of(options: &'a MeshOptions, mut rules: Vec<Written<'a>>) -> Self {
        // Stable. Source: Istio, `sortConfigBySelectorAndCreationTime`.
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

    /// All of them, the hosts that are no wildcards, with their hosts.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&Hostname, &[Written<'a>])> {
        self.by_namespace.values().flat_map(|rules| rules.exact())
    }

    /// All that have a host, or a wildcard over it.
    pub fn over(&self, host: &Hostname) -> impl Iterator<Item = Written<'a>> {
        let all = self.by_namespace.values();
        all.flat_map(move |rules| rules.over(host))
            .flatten()
            .copied()
    }

    /// What holds for a caller of a service of a namespace.
    pub fn rule(&self, caller: &Caller, host: &Hostname, namespace: &str) -> Rule<'a> {
        let groups = self.groups(&caller.namespace, host, namespace);
        Rule::of(chosen(&groups, Some(caller)))
    }

    /// What of a service's rules holds before its apps, in a pod of a namespace: rules that select workloads are for what
    /// these send.
    pub fn rule_before_app(&self, pod: &str, host: &Hostname, namespace: &str) -> Rule<'a> {
        let groups = self.groups(pod, host, namespace);
        Rule::of(chosen(&groups, None))
    }

    /// The namespaces in which a caller of a service of a namespace looks, in order.
    fn places<'n>(&'n self, caller: &'n str, namespace: &'n str) -> [(&'n str, Shelf); 3] {
        let root = self.options.root_namespace.as_str();
        let own = match caller == root {
            true => Shelf::Private,
            false => Shelf::Own,
        };
        [
            (caller, own),
            (namespace, Shelf::Exported),
            (root, Shelf::Exported),
        ]
    }

    /// The groups from which a caller takes one.
    fn groups(&self, caller: &str, host: &Hostname, namespace: &str) -> Vec<Group<'a>> {
        let places = self.places(caller, namespace).into_iter();
        let found = places.map(|(of, shelf)| self.groups_at(of, shelf, caller, host));
        let mut found = found.filter(|groups| !groups.is_empty());
        found.next().unwrap_or_default()
    }

    /// Those of one namespace that a caller sees.
    fn groups_at(&self, of: &str, shelf: Shelf, caller: &str, host: &Hostname) -> Vec<Group<'a>> {
        let mut groups = self.all_groups_at(of, shelf, host);
        if shelf == Shelf::Exported {
            groups.retain(|group| is_shown_to(&group.export, caller));
        }
        groups
    }

    /// Those of one namespace, for its most specific host.
    fn all_groups_at(&self, of: &str, shelf: Shelf, host: &Hostname) -> Vec<Group<'a>> {
        let Some(rules) = self.by_namespace.get(of) else {
            return Vec::new();
        };
        let fit = rules.over(host).map(|rules| {
            let fit = rules.iter().filter(|rule| self.is_on(rule, shelf));
            fit.copied().collect::<Vec<_>>()
        });
        let mut fit = fit.filter(|rules| !rules.is_empty());
        grouped(fit.next().unwrap_or_default())
    }

    fn is_on(&self, rule: Written<'_>, shelf: Shelf) -> bool {
        let own = rule.meta.namespace.as_str();
        let export = export_of(rule);
        match shelf {
            Shelf::Own => {
                export.is_empty()
                    || [EVERYBODY, OWN_NAMESPACE, own]
                        .iter()
                        .any(|to| export.contains(to))
            }
            Shelf::Private => self.is_private(&export, own),
            Shelf::Exported => !self.is_private(&export, own),
        }
    }

    fn is_private(&self, export: &BTreeSet<&str>, own: &str) -> bool {
        match export.len() {
            0 => self.options.destination_rules_for == DefaultExport::OwnNamespace,
            1 => export.contains(OWN_NAMESPACE) || export.contains(own),
            _ => false,
        }
    }

    /// Whether a rule holds for all callers alike, if it holds: it is for all, and stands where all look.
    pub(super) fn is_alike(&self, rule: Written<'_>, registry: &Registry) -> bool {
        let own = &rule.meta.namespace;
        let export = export_of(rule);
        let for_all = match export.is_empty() {
            true => self.options.destination_rules_for == DefaultExport::All,
            false => export.contains(EVERYBODY),
        };
        let host = Hostname::resolve(&rule.spec.host, own);
        let at_home = || match host.is_wildcard() {
            false => {
                let service = registry.services.get(&host);
                service.is_none_or(|it| it.namespace == *own)
            }
            true => {
                let mut services = registry.services.values();
                services.all(|it| it.namespace == *own || !host.covers(&it.hostname))
            }
        };
        for_all && (*own == self.options.root_namespace || at_home())
    }

    /// All rules.
    pub(super) fn all(&self) -> impl Iterator<Item = Written<'a>> {
        self.by_namespace.values().flat_map(|rules| rules.all())
    }
}

impl<'a> Rule<'a> {
    fn of(from: Vec<Written<'a>>) -> Self {
        let mut merged = Rule {
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

    /// The subset of a name.
    pub fn subset(&self, name: &str) -> Option<&'a Spanned<Subset>> {
        let mut subsets = self.subsets.iter();
        subsets.find(|known| known.name.value == name).copied()
    }
}

/// Whom a rule names; one that selects workloads is for its own namespace alone.
fn export_of<'a>(rule: Written<'a>) -> BTreeSet<&'a str> {
    match &rule.spec.workload_selector {
        Some(_) => BTreeSet::from([OWN_NAMESPACE]),
        None => rule.spec.export_to.iter().map(|to| to.as_str()).collect(),
    }
}

/// Whether what is for `export` is for callers of another namespace.
fn is_shown_to(export: &BTreeSet<&str>, caller: &str) -> bool {
    export.is_empty() || export.contains(EVERYBODY) || export.contains(caller)
}

/// Merges what merges: rules with the same `exportTo` and the same selector. It is Istio's own loop, with what follows from
/// it: a later rule for more namespaces than an earlier one goes into that one and is lost to the others, and one without a
/// selector goes into one with a selector whose `exportTo` it shares and is lost to the workloads not selected.
/// Source: Istio, `mergeDestinationRule`.
fn grouped(rules: Vec<Written<'_>>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
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
            groups.push(Group {
                export,
                selector,
                from: vec![rule],
            });
        }
    }
    groups
}

/// The group that counts: the first that selects the caller, else the last that selects nobody. `caller`: `None` where
/// selectors do not matter.
fn chosen<'a>(groups: &[Group<'a>], caller: Option<&Caller>) -> Vec<Written<'a>> {
    let selects = |group: &&Group<'_>| {
        let fits = |caller: &Caller| group.selects(caller);
        group.selector.is_some() && caller.is_some_and(fits)
    };
    let selected = groups.iter().find(selects);
    let general = || groups.iter().rfind(|group| group.selector.is_none());
    let group = selected.or_else(general);
    group.map_or(Vec::new(), |group| group.from.clone())
}

impl Group<'_> {
    /// Whether a caller has all the labels that are asked for, and is of the rules' namespace.
    fn selects(&self, caller: &Caller) -> bool {
        let at_home = self
            .from
            .first()
            .is_some_and(|rule| rule.meta.namespace == caller.namespace);
        let has = |(name, value): (&String, &String)| caller.labels.get(name) == Some(value);
        at_home
            && self
                .selector
                .is_none_or(|it| it.match_labels.iter().all(has))
    }
}

#[cfg(test)]
mod tests;
