//! Runs a scenario under many seeds on all cores. Each seed is a plain run, whose result never depends on the sweep.
//!
//! A run's document with its histograms is dropped at the end of the run. Only a few words and numbers per check are
//! kept of each seed ([`SeedRun`]), so memory is bounded by the concurrent runs plus about a kilobyte per seed.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use shakedown_results::{CheckResult, Digest, Measured, Verdict};
use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{SeedSample, margin, over_seeds, verdict};

use crate::run::{RunError, RunOptions, RunOutcome, run};

/// The results kept of one seed.
#[derive(Debug)]
pub struct SeedRun {
    /// The verdict of the run.
    pub verdict: Verdict,
    /// The reasons why the run is invalid regardless of its checks.
    pub worthless: Vec<String>,
    /// The digest of the run.
    pub digest: Digest,
    /// The check results, in the order of [`Swept::checks`].
    pub checks: Vec<SeedCheck>,
    /// The command that repeats the run.
    pub replay: String,
    samples: Vec<SeedSample>,
}

/// The result of a check under one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedCheck {
    /// The check's result; `None` if it was not judged.
    pub pass: Option<bool>,
    /// See [`CheckResult::observed`].
    pub observed: String,
    /// See [`CheckResult::measured`].
    pub measured: Option<Measured>,
}

/// The results of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// The results by seed.
    pub runs: BTreeMap<u64, SeedRun>,
    /// The checks over all seeds. A check with a seed condition is judged by that condition, any other must be true
    /// under every seed.
    pub checks: Vec<CheckResult>,
    /// The seeds whose run is invalid or failed: first the invalid ones, then the failed ones from the worst on.
    pub failures: Vec<u64>,
    /// Invalid if a run is invalid or a plain check was not judged, else fail if a check is false.
    pub verdict: Verdict,
}

/// Runs a scenario under each seed on `jobs` threads and judges the runs together. `done` is called from any thread
/// with the number of completed runs.
///
/// # Errors
/// Returns the error of the lowest failing seed among the runs made.
pub fn sweep(
    scenario: &ResolvedScenario,
    seeds: RangeInclusive<u64>,
    jobs: NonZeroUsize,
    options: impl Fn() -> RunOptions + Sync,
    done: impl Fn(u64) + Sync,
) -> Result<Swept, RunError> {
    let next = AtomicU64::new(*seeds.start());
    let (finished, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let kept = Mutex::new(SweepResults::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > *seeds.end() {
                return;
            }
            let options = RunOptions {
                seed: Some(seed),
                ..options()
            };
            let requested_stop = options.stop.clone();
            let is_cut = || {
                requested_stop
                    .as_ref()
                    .is_some_and(|requested_stop| requested_stop.load(Ordering::Relaxed))
            };
            if is_cut() {
                return;
            }
            let outcome = run(scenario, options);
            // Interrupted runs are not part of the sweep.
            if outcome
                .as_ref()
                .is_ok_and(|outcome| outcome.document.cut_ns.is_some())
            {
                return;
            }
            stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
            kept.lock()
                .expect("no thread panics while it has the lock")
                .insert(seed, outcome);
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the threads of a sweep affect no result: each seed is an independent run"
    )]
    std::thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(work);
        }
    });
    let kept = kept
        .into_inner()
        .expect("no thread panics while it has the lock");
    let runs = kept
        .runs
        .into_iter()
        .map(|(seed, run)| run.map(|run| (seed, run)))
        .collect::<Result<_, _>>()?;
    Ok(judge(scenario, &kept.written, runs))
}

/// The results kept of all runs.
#[derive(Default)]
struct SweepResults {
    runs: BTreeMap<u64, Result<SeedRun, RunError>>,
    /// The checks of the lowest seed, as a source of names, texts and expectations.
    written: Vec<CheckResult>,
}

impl SweepResults {
    fn insert(&mut self, seed: u64, outcome: Result<RunOutcome, RunError>) {
        let is_first = self.runs.keys().next().is_none_or(|first| seed < *first);
        let run = outcome.map(|outcome| {
            let document = outcome.document;
            let checks = document.checks.iter().map(|check| SeedCheck {
                pass: check.pass,
                observed: check.observed.clone(),
                measured: check.measured,
            });
            let checks = checks.collect();
            if is_first {
                self.written = document.checks;
            }
            SeedRun {
                verdict: document.verdict,
                worthless: outcome.worthless,
                digest: document.digest,
                checks,
                replay: document.replay,
                samples: outcome.samples,
            }
        });
        self.runs.insert(seed, run);
    }
}

/// Judges the runs together.
fn judge(
    scenario: &ResolvedScenario,
    written: &[CheckResult],
    runs: BTreeMap<u64, SeedRun>,
) -> Swept {
    let samples: Vec<(u64, Vec<SeedSample>)> = runs
        .iter()
        .map(|(seed, run)| (*seed, run.samples.clone()))
        .collect();
    let mut together = over_seeds(scenario, &samples).into_iter();
    let mut checks = Vec::new();
    if runs.is_empty() {
        return Swept {
            runs,
            checks,
            failures: Vec::new(),
            verdict: Verdict::Invalid,
        };
    }
    for (at, check) in written.iter().enumerate() {
        if check.over_seeds {
            checks.push(
                together
                    .next()
                    .expect("there is a result for each check over seeds"),
            );
        } else {
            checks.push(in_every_seed(scenario, at, check, &runs));
        }
    }
    let worthless: Vec<String> = runs
        .values()
        .flat_map(|run| run.worthless.iter().cloned())
        .collect();
    let unjudged = checks.iter().any(|check| check.pass.is_none());
    let verdict = if unjudged {
        Verdict::Invalid
    } else {
        verdict(&checks, &worthless)
    };
    Swept {
        failures: failures(scenario, &runs),
        runs,
        checks,
        verdict,
    }
}

/// The values that a check measured, by seed.
fn measured(at: usize, runs: &BTreeMap<u64, SeedRun>) -> Vec<(u64, Measured)> {
    let values = runs
        .iter()
        .filter_map(|(seed, run)| Some((*seed, run.checks[at].measured?)));
    values.collect()
}

/// The failing seeds: invalid runs first, then for each check in order the seeds that break it, the worst first.
fn failures(scenario: &ResolvedScenario, runs: &BTreeMap<u64, SeedRun>) -> Vec<u64> {
    let worthless = runs.iter().filter(|(_, run)| !run.worthless.is_empty());
    let mut seeds: Vec<u64> = worthless.map(|(seed, _)| *seed).collect();
    for (at, check) in scenario.checks.iter().enumerate() {
        let broken = |seed: &u64| runs[seed].checks[at].pass == Some(false);
        let margin = margin(check, &measured(at, runs));
        let worst = margin.map(|margin| margin.worst_first).unwrap_or_default();
        // Seeds without a value follow the others.
        let all = worst.into_iter().chain(runs.keys().copied());
        for seed in all.filter(broken) {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
    }
    seeds
}

/// Judges a plain check, which must be true under every seed. The result shows the worst seed and the margin of the
/// others.
fn in_every_seed(
    scenario: &ResolvedScenario,
    at: usize,
    check: &CheckResult,
    runs: &BTreeMap<u64, SeedRun>,
) -> CheckResult {
    let of = |run: &SeedRun| run.checks[at].pass;
    let unjudged = runs.iter().find(|(_, run)| of(run).is_none());
    let values = measured(at, runs);
    let margin = scenario
        .checks
        .get(at)
        .and_then(|check| margin(check, &values));
    let worst = margin.iter().flat_map(|margin| &margin.worst_first);
    let broken = worst
        .chain(runs.keys())
        .map(|seed| (seed, &runs[seed]))
        .find(|(_, run)| of(run) == Some(false));
    let holding = runs.values().filter(|run| of(run) == Some(true)).count();
    let total = runs.len();
    let (pass, observed) = match (broken, unjudged) {
        (Some((seed, run)), _) => (
            Some(false),
            format!(
                "true in {holding} of {total} seeds; seed {seed}: {}",
                run.checks[at].observed
            ),
        ),
        (None, Some((seed, run))) => (
            None,
            format!("not judged under seed {seed}: {}", run.checks[at].observed),
        ),
        (None, None) => {
            let margin = margin.map(|margin| format!(": {}", margin.words));
            let words = margin.unwrap_or_default();
            (Some(true), format!("true in all {total} seeds{words}"))
        }
    };
    CheckResult {
        pass,
        observed,
        // The value would be that of a single seed.
        measured: None,
        ..check.clone()
    }
}

#[cfg(test)]
mod tests;
