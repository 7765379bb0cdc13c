//! The entry point of a run: its execution environment, its seed, and the sink of the Journal.

pub(crate) mod native;
mod prepared;
mod real;
#[cfg(feature = "turmoil")]
pub(crate) mod turmoil;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shakedown_engine::SimError;
use shakedown_env::stream_seed;
use shakedown_results::{Engine, Event, Participants, Record};
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::scenario::ResolvedScenario;

use crate::execute::StartRunError;
use crate::journal::Journal;

#[derive(Default)]
pub struct RunnerOptions {
    /// Seed of every random draw.
    pub seed: u64,
    /// Seed of real sleeps between polls of a simulated run, which must not change its result.
    pub noise: Option<u64>,
    /// Called at intervals with the time in the run, ns from 0 s.
    pub progress: Option<Box<dyn FnMut(i64) + Send>>,
    /// Stops the run when it is set. Requests in flight then have no end event.
    pub stop: Option<Arc<AtomicBool>>,
}

impl RunnerOptions {
    fn is_stopped(stop: Option<&AtomicBool>) -> bool {
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// The result of a run that was completed or stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedRun {
    /// From 0 s to the end of the drain, or to the last record of a stopped run, ns.
    pub simulated_ns: u64,
    /// True if the run was stopped before its end.
    pub cut: bool,
    /// Reasons why the run is invalid; empty if it is valid.
    pub invalid: Vec<String>,
}

/// The reason why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The simulator stopped: a task panicked, or no event was left.
    #[error("simulate")]
    Simulate(#[from] SimError),
    /// The scenario could not be run.
    #[error("play the story")]
    Play(#[from] StartRunError),
    /// The name of a service is not valid in a `host` header.
    #[error("name a service as in a `host` header")]
    Names,
    /// Turmoil does not support the scenario.
    #[cfg(feature = "turmoil")]
    #[error("run on turmoil what it cannot do: {}", .0.iter().map(|refusal| refusal.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<turmoil::UnsupportedPart>),
    /// This build does not include turmoil.
    #[cfg(not(feature = "turmoil"))]
    #[error("run on turmoil, which this build is without: build it with the feature `turmoil`")]
    WithoutTurmoil,
    /// The system refused to create a runtime, a host or a thread.
    #[error("set up the world")]
    World(#[source] io::Error),
}

/// Receives every record of a run in order of time, with the participants at that time, including added pods.
pub type JournalSink<'a> = dyn FnMut(&Participants, &Record) + Send + 'a;

/// Returns the planned faults and the participants of a run of `story` under `seed`, identical to those that
/// [`run`] uses.
pub fn cast(story: &ResolvedScenario, seed: u64) -> (Vec<PlannedAction>, Participants) {
    let plan = shakedown_scenarios::plan(story, |label: &str| stream_seed(seed, "chaos", label));
    let cast = shakedown_scenarios::cast(story, &plan);
    (plan, cast)
}

/// Runs a scenario to its end and passes every record to `sink`. Blocks. A simulated run uses a new thread.
///
/// # Errors
/// [`RunnerError`].
pub fn run(
    story: &ResolvedScenario,
    options: RunnerOptions,
    engine: Engine,
    sink: &mut JournalSink<'_>,
) -> Result<FinishedRun, RunnerError> {
    match engine {
        Engine::Native => native::run(story, options, sink),
        Engine::Real => real::run(story, options, sink),
        #[cfg(feature = "turmoil")]
        Engine::Turmoil => turmoil::run(story, options, sink),
        #[cfg(not(feature = "turmoil"))]
        Engine::Turmoil => Err(RunnerError::WithoutTurmoil),
    }
}

/// Passes records to the sink.
struct RecordForwarder<'a, 'b> {
    /// Includes the pods that have been added so far.
    cast: Participants,
    journal: Arc<Journal>,
    sink: &'a mut JournalSink<'b>,
    progress: Option<Box<dyn FnMut(i64) + Send>>,
    records: Vec<Record>,
    told_ns: i64,
    /// Time of the last record.
    last_ns: i64,
}

/// Time in the run between two reports of progress.
const PROGRESS_NS: i64 = 50_000_000;

impl<'a, 'b> RecordForwarder<'a, 'b> {
    fn new(
        cast: Arc<Participants>,
        journal: Arc<Journal>,
        sink: &'a mut JournalSink<'b>,
        progress: Option<Box<dyn FnMut(i64) + Send>>,
    ) -> RecordForwarder<'a, 'b> {
        RecordForwarder {
            cast: (*cast).clone(),
            journal,
            sink,
            progress,
            records: Vec::new(),
            told_ns: i64::MIN,
            last_ns: 0,
        }
    }

    fn pass_on(&mut self) {
        self.journal.take(&mut self.records);
        let Some(last) = self.records.last() else {
            return;
        };
        let now_ns = last.at_ns;
        self.last_ns = now_ns;
        for record in self.records.drain(..) {
            if let Event::PodAdded { pod } = &record.event {
                self.cast.pods.push(pod.clone());
            }
            (self.sink)(&self.cast, &record);
        }
        if now_ns >= self.told_ns.saturating_add(PROGRESS_NS) {
            self.told_ns = now_ns;
            if let Some(progress) = &mut self.progress {
                progress(now_ns);
            }
        }
    }
}
