//! Tests that a real process returns the memory of a burst of requests.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{file, folder};

/// A whole mesh in one process, with a burst of requests that wait for 3 s, and other traffic.
const BURST: &str = "
scenario: burst
story: Six thousand requests come in two seconds and wait for three. The memory that they took is given back.
duration: 18s
drain: 1s
topology:
  services:
    app: {protocol: http2, endpoints: {GET /slow: [sleep: 3s], GET /fast: [sleep: 1ms]}}
load:
  burst: {to: app GET /slow, rate: 3k/s, start: 2s, stop: 4s, timeout: 30s}
  calm: {to: app GET /fast, rate: 20/s, timeout: 30s}
expect:
  - success(burst) >= 90%
";

/// The resident memory of a process in KiB; `None` once it has ended.
fn resident(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is watched in real time"
)]
#[test]
fn the_memory_of_a_burst_is_given_back_within_ten_seconds() {
    let path = file(&folder("burst"), "burst.yaml", BURST);
    let mut process = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["run", &path, "--real"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let start = Instant::now();
    let mut samples = Vec::new();
    while let Some(now) = resident(&process) {
        samples.push((start.elapsed(), now));
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = process.wait().expect("the command ends");
    assert!(ended.code().is_some_and(|code| code != 2), "{ended}");
    let until = |millis| {
        let limit = Duration::from_millis(millis);
        let earlier = samples.iter().take_while(|(elapsed, _)| *elapsed < limit);
        earlier.last().expect("it ran").1
    };
    let peak = samples.iter().map(|(_, now)| *now).max().expect("it ran");
    // The burst is over 7 s after the start; the last second belongs to the report.
    let (before, after) = (until(1_500), until(17_000));
    println!("KiB: {before} before, {peak} at most, {after} ten seconds after");
    let grown = peak - before;
    assert!(grown > 30 * 1024, "the burst takes memory: {grown} KiB");
    let kept = after.saturating_sub(before);
    assert!(kept < grown / 2, "{kept} of {grown} KiB are kept");
}
