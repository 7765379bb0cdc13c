//! Tests that memory is independent of a sweep's seeds, and that a document is independent of idle time.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{file, folder, shakedown};

const CHEAP: &str = "
scenario: cheap
story: A few requests.
duration: 2s
topology: {services: {shop: {workers: 4, endpoints: {GET /: [work: exp(5ms)]}}}}
load: {users: {to: shop GET /, rate: 10/s, arrivals: poisson}}
expect:
  - fast: p99(users) < 1s
  - mean: mean(users) < 1s over seeds
";

/// The peak resident memory of a sweep over this number of seeds, in kB.
fn peak_of_a_sweep(scenario: &str, seeds: u32) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["sweep", scenario, "--jobs", "2", "--seeds"])
        .arg(format!("1..{seeds}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The peak never decreases, and an exited process has none, so the maximum is the value at its end.
    while let Ok(None) = child.try_wait() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let value = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(value.unwrap_or(0));
        std::thread::yield_now();
    }
    assert!(child.wait().expect("it ended").success());
    peak
}

#[test]
fn the_memory_of_a_sweep_does_not_grow_with_its_seeds() {
    let scenario = file(&folder("sweep-memory"), "cheap.yaml", CHEAP);
    let [few, many] = [50, 400].map(|seeds| peak_of_a_sweep(&scenario, seeds));
    assert!(few > 1_000, "{few} kB");
    // A kilobyte per seed plus the allocator's overhead of two threads. A document has 30 kB, and its histograms 0.6
    // MB.
    assert!(many < few + 6_000, "50 seeds: {few} kB, 400: {many} kB");
}

#[test]
fn two_idle_hours_take_no_rows() {
    let idle = "
scenario: idle
story: A request every ten minutes.
duration: 2h
topology: {services: {shop: {workers: 4, sidecar: none, endpoints: {GET /: [work: 5ms]}}}}
load: {users: {to: shop GET /, rate: 6/h, sidecar: none}}
expect: [success(users) == 100%]
";
    let scenario = file(&folder("idle"), "idle.yaml", idle);
    let ran = shakedown(&["run", &scenario, "--json", "-"]).exits(0);
    let document: Value = serde_json::from_str(&ran.stdout).expect("the document is JSON");
    let rows = document["loads"][0]["seconds"].as_array().expect("rows");
    let from: Vec<u64> = rows
        .iter()
        .filter_map(|row| row["from_s"].as_u64())
        .collect();
    assert_eq!(from, Vec::from_iter((0..12).map(|at| at * 600)));
    assert!(ran.stdout.len() < 40_000, "{} bytes", ran.stdout.len());
}
