//! Tests that a command whose output pipe is closed exits with its normal code and prints no error.

use std::process::{Command, Stdio};

/// Runs the command with a standard output whose reader is closed.
fn unread(args: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(args)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("the command starts");
    let stderr = String::from_utf8(output.stderr).expect("the command prints UTF-8");
    (output.status.code(), stderr)
}

#[test]
fn a_reader_that_has_gone_changes_no_exit_code() {
    for (args, code) in [
        (&["list"][..], 0),
        (&["show", "header-routing"], 0),
        (&["load", "--help"], 0),
        (&["run", "header-routing"], 0),
        (
            &[
                "run",
                "header-routing",
                "--variant",
                "fragile",
                "--json",
                "-",
            ],
            1,
        ),
        (&["check", "header-routing"], 0),
    ] {
        assert_eq!(unread(args), (Some(code), String::new()), "{args:?}");
    }
}

#[test]
fn nobody_to_complain_to_is_no_reason_to_panic() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["run", "no-such-story"])
        .stdout(Stdio::null())
        .stderr(writer)
        .status()
        .expect("the command starts");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_full_disk_is_told_of() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .arg("list")
        .stdout(full.expect("Linux has one"))
        .output()
        .expect("the command starts");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("write to standard output"), "{stderr}");
}
