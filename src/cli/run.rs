//! `shakedown run`: runs one variant of a scenario, all of its variants, or a recorded journal.

mod replay;
mod reports;

use std::collections::BTreeSet;
use std::path::PathBuf;

use shakedown::estimate::Estimate;
use shakedown::{Document, Engine, ResolvedScenario, RunOptions, RunOutcome, Verdict};
use shakedown_reports::{html, text};
use shakedown_results::NotModelled;
use shakedown_scenarios::{Edits, VariantOutcome};

use super::edits::EditArgs;
use super::engine;
use super::exit::{Exit, Reported};
use super::fault::{bad_input, failed, words};
use super::interrupt::Interrupt;
use super::out;
use super::output::{Output, distinct};
use super::progress::ProgressLines;
use replay::replay;
pub(crate) use reports::Reports;
use reports::{beside, destination, open_journal, write_html};

const EXAMPLES: &str = "\
Examples:
  shakedown run header-routing                             run a catalogue scenario
  shakedown run shop.yaml --variant all                    run every variant of a file
  shakedown run shop.yaml --set load.users.rate=150/s      change one value
  shakedown run shop.yaml --scale 5                        run in a fifth of the time, at the same rates
  shakedown run header-routing --html r.html --json r.json
  shakedown run header-routing --journal j.jsonl.zst       record every event, compressed
  shakedown run header-routing --engine turmoil            cross-check with another simulator
  shakedown run --replay j.jsonl.zst                       repeat the run and compare event by event";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Scenario file, the name of a catalogue scenario, or `-` for standard input
    #[arg(required_unless_present = "replay")]
    scenario: Option<String>,
    #[command(flatten)]
    edits: EditArgs,
    /// Seed of the run [default: the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Run on loopback sockets in real time instead of in a simulator
    #[arg(long)]
    real: bool,
    /// Simulator to use
    #[arg(long, value_parser = engine::simulators(), default_value = "native", conflicts_with_all = ["real", "noise"])]
    engine: Engine,
    /// Inject random real sleeps between polls, which must not change the results
    #[arg(long, value_name = "SEED", conflicts_with = "real")]
    noise: Option<u64>,
    /// Write the results document to a file (`-`: standard output); an array with `--variant all`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the HTML report to a file; with `--variant all`, a comparison, and one report per variant next to it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write every event to a file, one JSON value per line; compressed with zstd if the name ends in `.zst`
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Repeat the run recorded in a journal, and compare it event by event
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["scenario", "variant", "set", "scale", "strict", "seed", "real", "engine", "journal"])]
    replay: Option<PathBuf>,
}

pub(crate) fn main(args: RunArgs) -> Reported {
    match (&args.replay, &args.scenario) {
        (Some(journal), _) => replay(&args, journal),
        (None, Some(source)) if args.edits.variant.as_deref() == Some("all") => all(&args, source),
        (None, Some(source)) => one(&args, source),
        (None, None) => unreachable!("clap requires one of them"),
    }
}

fn one(args: &RunArgs, source: &str) -> Reported {
    let scenario = load(
        source,
        args.edits.variant.clone(),
        &args.edits.set(),
        &mut BTreeSet::new(),
    )?;
    args.edits.refuse_omissions(&scenario)?;
    let reports = Reports::open(args.json.as_deref(), args.html.as_deref())?;
    let journal = open_journal(args.journal.as_deref())?;
    distinct(reports.all().chain(&journal))?;
    let interrupt = Interrupt::watch();
    let outcome = perform(args, &scenario, source, journal, &interrupt)?;
    if !reports.take_stdout() {
        out::print(text::render(&outcome.document, out::screen()))?;
        out::print(engine::notes(args.engine, &scenario, outcome.document.seed))?;
        out::print(engine::compare(
            args.engine,
            &scenario,
            &outcome.document,
            &args.edits.set(),
        )?)?;
    }
    reports.write(&outcome.document, || html::render(&outcome.document))?;
    Ok(exit_of(&outcome.document))
}

/// The exit code of one run.
fn exit_of(document: &Document) -> Exit {
    match document.cut_ns {
        Some(_) => Exit::Interrupted,
        None => document.verdict.into(),
    }
}

fn all(args: &RunArgs, source: &str) -> Reported {
    let variants =
        shakedown_scenarios::variants(source).map_err(|error| bad_input(words(error)))?;
    let mut printed = BTreeSet::new();
    let scenarios = variants
        .into_iter()
        .map(|variant| load(source, Some(variant), &args.edits.set(), &mut printed))
        .collect::<Result<Vec<_>, Exit>>()?;
    for scenario in &scenarios {
        args.edits.refuse_omissions(scenario)?;
    }
    let reports = Reports::open(args.json.as_deref(), args.html.as_deref())?;
    let (mut pages, mut journals) = (Vec::new(), Vec::new());
    for scenario in &scenarios {
        let named = |path: &PathBuf| beside(path, &scenario.variant);
        let page = args.html.as_ref().filter(|_| !reports.is_html_on_stdout());
        pages.push(Output::maybe("--html", page.map(named).as_deref())?);
        journals.push(open_journal(args.journal.as_ref().map(named).as_deref())?);
    }
    distinct(
        reports
            .all()
            .chain(pages.iter().flatten())
            .chain(journals.iter().flatten()),
    )?;
    let mut documents = Vec::new();
    let mut exit = Exit::Pass;
    let mut rows = Vec::new();
    let interrupt = Interrupt::watch();
    for ((scenario, page), journal) in scenarios.iter().zip(pages).zip(journals) {
        let outcome = perform(args, scenario, source, journal, &interrupt)?;
        let variant_outcome = VariantOutcome::new(scenario, &outcome.document.checks);
        exit = exit.max(ending(&outcome.document, &variant_outcome));
        if let Some(page) = page {
            write_html(page, &html::render(&outcome.document))?;
        }
        rows.push(text::ScenarioOutcome {
            variant: scenario.variant.clone(),
            verdict: outcome.document.verdict,
            as_expected: variant_outcome == VariantOutcome::As
                && outcome.document.verdict != Verdict::Invalid,
            remark: remark(scenario, &variant_outcome),
        });
        let cut = outcome.document.cut_ns.is_some();
        documents.push(outcome.document);
        if cut {
            // Report the variants that have finished and run no others.
            exit = Exit::Interrupted;
            break;
        }
    }
    if !reports.take_stdout() {
        show_all(args, source, &scenarios, &documents, &rows)?;
    }
    reports.write(&documents, || html::compare(&documents))?;
    Ok(exit)
}

/// Prints a table of all variants, then the full results of those that differ from the file's expectations.
fn show_all(
    args: &RunArgs,
    source: &str,
    scenarios: &[ResolvedScenario],
    documents: &[Document],
    rows: &[text::ScenarioOutcome],
) -> Result<(), Exit> {
    let seed = documents.first().map_or(0, |document| document.seed);
    out::print(text::endings(source, seed, rows, out::screen()))?;
    out::print(text::not_modelled(&passed_over(documents), out::screen()))?;
    if let Some(scenario) = scenarios.first() {
        out::print(engine::notes(args.engine, scenario, seed))?;
    }
    for (scenario, document) in scenarios.iter().zip(documents) {
        out::print(engine::compare(
            args.engine,
            scenario,
            document,
            &args.edits.set(),
        )?)?;
    }
    for (row, document) in rows
        .iter()
        .zip(documents)
        .filter(|(row, _)| !row.as_expected)
    {
        let rendered = text::render(document, out::screen());
        let variant = &row.variant;
        out::print(format_args!(
            "\nunexpected result of {variant}:\n{rendered}"
        ))?;
    }
    Ok(())
}

/// The contribution of one variant to the exit code of `--variant all`.
fn ending(document: &Document, variant_outcome: &VariantOutcome) -> Exit {
    match document.verdict {
        Verdict::Invalid => Exit::Invalid,
        Verdict::NotJudged => Exit::NotJudged,
        _ if *variant_outcome == VariantOutcome::As => Exit::Pass,
        _ => Exit::Fail,
    }
}

/// Describes how a variant's outcome compares with the expectations in its file.
pub(crate) fn remark(scenario: &ResolvedScenario, variant_outcome: &VariantOutcome) -> String {
    match (
        variant_outcome,
        scenario.breaks.as_deref().unwrap_or_default(),
    ) {
        (VariantOutcome::As, []) if scenario.checks.iter().all(|check| check.seeds.is_some()) => {
            "all checks are over seeds: run a sweep to judge them".to_owned()
        }
        (VariantOutcome::As, []) => "all checks passed".to_owned(),
        (VariantOutcome::As, breaks) => format!("breaks {}, as expected", breaks.join(", ")),
        (VariantOutcome::Otherwise(lines) | VariantOutcome::NotJudged(lines), _) => {
            lines.join("; ")
        }
    }
}

/// Loads a scenario and prints its warnings, except those that `printed` contains already.
pub(crate) fn load(
    source: &str,
    variant: Option<String>,
    set: &[String],
    printed: &mut BTreeSet<String>,
) -> Result<ResolvedScenario, Exit> {
    let variant = variant.filter(|name| name != "base");
    let scenario = shakedown_scenarios::load(
        source,
        &Edits {
            variant,
            set: set.to_vec(),
        },
    )
    .map_err(|error| bad_input(words(error)))?;
    for warning in &scenario.warnings {
        let warning = format!("warning: {warning}");
        if !printed.contains(&warning) {
            out::complain(&warning);
            printed.insert(warning);
        }
    }
    Ok(scenario)
}

/// The fields and kinds that the variants do not model, without duplicates.
fn passed_over(documents: &[Document]) -> Vec<NotModelled> {
    let mut parts: Vec<NotModelled> = Vec::new();
    for part in documents.iter().flat_map(|document| &document.not_modelled) {
        if !parts.contains(part) {
            parts.push(part.clone());
        }
    }
    parts
}

fn perform(
    args: &RunArgs,
    scenario: &ResolvedScenario,
    source: &str,
    journal: Option<Output>,
    interrupt: &Interrupt,
) -> Result<RunOutcome, Exit> {
    if args.engine == Engine::Turmoil {
        let seed = args.seed.unwrap_or(scenario.seed);
        engine::fits_turmoil(scenario, source, seed)?;
    }
    let journal = journal.map(destination).transpose()?;
    if !args.real {
        let format = journal.as_ref().map(|journal| journal.format);
        warn_of(Estimate::new(scenario).warning(1, 1, format));
    }
    let options = RunOptions {
        seed: args.seed,
        engine: if args.real { Engine::Real } else { args.engine },
        noise: args.noise,
        set: args.edits.set(),
        called: Some(source.to_owned()),
        journal,
        replay: None,
        progress: progress(scenario),
        stop: Some(interrupt.flag()),
    };
    shakedown::run(scenario, options).map_err(|error| failed(Exit::Invalid, error))
}

/// Prints a warning if a run is expensive.
pub(crate) fn warn_of(cost: Option<String>) {
    if let Some(cost) = cost {
        out::complain(format_args!("warning: {cost}"));
    }
}

fn progress(scenario: &ResolvedScenario) -> Option<Box<dyn FnMut(i64) + Send>> {
    let mut progress = ProgressLines::new();
    let (name, variant) = (scenario.name.clone(), scenario.variant.clone());
    let total = scenario.duration.as_secs();
    Some(Box::new(move |now_ns| {
        progress.show(|| {
            format!(
                "{name} ({variant}): {} of {total} s",
                now_ns.div_euclid(1_000_000_000)
            )
        });
    }))
}
