//! The mesh's documents by the hosts that they speak of.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::caller::{self, Caller};
use super::delegate;
use crate::api::{
    Delegate, DestinationRule, Document, Key, Resource, Subset, TrafficPolicy, VirtualService,
};
use crate::decode::Spanned;
use crate::registry::{Hostname, Mesh};

/// The documents in force: of two with one key the later, at the place of the first.
pub(crate) fn in_force(documents: &[Document]) -> impl Iterator<Item = &Document> {
    let mut by_key: IndexMap<Key, &Document> = IndexMap::new();
    for document in documents {
        by_key.insert(document.key(), document);
    }
    by_key.into_values()
}

/// Documents by host, oldest first.
pub(crate) struct Index<'a> {
    root_namespace: &'a str,
    services: ByHost<'a, VirtualService>,
    /// Those without hosts, by namespace and name.
    delegates: BTreeMap<(&'a str, &'a str), &'a Resource<VirtualService>>,
    rules: ByHost<'a, DestinationRule>,
}

struct ByHost<'a, T> {
    exact: BTreeMap<Hostname, Vec<&'a Resource<T>>>,
    /// Longest first: the most specific counts.
    wild: Vec<(Hostname, Vec<&'a Resource<T>>)>,
}

impl<'a, T> ByHost<'a, T> {
    fn new() -> Self {
        ByHost {
            exact: BTreeMap::new(),
            wild: Vec::new(),
        }
    }

    fn insert(&mut self, host: Hostname, resource: &'a Resource<T>) {
        if !host.is_wildcard() {
            self.exact.entry(host).or_default().push(resource);
            return;
        }
        match self.wild.iter_mut().find(|(known, _)| *known == host) {
            Some((_, resources)) => resources.push(resource),
            None => {
                let longer =
                    |(known, _): &(Hostname, _)| known.as_str().len() >= host.as_str().len();
                let at = self.wild.partition_point(longer);
                self.wild.insert(at, (host, vec![resource]));
            }
        }
    }

    /// Those of the host itself, else of the most specific wildcard that covers it.
    fn of(&self, host: &Hostname) -> &[&'a Resource<T>] {
        if let Some(found) = self.exact.get(host) {
            return found;
        }
        self.wild
            .iter()
            .find(|(wild, _)| wild.covers(host))
            .map_or(&[], |(_, found)| found)
    }
}

/// All that DestinationRules say of a host.
pub(crate) struct Rule<'a> {
    /// For all of it: the oldest that has one.
    pub(crate) policy: Option<&'a TrafficPolicy>,
    /// Its parts, of all documents; of two with one name the older.
    pub(crate) subsets: Vec<&'a Spanned<Subset>>,
}

impl<'a> Index<'a> {
    /// As all callers see it.
    pub(crate) fn new(mesh: &'a Mesh) -> Self {
        Index::of(mesh, None)
    }

    /// As one caller sees it: without what is not exported to it.
    pub(crate) fn seen_by(mesh: &'a Mesh, caller: &Caller) -> Self {
        Index::of(mesh, Some(caller))
    }

    fn of(mesh: &'a Mesh, who: Option<&Caller>) -> Self {
        let mut documents: Vec<&Document> = in_force(&mesh.documents).collect();
        // Stable: documents of one age stay in the user's order.
        documents.sort_by_key(|document| document.meta().age());
        let (mut services, mut rules) = (ByHost::new(), ByHost::new());
        let mut delegates = BTreeMap::new();
        for document in documents {
            match document {
                Document::VirtualService(resource) if resource.spec.hosts.is_empty() => {
                    let meta = &resource.meta;
                    let key = (meta.namespace.as_str(), meta.name.as_str());
                    delegates.insert(key, resource);
                }
                Document::VirtualService(resource) => {
                    let own = &resource.meta.namespace;
                    let to_it =
                        |it: &Caller| caller::is_exported_to(&resource.spec, own, &it.namespace);
                    if !caller::is_for_sidecars(&resource.spec) || !who.is_none_or(to_it) {
                        continue;
                    }
                    for host in &resource.spec.hosts {
                        services
                            .insert(Hostname::resolve(host, &resource.meta.namespace), resource);
                    }
                }
                Document::DestinationRule(resource) => {
                    rules.insert(
                        Hostname::resolve(&resource.spec.host, &resource.meta.namespace),
                        resource,
                    );
                }
                // The control plane acts on it, by documents of its own.
                Document::Canary(_) | Document::ProxyPolicy(_) => {}
            }
        }
        Index {
            root_namespace: &mesh.options.root_namespace,
            services,
            delegates,
            rules,
        }
    }

    /// The VirtualService that a route of a document in the namespace `own` delegates to.
    pub(crate) fn delegate(
        &self,
        to: &Delegate,
        own: &str,
    ) -> Option<&'a Resource<VirtualService>> {
        let found = *self.delegates.get(&delegate::key(to, own))?;
        let namespace = &found.meta.namespace;
        caller::is_exported_to(&found.spec, namespace, own).then_some(found)
    }

    /// The names of those that can be delegated to, in a namespace.
    pub(crate) fn delegates_in(&self, namespace: &str) -> Vec<&'a str> {
        let within = self.delegates.keys().filter(|(of, _)| *of == namespace);
        within.map(|(_, name)| *name).collect()
    }

    /// The VirtualService that sidecars use for a host: the oldest. Source: Istio; gateways would merge.
    pub(crate) fn virtual_service(&self, host: &Hostname) -> Option<&'a Resource<VirtualService>> {
        self.services.of(host).first().copied()
    }

    /// The hosts, not wildcards, that VirtualServices name, each with the one that counts.
    pub(crate) fn virtual_hosts(
        &self,
    ) -> impl Iterator<Item = (&Hostname, &'a Resource<VirtualService>)> {
        self.services
            .exact
            .iter()
            .filter_map(|(host, found)| Some((host, *found.first()?)))
    }

    /// All VirtualServices for sidecars that have a host, oldest first; else those of the most specific wildcard over it.
    pub(crate) fn virtual_services(&self, host: &Hostname) -> &[&'a Resource<VirtualService>] {
        self.services.of(host)
    }

    /// The DestinationRules that count for a host, oldest first: those of its namespace, else those of the root namespace,
    /// else any; and after them those of the same name that do not. Source: Istio, `destinationRule`.
    pub(crate) fn rules(
        &self,
        host: &Hostname,
        namespace: &str,
    ) -> (
        Vec<&'a Resource<DestinationRule>>,
        Vec<&'a Resource<DestinationRule>>,
    ) {
        let rank = |rule: &Resource<DestinationRule>| match rule.meta.namespace.as_str() {
            of if of == namespace => 0,
            of if of == self.root_namespace => 1,
            _ => 2,
        };
        let all = self.rules.of(host);
        let best = all.iter().map(|rule| rank(rule)).min();
        all.iter().partition(|rule| Some(rank(rule)) == best)
    }

    /// A DestinationRule with such a subset for a host that has the same short name and is another.
    pub(crate) fn rule_of_namesake(
        &self,
        host: &Hostname,
        subset: &str,
    ) -> Option<&'a Resource<DestinationRule>> {
        let short = |host: &Hostname| host.as_str().split('.').next().map(str::to_owned);
        let has = |rule: &&&Resource<DestinationRule>| {
            let mut subsets = rule.spec.subsets.iter();
            subsets.any(|known| *known.name == subset)
        };
        let namesakes = self.rules.exact.iter();
        let mut namesakes =
            namesakes.filter(|(other, _)| *other != host && short(other) == short(host));
        namesakes.find_map(|(_, rules)| rules.iter().find(has).copied())
    }

    /// What the DestinationRules of a host say of it; they merge. Source: Istio, `mergeDestinationRule`.
    pub(crate) fn rule(&self, host: &Hostname, namespace: &str) -> Rule<'a> {
        let mut merged = Rule {
            policy: None,
            subsets: Vec::new(),
        };
        for rule in self.rules(host, namespace).0 {
            merged.policy = merged.policy.or(rule.spec.traffic_policy.as_ref());
            for subset in &rule.spec.subsets {
                if !merged.subsets.iter().any(|known| known.name == subset.name) {
                    merged.subsets.push(subset);
                }
            }
        }
        merged
    }
}
