//! Which DestinationRules hold for whom, so that callers for whom the same ones hold share what is made of them.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_istio::export::{EVERYBODY, OWN_NAMESPACE};
use shakedown_istio::registry::{Hostname, Mesh};

use super::caller::Caller;
use super::rules::{Rule, Rules};

/// What of callers the mesh's rules look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audiences {
    /// Namespaces that have rules of their own, or that rules are for.
    namespaces: BTreeSet<String>,
    /// Labels that rules select by.
    labels: BTreeSet<String>,
}

/// The rules that hold for a caller, as far as these are others than for a caller of a namespace that no rule speaks of: by
/// service, the namespaces and names of those that are merged, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Audience(BTreeMap<Hostname, Vec<(String, String)>>);

impl Audiences {
    /// What the rules of a mesh look at; `None` if the same ones hold for all callers.
    pub fn of(mesh: &Mesh) -> Option<Audiences> {
        let rules = Rules::new(mesh);
        let mut found = Audiences::default();
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

    /// As much of a caller as is looked at.
    pub fn look_at(&self, caller: &Caller) -> Caller {
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

impl Audience {
    /// That of a caller.
    pub fn of(mesh: &Mesh, caller: &Caller) -> Audience {
        let rules = Rules::new(mesh);
        let stranger = Caller::default();
        let mut found = BTreeMap::new();
        for service in mesh.registry.services.values() {
            let rule = |caller| names(&rules.rule(caller, &service.hostname, &service.namespace));
            let own = rule(caller);
            if own != rule(&stranger) {
                found.insert(service.hostname.clone(), own);
            }
        }
        Audience(found)
    }

    /// Whether the same rules hold as for a caller of a namespace that no rule speaks of.
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }

    /// The services for which other rules hold.
    pub(super) fn services(&self) -> impl Iterator<Item = &Hostname> {
        self.0.keys()
    }
}

fn names(rule: &Rule<'_>) -> Vec<(String, String)> {
    let metas = rule.from.iter().map(|rule| &rule.meta);
    metas
        .map(|meta| (meta.namespace.clone(), meta.name.clone()))
        .collect()
}
