//! One run: a story in a world, folded into a results document while it goes. Nothing of the Journal is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shakedown_istio::Omission;
use shakedown_reports::{Header, Judgement, Summary};
use shakedown_results::{Cast, Digester, Document, Mode, NotModelled, Record};
use shakedown_scenarios::story::Story;
use shakedown_scenarios::{Judge, Sample};
use shakedown_stage as stage;
use shakedown_yaml::Place;

use crate::journal::{self, Comparison, Divergence, JournalError};
use crate::secret::masked;

/// How a run is done, beside the story itself.
#[derive(Default)]
pub struct Options {
    /// The seed; the story's own by default.
    pub seed: Option<u64>,
    /// In which world.
    pub conduct: Conduct,
    /// The `--set` edits that made the story what it is: they belong to its replay command.
    pub set: Vec<String>,
    /// How the scenario is named in the replay command, as the user typed it; the story's name by default.
    pub called: Option<String>,
    /// Where the journal goes.
    pub journal: Option<journal::Destination>,
    /// A journal to hold the run against.
    pub replay: Option<journal::Reader>,
    /// Told the time of the run, ns from 0 s, as it goes.
    pub progress: Option<Box<dyn FnMut(i64) + Send>>,
    /// Ends the run where it is once it is set; the document is then of what happened until then, and invalid.
    pub stop: Option<Arc<AtomicBool>>,
}

/// In which world a story is put on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// In the simulator.
    #[default]
    Simulated,
    /// In the simulator, with random real sleeps between polls (from this seed), which must change nothing.
    SimulatedWithNoise(u64),
    /// On loopback sockets, in real time.
    Real,
    /// On turmoil's simulator: a second opinion on ours.
    Turmoil,
}

impl Conduct {
    /// What a document calls the world.
    fn engine(self) -> &'static str {
        match self {
            Conduct::Simulated | Conduct::SimulatedWithNoise(_) => "native",
            Conduct::Real => "real",
            Conduct::Turmoil => "turmoil",
        }
    }

    /// How a run of such a world is run again; `None` if none is like another there, or it is not known.
    pub fn again(engine: &str) -> Option<Conduct> {
        match engine {
            "native" => Some(Conduct::Simulated),
            "turmoil" => Some(Conduct::Turmoil),
            _ => None,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The results document.
    pub document: Document,
    /// One value for each check over seeds: what a sweep judges.
    pub samples: Vec<Sample>,
    /// Why the run says nothing, whatever its checks say: a broken law, a fault that touched nothing.
    pub worthless: Vec<String>,
    /// With [`Options::replay`]: how many events were equal, or the first that was not.
    pub replayed: Option<Result<u64, Box<Divergence>>>,
}

/// A run that gave no results. Its `Debug` is its text with all causes, as the command prints it.
#[derive(thiserror::Error)]
pub enum RunError {
    /// The world could not carry it: a bug of ours, or a machine that lacks something.
    #[error("{called} could not be run with seed {seed}")]
    Stage {
        /// The scenario.
        called: String,
        /// The seed.
        seed: u64,
        /// Why.
        source: Box<stage::RunError>,
    },
    /// The journal could not be written.
    #[error("write the journal")]
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

/// Runs a story and folds its Journal into a document.
///
/// # Errors
/// The world could not carry the story, or a journal could not be written or read. A failed check is no error.
pub fn run(story: &Story, options: Options) -> Result<Outcome, RunError> {
    let seed = options.seed.unwrap_or(story.seed);
    // What a document, a journal and a replay command show of the edits.
    let set: Vec<String> = options.set.iter().map(|edit| masked(edit)).collect();
    let (_, cast) = stage::cast(story, seed);
    if let Some(replay) = &options.replay
        && replay.header().cast != cast
    {
        return Err(JournalError::Contradiction {
            line: 1,
            what: format!("not the cast of its scenario under seed {seed}"),
        }
        .into());
    }
    let version = crate::version();
    let mut views = Views {
        digester: Digester::new(&version, &story.expanded, seed, &cast),
        judge: Judge::new(story, &cast),
        summary: Summary::new(&cast),
        journal: None,
        comparison: options.replay.map(Comparison::new),
    };
    if let Some(destination) = options.journal {
        let header = journal::Header {
            version: version.clone(),
            scenario: story.name.clone(),
            variant: story.variant.clone(),
            set: set.clone(),
            seed,
            engine: options.conduct.engine().to_owned(),
            expanded: story.expanded.clone(),
            cast: cast.clone(),
        };
        views.journal = Some(journal::Writer::begin(
            destination.out,
            destination.format,
            &header,
        )?);
    }
    let (world, noise) = match options.conduct {
        Conduct::Simulated => (stage::World::Native, None),
        Conduct::SimulatedWithNoise(noise) => (stage::World::Native, Some(noise)),
        Conduct::Real => (stage::World::Real, None),
        Conduct::Turmoil => (stage::World::Turmoil, None),
    };
    let called = options.called.unwrap_or_else(|| story.name.clone());
    let setting = stage::Options {
        seed,
        noise,
        progress: options.progress,
        stop: options.stop,
    };
    let ended = stage::run(
        story,
        setting,
        world,
        &mut |cast: &Cast, record: &Record| views.record(cast, record),
    )
    .map_err(|source| RunError::Stage {
        called: called.clone(),
        seed,
        source: Box::new(source),
    })?;
    views.conclude(story, ended, seed, options.conduct, &set, &called)
}

/// Everything that reads the Journal as it goes.
struct Views {
    digester: Digester,
    judge: Judge,
    summary: Summary,
    journal: Option<journal::Writer<Box<dyn Write + Send>>>,
    comparison: Option<Comparison>,
}

impl Views {
    fn record(&mut self, cast: &Cast, record: &Record) {
        self.digester.record(record);
        self.judge.record(record);
        self.summary.record(cast, record);
        if let Some(journal) = &mut self.journal {
            journal.record(record);
        }
        if let Some(comparison) = &mut self.comparison {
            comparison.record(record);
        }
    }

    fn conclude(
        self,
        story: &Story,
        ended: stage::Ended,
        seed: u64,
        conduct: Conduct,
        set: &[String],
        called: &str,
    ) -> Result<Outcome, RunError> {
        let digest = self.digester.finish();
        if let Some(journal) = self.journal {
            match ended.cut {
                // Without its last line it says by itself that it is not whole.
                true => journal.leave()?,
                false => journal.end(&digest)?,
            }
        }
        let comparison = self.comparison.filter(|_| !ended.cut);
        let replayed = comparison.map(|comparison| comparison.finish(&digest));
        let replayed = replayed.transpose()?;
        let judged = self.judge.conclude();
        // The journal holds the stage's own reasons too, and so the judge's has them.
        let elapsed_ns = i64::try_from(ended.simulated_ns).unwrap_or(i64::MAX);
        let mut worthless = match ended.cut {
            // What was in flight has no end, which no whole run may have.
            true => vec![cut_short(
                elapsed_ns,
                story.duration,
                self.summary.in_flight(),
            )],
            false => judged.invariants,
        };
        worthless.extend(ended.invalid);
        let mut seen = BTreeSet::new();
        worthless.retain(|reason| seen.insert(reason.clone()));
        let verdict = shakedown_scenarios::verdict(&judged.checks, &worthless);
        let mut invalid = worthless.clone();
        invalid.extend(shakedown_scenarios::not_judged(&judged.checks));
        let header = Header {
            scenario: story.name.clone(),
            story: story.story.clone(),
            variant: story.variant.clone(),
            set: set.to_vec(),
            mode: if conduct == Conduct::Real {
                Mode::Real
            } else {
                Mode::Simulated
            },
            seed,
            engine: conduct.engine().to_owned(),
            version: crate::version(),
            digest,
            replay: replay_command(story, seed, conduct, set, called),
            elapsed_ns,
            cut_ns: ended.cut.then_some(elapsed_ns),
            not_modelled: not_modelled(&story.omissions),
        };
        let judgement = Judgement {
            checks: judged.checks,
            invalid,
            verdict,
        };
        let document = self.summary.finish(header, judgement);
        Ok(Outcome {
            document,
            samples: judged.samples,
            worthless,
            replayed,
        })
    }
}

fn cut_short(at_ns: i64, duration: Duration, in_flight: u64) -> String {
    use shakedown_reports::units::{counted, written};
    format!(
        "it was cut short at {} of {}, with {} in flight, which no figure includes",
        // To the millisecond: nobody presses a key more exactly.
        written(at_ns / 1_000_000 * 1_000_000),
        written(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        counted(in_flight, "call"),
    )
}

/// What of a mesh's documents is not modelled, as a results document lists it: places without their folders.
pub fn not_modelled(omissions: &[Omission]) -> Vec<NotModelled> {
    let row = |omission: &Omission| {
        let Place { file, line, .. } = &omission.place;
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

/// The command that runs the same again. Noise is left out: it changes nothing.
fn replay_command(
    story: &Story,
    seed: u64,
    conduct: Conduct,
    set: &[String],
    called: &str,
) -> String {
    let mut command = format!("shakedown run {}", shell_word(called));
    if story.variant != "base" {
        command.push_str(&format!(" --variant {}", story.variant));
    }
    for edit in set {
        command.push_str(&format!(" --set {}", quoted(edit)));
    }
    command.push_str(&format!(" --seed {seed}"));
    match conduct {
        Conduct::Real => command.push_str(" --real"),
        Conduct::Turmoil => command.push_str(" --engine turmoil"),
        Conduct::Simulated | Conduct::SimulatedWithNoise(_) => {}
    }
    command
}

/// A word of a shell's command, quoted where it must be.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => quoted(word),
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
