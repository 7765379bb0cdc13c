//! Runs the command under valgrind's callgrind, which counts instructions for benchmarks. Without valgrind the test is
//! skipped, except in CI (`SHAKEDOWN_CI` is set), where it fails.

use std::process::Command;

use crate::command::folder;

/// Returns the instruction count of the command with these arguments.
fn instructions(args: &[&str]) -> Option<u64> {
    let counts = folder("callgrind").join("counts");
    let ran = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(env!("CARGO_BIN_EXE_shakedown"))
        .args(args)
        .output();
    let Ok(ran) = ran else {
        let in_ci = std::env::var_os("SHAKEDOWN_CI").is_some();
        assert!(!in_ci, "there is no valgrind");
        println!("skipped: there is no valgrind");
        return None;
    };
    // Requests are sent late under valgrind and the run may be invalid, so the verdict is ignored. A signal has no
    // code.
    let complaints = String::from_utf8_lossy(&ran.stderr);
    let has_ended = matches!(ran.status.code(), Some(0 | 1 | 3));
    assert!(has_ended, "{}\n{complaints}", ran.status);
    let counts = std::fs::read_to_string(counts).expect("callgrind leaves its counts");
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    Some(
        total
            .and_then(|total| total.trim().parse().ok())
            .expect("callgrind counts them"),
    )
}

/// The real backend reads the system's clocks and sleeps by its timers.
#[test]
fn a_run_on_real_sockets_is_counted_by_callgrind() {
    let args = ["run", "header-routing", "--real", "--set", "duration=500ms"];
    if let Some(total) = instructions(&args) {
        assert!(total > 10_000_000, "{total} instructions");
    }
}
