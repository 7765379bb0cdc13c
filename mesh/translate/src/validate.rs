//! The errors of a mesh's documents, those included that only its proxies would find.

use std::collections::BTreeSet;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{Key, validate_documents};
use shakedown_yaml::Diagnostics;

use crate::trial;

/// The errors of the mesh's documents, in order of place. References to what does not exist are not among them, because Istio
/// accepts them.
pub fn validate(mesh: &Mesh) -> Diagnostics {
    validate_some(mesh, None)
}

/// As [`validate()`], but of changed documents alone: errors of others are not looked for, and what proxies would refuse is
/// looked for among the services that these documents name.
pub fn validate_changed(mesh: &Mesh, changed: &BTreeSet<Key>) -> Diagnostics {
    validate_some(mesh, Some(changed))
}

fn validate_some(mesh: &Mesh, changed: Option<&BTreeSet<Key>>) -> Diagnostics {
    let mut errors = validate_documents(mesh, changed);
    if !errors.is_empty() {
        return errors;
    }
    // A field that no proxy can execute has an error of its own in `validate_documents`, so this should find nothing.
    for refused in trial::refused(mesh, changed) {
        let (kind, name) = (refused.document.kind(), &refused.document.meta().name);
        let message = format!(
            "{kind} {name}: a proxy would refuse it: {}",
            refused.problem
        );
        errors.add(&refused.place, message);
    }
    errors.sorted()
}
