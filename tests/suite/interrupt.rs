//! Tests Ctrl-C on runs and sweeps: the results so far are reported, and marked as incomplete.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::command::{file, folder};

/// Starts the command as a child process.
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

/// Waits until a process has installed its handler of Ctrl-C.
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

/// Waits until a file is non-empty.
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
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{stdout}");
    assert!(stdout.contains("cut short"), "{stdout}");
    let document = std::fs::read_to_string(json).expect("the results are written");
    let document: Value = serde_json::from_str(&document).expect("the document is JSON");
    assert_eq!(document["verdict"], "invalid");
    assert!(document["cut_ns"].as_i64().is_some());
    // The missing footer marks the journal as incomplete.
    let last = BufReader::new(std::fs::File::open(journal).expect("it is there"))
        .lines()
        .last();
    let last = last.expect("a line").expect("it is UTF-8");
    assert!(!last.contains("digest"), "{last}");
}

/// Requests take 5 s each at 200/s, so that about 1,000 are always in flight.
const SLOW: &str = "
scenario: slow
story: Many calls are always in flight.
duration: 10h
topology:
  services:
    front: {endpoints: {GET /: [call: back GET /]}}
    back: {endpoints: {GET /: [sleep: 5s]}}
load: {u: {to: front GET /, rate: 200/s}}
expect: [count(u) > 0]
";

#[test]
fn calls_in_flight_at_the_interrupt_are_counted_apart() {
    let folder = folder("interrupt-in-flight");
    let path = |name: &str| {
        let path = folder.join(name);
        path.to_str().expect("test paths are UTF-8").to_owned()
    };
    let scenario = file(&folder, "slow.yaml", SLOW);
    let (journal, json, html) = (path("j.jsonl"), path("r.json"), path("r.html"));
    let outputs = ["--journal", &journal, "--json", &json, "--html", &html];
    let child = start(&[&["run", &scenario][..], &outputs].concat());
    wait_for_handler(&child);
    // Wait until the first responses are recorded.
    while std::fs::metadata(&journal).map_or(0, |found| found.len()) < 2_000_000 {
        std::thread::yield_now();
    }
    interrupt(&child);
    let output = child.wait_with_output().expect("the command ends");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{stdout}");
    let (mut calls, mut ok) = (0_i64, 0_i64);
    let lines = std::fs::read_to_string(journal).expect("the journal is written");
    for line in lines.lines().skip(1) {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let event = &line["event"];
        match event["kind"].as_str() {
            Some("call-started") => calls += 1,
            Some("call-ended") => calls -= 1,
            Some("finished") if event["outcome"]["answer"] == "ok" => ok += 1,
            _ => {}
        }
    }
    assert!(ok > 0 && calls > 1_000, "{ok} {calls}");
    let document = std::fs::read_to_string(json).expect("the results are written");
    let document: Value = serde_json::from_str(&document).expect("the document is JSON");
    assert_eq!(document["in_flight_at_cut"], calls);
    assert_eq!(document["loads"][0]["ok"], ok);
    assert_eq!(document["loads"][0]["scheduled"], ok);
    let in_flight = shakedown_reports::units::counted(calls.unsigned_abs(), "call");
    let words = format!("the figures exclude {in_flight} in flight");
    assert!(stdout.contains(&words), "{stdout}");
    let page = std::fs::read_to_string(html).expect("the report is written");
    assert!(page.contains(&words));
}

#[test]
fn a_sweep_that_is_interrupted_judges_the_seeds_that_ran() {
    let seeds = ["--seeds", "1..1000000", "--jobs", "1"];
    let child = start(&[&["sweep", "header-routing"][..], &seeds].concat());
    wait_for_handler(&child);
    interrupt(&child);
    let output = child.wait_with_output().expect("the command ends");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{stdout}");
    assert!(stdout.contains("of 1000000 seeds ran"), "{stdout}");
}
