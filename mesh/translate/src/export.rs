//! Visibility of VirtualServices: their `exportTo`, or the mesh default.

use std::collections::BTreeSet;

use shakedown_istio::export::{EVERYBODY, OWN_NAMESPACE};
use shakedown_istio::registry::{DefaultExport, Mesh};
use shakedown_istio::{Document, VirtualService, in_force};

use super::caller::Caller;

/// The way in which a VirtualService is visible to a caller. Of two for the same host, the one with the lesser value
/// applies, regardless of age. Source: Istio, `SelectVirtualServices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// In the caller's namespace, and exported to it, but not to all.
    Own,
    /// In another namespace, and exported to the caller's by name.
    Named,
    /// Exported to all.
    All,
}

/// Returns the way in which a VirtualService of the namespace `own` is visible to a caller's namespace, or `None` if
/// it is not. Source: Istio, `initVirtualServices`.
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

/// Returns true if a VirtualService is visible in all namespaces.
pub fn is_for_all(spec: &VirtualService, default: DefaultExport) -> bool {
    if spec.export_to.is_empty() {
        default == DefaultExport::All
    } else {
        spec.export_to.iter().any(|to| to.value == EVERYBODY)
    }
}

/// Returns representatives of all callers that documents distinguish by `exportTo`, namespace and selectors. The
/// first has an empty namespace, which represents any namespace that appears in no document.
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
            Document::VirtualService(resource) => {
                (&resource.meta.namespace, &resource.spec.export_to)
            }
            Document::DestinationRule(resource) => {
                if let Some(selector) = &resource.spec.workload_selector {
                    let labels = selector.match_labels.iter();
                    selected.push(Caller {
                        namespace: resource.meta.namespace.clone(),
                        labels: labels.map(|(k, v)| (k.clone(), v.clone())).collect(),
                    });
                }
                (&resource.meta.namespace, &resource.spec.export_to)
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
