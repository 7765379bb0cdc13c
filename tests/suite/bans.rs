//! Tests that clippy.toml's bans are effective: each planted line that bypasses `Env` makes clippy fail in a crate with
//! the workspace's lints. `arrows` tests that every crate uses these lints.

use std::path::Path;
use std::process::Command;

use crate::command::{file, folder};

/// The planted lines, each with the lint that must report it.
const PLANTED: [(&str, &str); 6] = [
    (
        "pub fn f() -> usize { std::collections::HashMap::<u8, u8>::new().iter().count() }",
        "disallowed",
    ),
    (
        "pub fn f() -> std::collections::HashSet<u8> { Default::default() }",
        "disallowed_types",
    ),
    (
        "pub fn f() -> std::time::Instant { std::time::Instant::now() }",
        "disallowed_methods",
    ),
    (
        "pub fn f() -> std::time::SystemTime { std::time::SystemTime::now() }",
        "disallowed_methods",
    ),
    (
        "pub fn f() { std::thread::sleep(std::time::Duration::ZERO); }",
        "disallowed_methods",
    ),
    (
        "pub fn f() { drop(std::net::TcpStream::connect((\"localhost\", 1))); }",
        "disallowed_methods",
    ),
];

/// The workspace's lints as the `[lints]` of a crate.
fn lints() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(root).expect("the root manifest is there");
    let from = manifest
        .find("[workspace.lints.rust]")
        .expect("the workspace has lints");
    let rest = &manifest[from..];
    let to = rest
        .find("[profile")
        .expect("profiles come after the lints");
    rest[..to].replace("[workspace.lints", "[lints")
}

/// Runs clippy over one line. `None` if clippy is not installed.
fn clippy(test: &str, line: &str) -> Option<(bool, String)> {
    let has_clippy = Command::new("cargo")
        .args(["clippy", "--version"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_clippy {
        assert!(std::env::var_os("CI").is_none(), "CI must have clippy");
        eprintln!("skipped: this machine has no clippy");
        return None;
    }
    let folder = folder(test);
    let bans = Path::new(env!("CARGO_MANIFEST_DIR")).join("clippy.toml");
    file(
        &folder,
        "clippy.toml",
        std::fs::read(bans).expect("clippy.toml is there"),
    );
    let head = "[package]\nname = \"planted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[lib]\npath = \"lib.rs\"\n";
    file(&folder, "Cargo.toml", format!("{head}{}", lints()));
    file(
        &folder,
        "lib.rs",
        format!("//! Planted.\n/// Reaches past Env.\n#[must_use]\n{line}\n"),
    );
    let output = Command::new("cargo")
        .args(["clippy", "--offline", "--quiet", "--target-dir", "target"])
        .current_dir(&folder)
        .output()
        .expect("cargo starts");
    Some((
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

#[test]
fn what_reaches_past_env_turns_the_lints_red() {
    for (at, (line, ban)) in PLANTED.iter().enumerate() {
        let Some((passed, stderr)) = clippy(&format!("planted-{at}"), line) else {
            return;
        };
        assert!(!passed && stderr.contains(ban), "{line}\n{stderr}");
    }
}

#[test]
fn what_stays_inside_is_green() {
    if let Some((passed, stderr)) = clippy(
        "planted-good",
        "pub fn f() -> u8 { std::collections::BTreeMap::<u8, u8>::new().len() as u8 }",
    ) {
        assert!(passed, "{stderr}");
    }
}
