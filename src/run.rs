//! A single run: executes a scenario on a backend and folds its Journal into a results document. Records are not kept.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shakedown_istio::Omission;
use shakedown_reports::RunLabels;
use shakedown_results::{Document, Engine, NotModelled, Participants, Record};
use shakedown_runner as runner;
use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{Judge, SeedSample};
use shakedown_yaml::Location;

use crate::fold::{Fold, Folded};
use crate::journal::{self, Comparison, Divergence, JournalError};
use crate::secret::masked;

/// Options of a run besides the scenario itself.
#[derive(Default)]
pub struct RunOptions {
    /// The seed; `None` is the scenario's seed.
    pub seed: Option<u64>,
    /// The backend of the run.
    pub engine: Engine,
    /// The seed of random real sleeps between polls of a run on the native engine. They must not change the results.
    pub noise: Option<u64>,
    /// The `--set` edits that are already applied to the scenario. They are part of the replay command.
    pub set: Vec<String>,
    /// The scenario's name in the replay command, as the user typed it; `None` is the scenario's own name.
    pub called: Option<String>,
    /// The destination of the journal; `None` writes no journal.
    pub journal: Option<journal::JournalOutput>,
    /// A journal to compare the run with.
    pub replay: Option<journal::JournalReader>,
    /// Called periodically with the time of the run, in ns from 0 s.
    pub progress: Option<Box<dyn FnMut(i64) + Send>>,
    /// Ends the run once set. The document then covers the events until that time, and is invalid.
    pub stop: Option<Arc<AtomicBool>>,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// The results document, as `--json` writes it.
    pub document: Document,
    /// The values of checks over seeds, one per check, for a sweep to judge.
    pub samples: Vec<SeedSample>,
    /// The reasons why the run is invalid regardless of its checks, such as a broken invariant or a fault without
    /// effect.
    pub worthless: Vec<String>,
    /// With [`RunOptions::replay`]: the number of events if all were equal, or the first difference.
    pub replayed: Option<Result<u64, Box<Divergence>>>,
}

/// A run without results. `Debug` prints the text with all causes, as the command does.
#[derive(thiserror::Error)]
pub enum RunError {
    /// The backend could not execute the run: a bug, or a resource that the machine lacks.
    #[error("failed to run {called} with seed {seed}")]
    Runner {
        /// The scenario's name, as in [`RunOptions::called`].
        called: String,
        /// The seed of the run.
        seed: u64,
        /// The runner's error.
        source: Box<runner::RunnerError>,
    },
    /// The journal could not be written.
    #[error("failed to write the journal")]
    Journal(#[from] std::io::Error),
    /// The journal to replay could not be read.
    #[error(transparent)]
    Replay(#[from] JournalError),
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Runs a scenario and folds its Journal into a document.
///
/// # Errors
/// Fails if the backend could not execute the scenario, or if a journal could not be written or read. A failed check is
/// not an error.
pub fn run(scenario: &ResolvedScenario, options: RunOptions) -> Result<RunOutcome, RunError> {
    let seed = options.seed.unwrap_or(scenario.seed);
    // The edits as shown in the document, the journal and the replay command, with secrets masked.
    let set: Vec<String> = options.set.iter().map(|edit| masked(edit)).collect();
    let (_, participants) = runner::plan_run(scenario, seed);
    if let Some(replay) = &options.replay
        && replay.header().participants != participants
    {
        return Err(JournalError::Contradiction {
            line: 1,
            what: format!("the participants do not match the scenario under seed {seed}"),
        }
        .into());
    }
    let mut views = RunViews {
        fold: Fold::new(
            scenario,
            seed,
            &participants,
            Judge::new(scenario, &participants),
        ),
        journal: None,
        comparison: options.replay.map(Comparison::new),
    };
    if let Some(destination) = options.journal {
        let header = journal::JournalHeader {
            version: crate::version(),
            scenario: scenario.name.clone(),
            variant: scenario.variant.clone(),
            set: set.clone(),
            seed,
            engine: options.engine,
            expanded: scenario.expanded.clone(),
            participants: participants.clone(),
        };
        views.journal = Some(journal::JournalWriter::begin(
            destination.out,
            destination.format,
            &header,
        )?);
    }
    let called = options.called.unwrap_or_else(|| scenario.name.clone());
    let setting = runner::RunnerOptions {
        seed,
        noise: options.noise,
        progress: options.progress,
        stop: options.stop,
    };
    let ended = runner::run(
        scenario,
        setting,
        options.engine,
        &mut |participants: &Participants, record: &Record| views.record(participants, record),
    )
    .map_err(|source| RunError::Runner {
        called: called.clone(),
        seed,
        source: Box::new(source),
    })?;
    let elapsed_ns = i64::try_from(ended.simulated_ns).unwrap_or(i64::MAX);
    let labels = RunLabels {
        story: scenario.story.clone(),
        replay: replay_command(scenario, seed, options.engine, &set, &called),
        set,
        seed,
        engine: options.engine,
        elapsed_ns,
        cut_ns: ended.cut.then_some(elapsed_ns),
        not_modelled: not_modelled(&scenario.omissions),
    };
    views.conclude(scenario, ended, labels)
}

/// The consumers of the Journal during the run.
struct RunViews {
    fold: Fold,
    journal: Option<journal::JournalWriter<Box<dyn Write + Send>>>,
    comparison: Option<Comparison>,
}

impl RunViews {
    fn record(&mut self, participants: &Participants, record: &Record) {
        self.fold.record(participants, record);
        if let Some(journal) = &mut self.journal {
            journal.record(record);
        }
        if let Some(comparison) = &mut self.comparison {
            comparison.record(record);
        }
    }

    fn conclude(
        self,
        scenario: &ResolvedScenario,
        ended: runner::FinishedRun,
        labels: RunLabels,
    ) -> Result<RunOutcome, RunError> {
        let Folded {
            results,
            samples,
            mut invariants,
        } = self.fold.finish();
        if let Some(journal) = self.journal {
            if ended.cut {
                // The missing footer marks the journal as incomplete.
                journal.leave()?;
            } else {
                journal.end(&results.digest)?;
            }
        }
        let comparison = self.comparison.filter(|_| !ended.cut);
        let replayed = comparison.map(|comparison| comparison.finish(&results.digest));
        let replayed = replayed.transpose()?;
        if ended.cut {
            // Requests in flight have no final event, which would break an invariant of complete runs.
            let in_flight = results.in_flight();
            invariants = vec![cut_short(labels.elapsed_ns, scenario.duration, in_flight)];
        }
        let mut worthless = invariants;
        // The journal contains the runner's reasons too, and so the judge reports them as well.
        worthless.extend(ended.invalid);
        let mut seen = BTreeSet::new();
        worthless.retain(|reason| seen.insert(reason.clone()));
        Ok(RunOutcome {
            document: results.document(scenario, labels, worthless.clone()),
            samples,
            worthless,
            replayed,
        })
    }
}

fn cut_short(at_ns: i64, duration: Duration, in_flight: u64) -> String {
    use shakedown_reports::units::{counted, written};
    format!(
        "the run was cut short at {} of {}; the figures exclude {} in flight",
        // Milliseconds are precise enough for a key press.
        written(at_ns / 1_000_000 * 1_000_000),
        written(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        counted(in_flight, "call"),
    )
}

/// The omissions of mesh documents as listed in a results document, with file names but without folders.
pub fn not_modelled(omissions: &[Omission]) -> Vec<NotModelled> {
    let row = |omission: &Omission| {
        let Location { file, line, .. } = &omission.place;
        let file = Path::new(&**file).file_name();
        let file = file.map_or_else(String::new, |file| file.to_string_lossy().into_owned());
        NotModelled {
            document: omission.document.to_string(),
            field: omission.field.clone(),
            at: format!("{file}:{line}"),
            effect: omission.effect.clone(),
        }
    };
    omissions.iter().map(row).collect()
}

/// The command that repeats the run. Noise does not change the results and is left out.
fn replay_command(
    scenario: &ResolvedScenario,
    seed: u64,
    engine: Engine,
    set: &[String],
    called: &str,
) -> String {
    let mut command = format!("shakedown run {}", shell_word(called));
    if scenario.variant != "base" {
        command.push_str(&format!(" --variant {}", scenario.variant));
    }
    for edit in set {
        command.push_str(&format!(" --set {}", quoted(edit)));
    }
    command.push_str(&format!(" --seed {seed}"));
    match engine {
        Engine::Real => command.push_str(" --real"),
        Engine::Turmoil => command.push_str(" --engine turmoil"),
        Engine::Native => {}
    }
    command
}

/// Quotes a word for a shell if necessary.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        quoted(word)
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
