//! Tests the import arrows of ARCHITECTURE.md: a crate depends only on crates of lower rows, and never on a crate that
//! is forbidden for its folder. Dev-dependencies and indirect dependencies are not checked.

use std::collections::BTreeMap;
use std::path::Path;

/// Crate, folder, row.
pub(super) const HOUSE: [(&str, &str, u8); 19] = [
    ("shakedown", ".", 8),
    ("shakedown-with-envoy", "tests/differential", 8),
    ("shakedown-runner", "sim/runner", 7),
    ("shakedown-loadgen", "loadgen", 6),
    ("shakedown-scenarios", "scenarios", 5),
    ("shakedown-control", "mesh/control", 4),
    ("shakedown-analysis", "mesh/analysis", 4),
    ("shakedown-proxy", "mesh/proxy", 4),
    ("shakedown-translate", "mesh/translate", 3),
    ("shakedown-reports", "reports", 3),
    ("shakedown-identity", "mesh/identity", 1),
    ("shakedown-wire", "mesh/wire", 2),
    ("shakedown-engine", "sim/engine", 2),
    ("shakedown-istio", "mesh/istio", 2),
    ("shakedown-xds", "mesh/xds", 1),
    ("shakedown-env", "mesh/env", 1),
    ("shakedown-results", "reports/results", 1),
    ("shakedown-types", "mesh/types", 0),
    ("shakedown-yaml", "mesh/yaml", 0),
];

/// The crates (by prefix of folder or name) with the crates that they must never name.
const NEVER: [(&str, &[&str]); 16] = [
    (
        "mesh/",
        &[
            "shakedown-runner",
            "shakedown-engine",
            "shakedown-scenarios",
            "shakedown-loadgen",
            "shakedown-results",
            "turmoil",
        ],
    ),
    (
        "mesh/types",
        &["tokio", "hyper", "tonic", "prost", "envoy-types"],
    ),
    ("mesh/yaml", &["tokio", "prost", "envoy-types"]),
    ("mesh/xds", &["tokio"]),
    ("mesh/istio", &["tokio", "prost", "envoy-types"]),
    ("mesh/translate", &["tokio"]),
    ("mesh/analysis", &["tokio"]),
    // The proxy reads only xDS, and only the control plane reads documents. They meet over xDS in production too.
    (
        "mesh/proxy",
        &[
            "shakedown-yaml",
            "shakedown-istio",
            "shakedown-translate",
            "shakedown-analysis",
        ],
    ),
    ("mesh/control", &["shakedown-analysis"]),
    ("scenarios", &["tokio", "shakedown-env"]),
    (
        "reports",
        &[
            "tokio",
            "shakedown-loadgen",
            "shakedown-engine",
            "shakedown-runner",
        ],
    ),
    ("reports/results", &["tokio"]),
    ("sim/", &["shakedown-reports", "plotters"]),
    ("mesh/", &["plotters"]),
    ("loadgen", &["plotters", "shakedown-reports"]),
    ("scenarios", &["plotters"]),
];

fn dependencies(folder: &str) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).expect("every crate has a manifest");
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[dependencies]"
                || line.starts_with("[target.") && line.ends_with(".dependencies]");
            assert!(
                !line.starts_with("[dependencies."),
                "{folder}: write dependencies in one table"
            );
        } else if inside
            && let Some(name) = line
                .split(['.', '=', ' '])
                .next()
                .filter(|n| !n.is_empty() && !n.starts_with('#'))
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn a_crate_imports_only_from_rows_below_its_own() {
    let rows: BTreeMap<&str, u8> = HOUSE.iter().map(|(name, _, row)| (*name, *row)).collect();
    for (name, folder, row) in HOUSE {
        for dependency in dependencies(folder) {
            if !dependency.starts_with("shakedown") {
                continue;
            }
            let below = rows
                .get(dependency.as_str())
                .unwrap_or_else(|| panic!("{name} uses {dependency}, which has no row"));
            assert!(
                below < &row,
                "{name} (row {row}) must not import {dependency} (row {below})"
            );
        }
    }
}

#[test]
fn no_crate_imports_what_its_place_forbids() {
    for (_, folder, _) in HOUSE {
        let dependencies = dependencies(folder);
        for (place, never) in NEVER {
            if folder != place && !(place.ends_with('/') && folder.starts_with(place)) {
                continue;
            }
            for name in never {
                assert!(
                    !dependencies.iter().any(|d| d == name),
                    "{folder} must never import {name}"
                );
            }
        }
    }
}

#[test]
fn every_crate_of_the_workspace_has_a_row_and_takes_the_lints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace =
        std::fs::read_to_string(root.join("Cargo.toml")).expect("the root manifest is there");
    let members = workspace
        .split("default-members")
        .next()
        .expect("split gives one part at least");
    for (_, folder, _) in HOUSE {
        if folder != "." {
            assert!(
                members.contains(&format!("\"{folder}\"")),
                "{folder} is not a member of the workspace"
            );
        }
        let manifest = std::fs::read_to_string(root.join(folder).join("Cargo.toml"))
            .expect("every crate has a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{folder} does not take the workspace's lints"
        );
        assert!(
            folder == "." || !root.join(folder).join("clippy.toml").exists(),
            "{folder}/clippy.toml would replace the root's bans"
        );
    }
    let listed = members
        .split("members")
        .nth(1)
        .expect("the workspace lists its members")
        .matches('"')
        .count()
        / 2;
    assert_eq!(
        listed,
        HOUSE.len() - 1,
        "a member of the workspace has no row here"
    );
}
