//! Index of the mesh's documents by the hosts they apply to.

use std::collections::BTreeMap;

use shakedown_istio::gateways::is_for_sidecars;
use shakedown_istio::registry::{Hostname, Mesh, MeshOptions, Service};
use shakedown_istio::{Delegate, Document, Resource, VirtualService, in_force};

use super::by_host::ByHost;
use super::caller::Caller;
use super::delegate;
use super::export::{self, Reach};
use super::rules::{MergedRule, RuleDocument, Rules};

/// Documents by host, as one caller sees them.
pub struct Index<'a> {
    options: &'a MeshOptions,
    caller: Caller,
    services: ByHost<'a, VirtualService>,
    /// The same documents, by [`Reach`] (nearest first), then by age (oldest first).
    in_order: Vec<&'a Resource<VirtualService>>,
    /// VirtualServices without hosts (delegates), by namespace and name.
    delegates: BTreeMap<(&'a str, &'a str), &'a Resource<VirtualService>>,
    rules: Rules<'a>,
}

impl<'a> Index<'a> {
    /// The view of a caller whose namespace appears in no document, but with all VirtualServices.
    pub fn new(mesh: &'a Mesh) -> Self {
        Index::for_caller(mesh, None)
    }

    /// The view of one caller, without documents that are not exported to it.
    pub fn seen_by(mesh: &'a Mesh, caller: &Caller) -> Self {
        Index::for_caller(mesh, Some(caller))
    }

    fn for_caller(mesh: &'a Mesh, who: Option<&Caller>) -> Self {
        let mut documents: Vec<&Document> = in_force(&mesh.documents).collect();
        documents.sort_by_key(|document| document.meta().age());
        let (mut services, mut rules) = (Vec::new(), Vec::new());
        let mut delegates = BTreeMap::new();
        for document in documents {
            match document {
                Document::VirtualService(resource) if resource.spec.hosts.is_empty() => {
                    let meta = &resource.meta;
                    let key = (meta.namespace.as_str(), meta.name.as_str());
                    delegates.insert(key, resource);
                }
                Document::VirtualService(resource) => {
                    if is_for_sidecars(&resource.spec)
                        && let Some(reach) = reach(resource, who, &mesh.options)
                    {
                        services.push((reach, resource));
                    }
                }
                Document::DestinationRule(resource) => rules.push(resource),
                // The control plane acts on these separately.
                Document::Canary(_) | Document::ProxyPolicy(_) => {}
            }
        }
        services.sort_by_key(|(reach, _)| *reach);
        let in_order: Vec<_> = services.into_iter().map(|(_, resource)| resource).collect();
        Index {
            options: &mesh.options,
            caller: who.cloned().unwrap_or_default(),
            services: by_host(&in_order),
            in_order,
            delegates,
            rules: Rules::for_namespace(&mesh.options, rules),
        }
    }

    /// Returns the VirtualService to which a route of a document in the namespace `own` delegates.
    pub fn delegate(&self, to: &Delegate, own: &str) -> Option<&'a Resource<VirtualService>> {
        let found = *self.delegates.get(&delegate::key(to, own))?;
        let default = self.options.virtual_services_for;
        export::reach(&found.spec, &found.meta.namespace, own, default).map(|_| found)
    }

    /// Returns the names of the delegates in a namespace.
    pub fn delegates_in(&self, namespace: &str) -> Vec<&'a str> {
        let within = self.delegates.keys().filter(|(of, _)| *of == namespace);
        within.map(|(_, name)| *name).collect()
    }

    /// Returns the VirtualService that sidecars use for a host: the oldest among those with the nearest [`Reach`] to
    /// the caller. Source: Istio. Gateways would merge them.
    pub fn virtual_service(&self, host: &Hostname) -> Option<&'a Resource<VirtualService>> {
        self.services.for_host(host).first().copied()
    }

    /// Returns all VirtualServices of a host, the one that sidecars use first. Those of wildcards that cover the host
    /// are not included, unless the host has none of its own.
    pub fn virtual_services_of(&self, host: &Hostname) -> &[&'a Resource<VirtualService>] {
        self.services.for_host(host)
    }

    /// Returns the VirtualServices in the order in which they are searched for a route.
    pub fn virtual_services(&self) -> &[&'a Resource<VirtualService>] {
        &self.in_order
    }

    /// Returns the DestinationRules, including those for other callers.
    pub fn rules(&self) -> &Rules<'a> {
        &self.rules
    }

    /// Returns a DestinationRule with a subset of this name for a different host with the same short name.
    pub fn rule_of_namesake(&self, host: &Hostname, subset: &str) -> Option<RuleDocument<'a>> {
        let short = |host: &Hostname| host.as_str().split('.').next().map(str::to_owned);
        let has = |rule: &&RuleDocument<'a>| {
            let mut subsets = rule.spec.subsets.iter();
            subsets.any(|known| *known.name == subset)
        };
        let namesakes = self.rules.exact();
        let mut namesakes =
            namesakes.filter(|(other, _)| *other != host && short(other) == short(host));
        namesakes.find_map(|(_, rules)| rules.iter().find(has).copied())
    }

    /// Returns the merged DestinationRules of a service for the caller.
    pub fn rule(&self, service: &Service) -> MergedRule<'a> {
        self.rules
            .rule(&self.caller, &service.hostname, &service.namespace)
    }
}

/// Returns the reach of a VirtualService to a caller. Without a caller, every document has the same reach.
fn reach(
    resource: &Resource<VirtualService>,
    who: Option<&Caller>,
    options: &MeshOptions,
) -> Option<Reach> {
    let Some(caller) = who else {
        return Some(Reach::All);
    };
    let own = &resource.meta.namespace;
    let default = options.virtual_services_for;
    export::reach(&resource.spec, own, &caller.namespace, default)
}

fn by_host<'a>(in_order: &[&'a Resource<VirtualService>]) -> ByHost<'a, VirtualService> {
    let mut by_host = ByHost::default();
    for resource in in_order {
        for host in &resource.spec.hosts {
            by_host.insert(Hostname::resolve(host, &resource.meta.namespace), *resource);
        }
    }
    by_host
}
