//! VirtualServices that others make idle, or that hold where there is nothing.

use std::collections::BTreeSet;

use super::{Advice, beside};
use crate::api::{Resource, VirtualService};
use crate::registry::Hostname;
use crate::translate::caller::{self, EVERYBODY, OWN_NAMESPACE};

/// The callers that a document is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Audience {
    /// All.
    All,
    /// Those of these namespaces.
    Of(BTreeSet<String>),
}

impl Audience {
    /// That of a document of a namespace.
    fn of<'t>(export_to: impl Iterator<Item = &'t str>, own: &str) -> Audience {
        let mut namespaces = BTreeSet::new();
        for to in export_to {
            match to {
                EVERYBODY => return Audience::All,
                OWN_NAMESPACE => namespaces.insert(own.to_owned()),
                other => namespaces.insert(other.to_owned()),
            };
        }
        match namespaces.is_empty() {
            true => Audience::All,
            false => Audience::Of(namespaces),
        }
    }

    /// Those of it that are of another, too; `None` if there are none.
    fn shared(&self, other: &Audience) -> Option<Audience> {
        match (self, other) {
            (Audience::All, both) | (both, Audience::All) => Some(both.clone()),
            (Audience::Of(one), Audience::Of(other)) => {
                let both: BTreeSet<String> = one.intersection(other).cloned().collect();
                (!both.is_empty()).then_some(Audience::Of(both))
            }
        }
    }
}

fn audience(resource: &Resource<VirtualService>) -> Audience {
    let to = resource.spec.export_to.iter().map(|to| to.as_str());
    Audience::of(to, &resource.meta.namespace)
}

/// Why a document has no say for a caller of a namespace, as far as it alone decides that.
pub(crate) fn why_idle(resource: &Resource<VirtualService>, caller: &str) -> Option<String> {
    if !caller::is_for_sidecars(&resource.spec) {
        return Some("it holds for gateways alone: its `gateways` lack `mesh`".into());
    }
    match audience(resource) {
        Audience::Of(namespaces) if !namespaces.contains(caller) => {
            let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
            Some(format!(
                "its `exportTo` shows it to {} alone, and the caller is in `{caller}`",
                names.join(", ")
            ))
        }
        _ => None,
    }
}

impl Advice<'_> {
    pub(super) fn hosts(&mut self, resource: &Resource<VirtualService>) {
        let spec = &resource.spec;
        if spec.hosts.is_empty() {
            return;
        }
        if !caller::is_for_sidecars(spec) {
            let message = "it holds for gateways alone, and this mesh has none: no request meets it; \
                           add `mesh` for callers inside";
            self.tell(&spec.gateways[0].place, message);
            return;
        }
        let own = audience(resource);
        for host in &spec.hosts {
            let name = Hostname::resolve(host, &resource.meta.namespace);
            let all: Vec<&Resource<VirtualService>> = self.index.virtual_services(&name).to_vec();
            // Oldest first, this one among them.
            let older = all.into_iter().take_while(|it| !is_same(it, resource));
            let idle = older.filter_map(|it| Some((it, audience(it).shared(&own)?)));
            let Some((older, shared)) = idle.into_iter().next() else {
                continue;
            };
            let whose = match shared {
                shared if shared == own => String::new(),
                Audience::All => String::new(),
                Audience::Of(namespaces) => {
                    let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
                    format!(" of callers in {}", names.join(", "))
                }
            };
            let message = format!(
                "no request{whose} for `{host}` meets it: VirtualService {} at {} has that host, too, and sidecars take the \
                 oldest alone; merge them into one",
                older.meta.name,
                beside(&older.place, &host.place)
            );
            self.tell(&host.place, message);
        }
    }
}

fn is_same(one: &Resource<VirtualService>, other: &Resource<VirtualService>) -> bool {
    one.meta.name == other.meta.name && one.meta.namespace == other.meta.namespace
}
