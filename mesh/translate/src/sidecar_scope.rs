//! Grouping of callers by the DestinationRules that apply to them, so that callers with the same rules share the
//! resulting resources.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_istio::export::{EVERYBODY, OWN_NAMESPACE};
use shakedown_istio::registry::{Hostname, Mesh};

use super::caller::Caller;
use super::rules::{MergedRule, Rules};

/// The properties of callers that the mesh's rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeInputs {
    /// Namespaces that contain such rules, or that rules are exported to by name.
    namespaces: BTreeSet<String>,
    /// Labels that workload selectors use.
    labels: BTreeSet<String>,
}

/// The set of callers to which the same rules apply, identified by the services whose rules differ from those of a
/// caller in a namespace that appears in no rule. The value contains the namespaces and names of the merged rules, in
/// order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SidecarScope(BTreeMap<Hostname, Vec<(String, String)>>);

impl ScopeInputs {
    /// Collects the properties that a mesh's rules depend on. `None` if the same rules apply to all callers.
    pub fn from_mesh(mesh: &Mesh) -> Option<ScopeInputs> {
        let rules = Rules::new(mesh);
        let mut found = ScopeInputs::default();
        let mut alike = true;
        for rule in rules.all() {
            if rules.is_alike(rule, &mesh.registry) {
                continue;
            }
            alike = false;
            found.namespaces.insert(rule.meta.namespace.clone());
            let named = rule.spec.export_to.iter().map(|to| &to.value);
            let named = named.filter(|to| *to != EVERYBODY && *to != OWN_NAMESPACE);
            found.namespaces.extend(named.cloned());
            if let Some(selector) = &rule.spec.workload_selector {
                found.labels.extend(selector.match_labels.keys().cloned());
            }
        }
        (!alike).then_some(found)
    }

    /// Reduces a caller to the properties that matter.
    pub fn reduce(&self, caller: &Caller) -> Caller {
        if !self.namespaces.contains(&caller.namespace) {
            return Caller::default();
        }
        let labels = caller.labels.iter();
        let labels = labels.filter(|(name, _)| self.labels.contains(*name));
        Caller {
            namespace: caller.namespace.clone(),
            labels: labels.map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}

impl SidecarScope {
    /// Returns the scope of a caller.
    pub fn for_caller(mesh: &Mesh, caller: &Caller) -> SidecarScope {
        let rules = Rules::new(mesh);
        let default_caller = Caller::default();
        let mut found = BTreeMap::new();
        for service in mesh.registry.services.values() {
            let rule = |caller| names(&rules.rule(caller, &service.hostname, &service.namespace));
            let own = rule(caller);
            if own != rule(&default_caller) {
                found.insert(service.hostname.clone(), own);
            }
        }
        SidecarScope(found)
    }

    /// Returns true if the rules are those of a caller in a namespace that appears in no rule.
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the services with different rules.
    pub(super) fn services(&self) -> impl Iterator<Item = &Hostname> {
        self.0.keys()
    }
}

fn names(rule: &MergedRule<'_>) -> Vec<(String, String)> {
    let metas = rule.from.iter().map(|rule| &rule.meta);
    metas
        .map(|meta| (meta.namespace.clone(), meta.name.clone()))
        .collect()
}
