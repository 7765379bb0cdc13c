//! `--replay`: runs a journal's scenario again and compares the events.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use shakedown::journal::{JournalError, JournalReader};
use shakedown::run::shell_word;
use shakedown::{Engine, RunOptions};
use shakedown_reports::{html, text};
use shakedown_scenarios::Edits;

use super::{Reports, RunArgs, exit_of, progress};
use crate::cli::exit::{Exit, Reported};
use crate::cli::fault::{bad_input, failed};
use crate::cli::interrupt::Interrupt;
use crate::cli::out;
use crate::cli::output::distinct;

pub(super) fn replay(args: &RunArgs, path: &Path) -> Reported {
    let refused = |error: &dyn Display| bad_input(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| refused(&error))?;
    let reader = JournalReader::open(BufReader::new(file)).map_err(|error| match error {
        JournalError::Io { source, .. } => refused(&source),
        error => refused(&error),
    })?;
    let header = reader.header().clone();
    if header.engine == Engine::Real {
        let text = format!(
            "{}: cannot replay a run of the engine `{}`, which is not deterministic; expected a journal of a simulated run",
            path.display(),
            header.engine.name()
        );
        return Err(bad_input(text));
    }
    let mut scenario =
        shakedown_scenarios::load_text(&header.scenario, &header.expanded, &Edits::default())
            .map_err(bad_input)?;
    scenario.variant.clone_from(&header.variant);
    scenario.expanded.clone_from(&header.expanded);
    let options = RunOptions {
        seed: Some(header.seed),
        engine: header.engine,
        set: header.set.clone(),
        replay: Some(reader),
        progress: progress(&scenario),
        stop: Some(Interrupt::watch().flag()),
        ..RunOptions::default()
    };
    let reports = Reports::open(args.json.as_deref(), args.html.as_deref())?;
    distinct(reports.all())?;
    let mut outcome =
        shakedown::run(&scenario, options).map_err(|error| failed(Exit::Invalid, error))?;
    // The journal does not record the path of its scenario file.
    outcome.document.replay = format!(
        "shakedown run --replay {}",
        shell_word(&path.display().to_string())
    );
    match outcome.replayed.as_ref() {
        None => {
            out::complain("interrupted before the end of the journal: the comparison is incomplete")
        }
        Some(Ok(events)) if reports.take_stdout() => {
            out::complain(format_args!("replayed: {events} events, all equal"));
        }
        Some(Ok(events)) => out::print(format_args!("replayed: {events} events, all equal\n"))?,
        Some(Err(divergence)) => {
            out::print(divergence.describe())?;
            return Ok(Exit::Invalid);
        }
    }
    if !reports.take_stdout() {
        out::print(text::render(&outcome.document, out::screen()))?;
    }
    reports.write(&outcome.document, || html::render(&outcome.document))?;
    Ok(exit_of(&outcome.document))
}
