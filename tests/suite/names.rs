//! Checks that a type name has one meaning in the production code of all crates.
//!
//! A name that two files define must be listed in [`SHARED`] with the reason. Types in function bodies and under
//! `#[cfg(test)]` are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::HOUSE;
use crate::circles::types_of;

/// Names that several files define, and the reason.
const SHARED: [(&str, &str); 20] = [
    (
        "Abort",
        "of Istio's fault, and of the filter that executes it",
    ),
    (
        "AdaptiveConcurrency",
        "as written in a ProxyPolicy, and as executed",
    ),
    ("AdaptiveThrottle", "as written, as sent, and as executed"),
    (
        "Canary",
        "the document, and its rows in the results document, whose schema names the type",
    ),
    ("DirectResponse", "Istio's and Envoy's action of this name"),
    (
        "Document",
        "a document of the mesh, and the results document, whose schema names the type",
    ),
    ("Fault", "Istio's fault, and the filter that executes it"),
    ("Hedge", "as written in a ProxyPolicy, and as sent"),
    ("Maglev", "Istio's and Envoy's settings of this policy"),
    (
        "OutlierDetection",
        "Istio's and Envoy's settings of this name",
    ),
    ("PeakEwma", "as sent, and as executed"),
    ("RateLimit", "as written in a ProxyPolicy, and as executed"),
    ("Redirect", "Istio's and Envoy's action of this name"),
    ("Resource", "a resource of Kubernetes, and one of xDS"),
    ("RetryBudget", "Istio's and Envoy's settings of this name"),
    ("Rewrite", "Istio's and Envoy's settings of this name"),
    ("RingHash", "Istio's and Envoy's settings of this policy"),
    (
        "Service",
        "of the registry, and its rows in the results document, whose schema names the type",
    ),
    ("Shed", "as written, as sent, and as executed"),
    ("UpstreamPolicy", "as sent, and as executed"),
];

#[test]
fn a_type_name_has_one_meaning() {
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, folder, _) in HOUSE {
        for (name, file) in types_of(folder) {
            files
                .entry(name)
                .or_default()
                .insert(format!("{folder}/src/{file}"));
        }
    }
    files.retain(|_, files| files.len() > 1);
    let shared: BTreeSet<&str> = SHARED.iter().map(|(name, _)| *name).collect();
    let new: BTreeMap<_, _> = files
        .iter()
        .filter(|(name, _)| !shared.contains(name.as_str()))
        .collect();
    assert!(
        new.is_empty(),
        "types of one name; rename one, or list the name in SHARED with the reason: {new:#?}"
    );
    let gone: Vec<_> = shared
        .iter()
        .filter(|name| !files.contains_key(**name))
        .collect();
    assert!(
        gone.is_empty(),
        "names that one file defines, delete them from SHARED: {gone:?}"
    );
}
