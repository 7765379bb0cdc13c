//! `shakedown sweep`: a scenario under many seeds.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Mutex;

use shakedown::estimate::Estimate;
use shakedown::run::not_modelled;
use shakedown::sweep::{Swept, sweep};
use shakedown::{ResolvedScenario, RunOptions, Verdict};
use shakedown_reports::text;
use shakedown_scenarios::VariantOutcome;

use super::edits::EditArgs;
use super::exit::{Exit, Reported};
use super::fault::{bad_input, failed, words};
use super::interrupt::Interrupt;
use super::out;
use super::progress::ProgressLines;
use super::run::{load, remark, warn_of};

/// The maximum number of failing seeds shown with their replay command.
const SHOWN: usize = 5;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  shakedown sweep theory-mm1                       use the scenario's own seeds
  shakedown sweep shop.yaml --seeds 1..1000        run 1,000 seeds
  shakedown sweep theory-mm1 --variant all         sweep every variant")]
pub(crate) struct SweepArgs {
    /// Scenario file, or the name of a catalogue scenario
    scenario: String,
    #[command(flatten)]
    edits: EditArgs,
    /// First and last seed, both included [default: the scenario's]
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<RangeInclusive<u64>>,
    /// Number of concurrent runs [default: one per core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

pub(crate) fn main(args: SweepArgs) -> Reported {
    let args = &args;
    let variants = match args.edits.variant.as_deref() {
        Some("all") => shakedown_scenarios::variants(&args.scenario)
            .map_err(|error| bad_input(words(error)))?,
        other => vec![other.unwrap_or("base").to_owned()],
    };
    let several = variants.len() > 1;
    let mut exit = Exit::Pass;
    let interrupt = Interrupt::watch();
    let mut warned = BTreeSet::new();
    for variant in variants {
        let scenario = load(
            &args.scenario,
            Some(variant),
            &args.edits.set(),
            &mut warned,
        )?;
        args.edits.refuse_omissions(&scenario)?;
        let swept = perform(args, &scenario, &interrupt)?;
        let variant_outcome = VariantOutcome::new(&scenario, &swept.checks);
        let seeds = swept.runs.len();
        out::print(text::sweep(
            &scenario.name,
            &scenario.variant,
            seeds,
            &swept.checks,
            swept.verdict,
            out::screen(),
        ))?;
        let without = not_modelled(&scenario.omissions);
        out::print(text::not_modelled(&without, out::screen()))?;
        show_failures(&swept)?;
        if interrupt.is_requested() {
            out::print(format_args!(
                "  interrupted: {seeds} of {} seeds ran\n",
                seeds_of(args, &scenario).count()
            ))?;
            return Ok(Exit::Interrupted);
        }
        if several {
            out::print(format_args!(
                "  {}\n\n",
                remark(&scenario, &variant_outcome)
            ))?;
            let ending = match swept.verdict {
                Verdict::Invalid => Exit::Invalid,
                _ if variant_outcome == VariantOutcome::As => Exit::Pass,
                _ => Exit::Fail,
            };
            exit = exit.max(ending);
        } else {
            exit = exit.max(swept.verdict.into());
        }
    }
    Ok(exit)
}

/// The seeds of the command line, or else those of the scenario.
fn seeds_of(args: &SweepArgs, scenario: &ResolvedScenario) -> RangeInclusive<u64> {
    args.seeds
        .clone()
        .unwrap_or(scenario.seeds.0..=scenario.seeds.1)
}

fn perform(
    args: &SweepArgs,
    scenario: &ResolvedScenario,
    interrupt: &Interrupt,
) -> Result<Swept, Exit> {
    let seeds = seeds_of(args, scenario);
    let total = (seeds.end() - seeds.start()).saturating_add(1);
    let jobs = args
        .jobs
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN);
    let estimate = Estimate::new(scenario);
    warn_of(estimate.warning(total, jobs.get() as u64, None));
    let progress = Mutex::new(ProgressLines::new());
    let options = || RunOptions {
        set: args.edits.set(),
        called: Some(args.scenario.clone()),
        stop: Some(interrupt.flag()),
        ..RunOptions::default()
    };
    let done = |runs| {
        if let Ok(mut progress) = progress.lock() {
            progress.show(|| {
                format!(
                    "{} ({}): {runs} of {total} seeds",
                    scenario.name, scenario.variant
                )
            });
        }
    };
    sweep(scenario, seeds, jobs, options, done).map_err(|error| failed(Exit::Invalid, error))
}

/// Prints the worst seeds with their replay commands.
fn show_failures(swept: &Swept) -> Result<(), Exit> {
    for seed in swept.failures.iter().take(SHOWN) {
        let run = &swept.runs[seed];
        let why = run.worthless.first().cloned().or_else(|| {
            let checks = swept.checks.iter().zip(&run.checks);
            let (check, broken) = checks.into_iter().find(|(_, of)| of.pass == Some(false))?;
            Some(format!("{}: {}", check.name, broken.observed))
        });
        out::print(format_args!(
            "  seed {seed}: {}\n    {}\n",
            why.unwrap_or_default(),
            run.replay
        ))?;
    }
    let more = swept.failures.len().saturating_sub(SHOWN);
    if more > 0 {
        out::print(format_args!("  and {more} more\n"))?;
    }
    Ok(())
}

/// Parses a seed range: `1..30`, both ends included.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let accepted = || "expected two whole numbers, such as 1..30".to_owned();
    let (first, last) = text.split_once("..").ok_or_else(accepted)?;
    let first: u64 = first.parse().map_err(|_| accepted())?;
    let last: u64 = last
        .trim_start_matches('=')
        .parse()
        .map_err(|_| accepted())?;
    if first > last {
        return Err(format!(
            "the first seed {first} is greater than the last seed {last}"
        ));
    }
    Ok(first..=last)
}
