//! Whom a VirtualService is for: its `exportTo`, or what the mesh says of documents without one.

use std::collections::BTreeSet;

use shakedown_istio::export::{EVERYBODY, OWN_NAMESPACE};
use shakedown_istio::registry::{DefaultExport, Mesh};
use shakedown_istio::{Document, VirtualService, in_force};

use super::caller::Caller;

/// By which way a VirtualService comes to a caller; of two for one host the nearer way counts, whatever their ages.
/// Source: Istio, `SelectVirtualServices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It is of the caller's namespace, and for that, but not for all.
    Own,
    /// It names the caller's namespace, which is another.
    Named,
    /// It is for all.
    All,
}

/// The way by which a VirtualService of the namespace `own` comes to callers of a namespace; `None`: it does not.
/// Source: Istio, `initVirtualServices`.
pub fn reach(
    spec: &VirtualService,
    own: &str,
    caller: &str,
    default: DefaultExport,
) -> Option<Reach> {
    if is_for_all(spec, default) {
        return Some(Reach::All);
    }
    if caller == own {
        let to_own = |to: &str| to == OWN_NAMESPACE || to == own;
        let is_meant = spec.export_to.is_empty() || spec.export_to.iter().any(|to| to_own(to));
        return is_meant.then_some(Reach::Own);
    }
    let mut named = spec.export_to.iter();
    named.any(|to| to.value == caller).then_some(Reach::Named)
}

/// Whether callers of all namespaces see a VirtualService.
pub fn is_for_all(spec: &VirtualService, default: DefaultExport) -> bool {
    match spec.export_to.is_empty() {
        true => default == DefaultExport::All,
        false => spec.export_to.iter().any(|to| to.value == EVERYBODY),
    }
}

/// Callers that stand for all that documents tell apart by their `exportTo`, their own namespace and their selectors. The
/// first is of a namespace that no document speaks of, which is written as none.
pub fn all_kinds_of_callers(mesh: &Mesh) -> Vec<Caller> {
    let mut found = BTreeSet::from([Caller::default()]);
    let mut add = |namespace: &str| {
        found.insert(Caller {
            namespace: namespace.into(),
            ..Caller::default()
        });
    };
    let mut selected = Vec::new();
    for document in in_force(&mesh.documents) {
        let (own, export_to) = match document {
            Document::VirtualService(it) => (&it.meta.namespace, &it.spec.export_to),
            Document::DestinationRule(it) => {
                if let Some(selector) = &it.spec.workload_selector {
                    let labels = selector.match_labels.iter();
                    selected.push(Caller {
                        namespace: it.meta.namespace.clone(),
                        labels: labels.map(|(k, v)| (k.clone(), v.clone())).collect(),
                    });
                }
                (&it.meta.namespace, &it.spec.export_to)
            }
            Document::Canary(_) | Document::ProxyPolicy(_) => continue,
        };
        add(own);
        let named = export_to.iter().map(|to| to.as_str());
        named
            .filter(|to| *to != EVERYBODY && *to != OWN_NAMESPACE)
            .for_each(&mut add);
    }
    found.extend(selected);
    found.into_iter().collect()
}
