//! Checks that a type name has one meaning in the production code of all crates.
//!
//! A name that two files define must be listed in [`SHARED`] with the reason, and no further file may define it. Types in function bodies and under
//! `#[cfg(test)]` are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::HOUSE;
use crate::circles::types_of;

/// Names that several files define: the name, the number of files, and the reason.
const SHARED: [(&str, usize, &str); 20] = [
    (
        "Abort",
        2,
        "of Istio's fault, and of the filter that executes it",
    ),
    (
        "AdaptiveConcurrency",
        2,
        "as written in a ProxyPolicy, and as executed",
    ),
    (
        "AdaptiveThrottle",
        3,
        "as written, as sent, and as executed",
    ),
    (
        "Canary",
        2,
        "the document, and its rows in the results document, whose schema names the type",
    ),
    (
        "DirectResponse",
        2,
        "Istio's and Envoy's action of this name",
    ),
    (
        "Document",
        2,
        "a document of the mesh, and the results document, whose schema names the type",
    ),
    ("Fault", 2, "Istio's fault, and the filter that executes it"),
    ("Hedge", 2, "as written in a ProxyPolicy, and as sent"),
    ("Maglev", 2, "Istio's and Envoy's settings of this policy"),
    (
        "OutlierDetection",
        2,
        "Istio's and Envoy's settings of this name",
    ),
    ("PeakEwma", 2, "as sent, and as executed"),
    (
        "RateLimit",
        2,
        "as written in a ProxyPolicy, and as executed",
    ),
    ("Redirect", 2, "Istio's and Envoy's action of this name"),
    ("Resource", 2, "a resource of Kubernetes, and one of xDS"),
    (
        "RetryBudget",
        2,
        "Istio's and Envoy's settings of this name",
    ),
    ("Rewrite", 2, "Istio's and Envoy's settings of this name"),
    ("RingHash", 2, "Istio's and Envoy's settings of this policy"),
    (
        "Service",
        2,
        "of the registry, and its rows in the results document, whose schema names the type",
    ),
    ("Shed", 3, "as written, as sent, and as executed"),
    ("UpstreamPolicy", 2, "as sent, and as executed"),
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
    let listed = |name: &str, count: usize| {
        let mut shared = SHARED.iter();
        shared.any(|(known, files, _)| *known == name && *files == count)
    };
    let new: BTreeMap<_, _> = files
        .iter()
        .filter(|(name, files)| !listed(name, files.len()))
        .collect();
    assert!(
        new.is_empty(),
        "types of one name; rename one, or list the name in SHARED with the number of files and the reason: {new:#?}"
    );
    let gone: Vec<&str> = SHARED
        .iter()
        .filter(|(name, _, _)| !files.contains_key(*name))
        .map(|(name, _, _)| *name)
        .collect();
    assert!(
        gone.is_empty(),
        "names that one file defines, delete them from SHARED: {gone:?}"
    );
}
