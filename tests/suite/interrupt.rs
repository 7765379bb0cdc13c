//! Ctrl-C on a run and on a sweep: what there is is reported, and it is said that it is not all.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::command::folder;

/// A process of its own that says, by its journal, that it has begun.
fn start(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill starts").success());
}

/// Waits until a process takes Ctrl-C itself.
fn wait_for_handler(child: &Child) {
    let path = format!("/proc/{}/status", child.id());
    let takes_interrupts = || {
        let status = std::fs::read_to_string(&path).expect("the process runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // SIGINT is signal 2.
        caught.is_some_and(|mask| mask & 0b10 != 0)
    };
    while !takes_interrupts() {
        std::thread::yield_now();
    }
}

/// Waits until a file holds something.
fn wait_for(path: &std::path::Path) {
    while std::fs::metadata(path).map_or(0, |found| found.len()) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_run_that_is_interrupted_reports_what_happened_until_then() {
    let folder = folder("interrupt-run");
    let (journal, json) = (folder.join("j.jsonl"), folder.join("r.json"));
    let text = |path: &std::path::Path| path.to_str().expect("test paths are UTF-8").to_owned();
    let child = start(&[
        "run",
        "header-routing",
        "--set",
        "duration=1h",
        "--journal",
        &text(&journal),
        "--json",
        &text(&json),
    ]);
    wait_for_handler(&child);
    wait_for(&journal);
    interrupt(&child);
    let output = child.wait_with_output().expect("the command ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("cut short"), "{said}");
    let document = std::fs::read_to_string(json).expect("the results are written");
    let document: Value = serde_json::from_str(&document).expect("the document is JSON");
    assert_eq!(document["verdict"], "invalid");
    assert!(document["cut_ns"].as_i64().is_some());
    // The journal says by itself that it is not whole.
    let last = BufReader::new(std::fs::File::open(journal).expect("it is there"))
        .lines()
        .last();
    let last = last.expect("a line").expect("it is UTF-8");
    assert!(!last.contains("digest"), "{last}");
}

#[test]
fn a_sweep_that_is_interrupted_judges_the_seeds_that_ran() {
    let seeds = ["--seeds", "1..1000000", "--jobs", "1"];
    let child = start(&[&["sweep", "header-routing"][..], &seeds].concat());
    wait_for_handler(&child);
    interrupt(&child);
    let output = child.wait_with_output().expect("the command ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("of 1000000 seeds ran"), "{said}");
}
