//! Tests that dev-dependencies enable no features beyond those of a build, so that the tests share its dependencies.

use std::collections::BTreeSet;
use std::process::Command;

/// The packages with their features over these kinds of edges, one per line.
fn features(edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline"])
        .args(["--prefix", "none", "--format", "{p} {f}", "--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // On a nightly toolchain these variables unify the features of all selections.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION")
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_build_and_the_tests_share_their_dependencies() {
    let (build, tests) = (features("normal,build"), features("normal,build,dev"));
    assert!(build.len() > 100, "{build:?}");
    let apart: Vec<&String> = build.difference(&tests).collect();
    assert!(
        apart.is_empty(),
        "built again for tests, which turn on more of their features (see Cargo.toml): {apart:#?}"
    );
}
