//! Validation of a mesh's documents, including the errors that only a proxy would find.

use std::collections::BTreeSet;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{DocumentKey, validate_documents};
use shakedown_yaml::Diagnostics;

use crate::trial;

/// Returns the errors of the mesh's documents, sorted by position. References to missing objects are not errors,
/// because Istio accepts them.
pub fn validate(mesh: &Mesh) -> Diagnostics {
    validate_some(mesh, None)
}

/// Like [`validate()`], but restricted to changed documents. Proxy errors are only searched for among the services
/// that these documents name.
pub fn validate_changed(mesh: &Mesh, changed: &BTreeSet<DocumentKey>) -> Diagnostics {
    validate_some(mesh, Some(changed))
}

fn validate_some(mesh: &Mesh, changed: Option<&BTreeSet<DocumentKey>>) -> Diagnostics {
    let mut errors = validate_documents(mesh, changed);
    if !errors.is_empty() {
        return errors;
    }
    // Fields that no proxy can execute already have errors of their own in `validate_documents`, so this should find
    // nothing.
    for refused in trial::refused(mesh, changed) {
        let (kind, name) = (refused.document.kind(), &refused.document.meta().name);
        let message = format!(
            "{kind} {name}: a proxy would reject it: {}",
            refused.problem
        );
        errors.add(&refused.place, message);
    }
    errors.sorted()
}
