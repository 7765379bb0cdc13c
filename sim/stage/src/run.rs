//! The entry point of a run: its world, its seed, and the sink of the journal.

pub(crate) mod native;
mod real;
mod scene;
#[cfg(feature = "turmoil")]
pub(crate) mod turmoil;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shakedown_engine::SimError;
use shakedown_env::stream_seed;
use shakedown_results::{Cast, Event, Record};
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::story::Story;

use crate::journal::Journal;
use crate::play::PlayError;

/// Options of a run.
#[derive(Default)]
pub struct Options {
    /// The seed of every random draw.
    pub seed: u64,
    /// The seed of real sleeps between polls of a simulated run, which must change nothing.
    pub noise: Option<u64>,
    /// Called with the time in the run, ns from 0 s, every now and then.
    pub progress: Option<Box<dyn FnMut(i64) + Send>>,
    /// Ends the run where it is once it is set: what is in flight then leaves no end.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Options {
    /// Returns true if the run is to stop now.
    fn is_stopped(stop: Option<&AtomicBool>) -> bool {
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// The world of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// In the simulator.
    Native,
    /// On loopback sockets, in real time.
    Real,
    /// On turmoil's simulator: a second opinion on the native one.
    Turmoil,
}

/// A run that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// From 0 s to the end of the drain, ns.
    pub simulated_ns: u64,
    /// True if it was stopped before its end.
    pub cut: bool,
    /// Why it is worthless, if it is.
    pub invalid: Vec<String>,
}

/// A run that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The simulator stopped: a panic, or nothing left to happen.
    #[error("simulate")]
    Simulate(#[from] SimError),
    /// The story could not be played.
    #[error("play the story")]
    Play(#[from] PlayError),
    /// The name of a service is not valid in a `host` header.
    #[error("name a service as in a `host` header")]
    Names,
    /// Turmoil cannot carry the story.
    #[cfg(feature = "turmoil")]
    #[error("run on turmoil what it cannot do: {}", .0.iter().map(|refusal| refusal.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<turmoil::Refusal>),
    /// This build has no turmoil.
    #[cfg(not(feature = "turmoil"))]
    #[error("run on turmoil, which this build is without: build it with the feature `turmoil`")]
    WithoutTurmoil,
    /// The system refused a runtime, a host or a thread.
    #[error("set up the world")]
    World(#[source] io::Error),
}

/// Takes every record of a run, in order of time, with the cast as it is then: pods that were added are in it.
pub type Sink<'a> = dyn FnMut(&Cast, &Record) + Send + 'a;

/// The cast of a run of `story` under `seed`, and its planned faults: the same that [`run`] uses.
pub fn cast(story: &Story, seed: u64) -> (Vec<PlannedAction>, Cast) {
    let plan = shakedown_scenarios::plan(story, |label: &str| stream_seed(seed, "chaos", label));
    let cast = shakedown_scenarios::cast(story, &plan);
    (plan, cast)
}

/// Runs a story to its end and hands every record to `sink`. Blocks; a simulated run has a fresh thread of its own.
///
/// # Errors
/// [`RunError`].
pub fn run(
    story: &Story,
    options: Options,
    world: World,
    sink: &mut Sink<'_>,
) -> Result<Ended, RunError> {
    match world {
        World::Native => native::run(story, options, sink),
        World::Real => real::run(story, options, sink),
        #[cfg(feature = "turmoil")]
        World::Turmoil => turmoil::run(story, options, sink),
        #[cfg(not(feature = "turmoil"))]
        World::Turmoil => Err(RunError::WithoutTurmoil),
    }
}

/// Hands records over as they come.
struct Outlet<'a, 'b> {
    /// With the pods that have been added so far.
    cast: Cast,
    journal: Arc<Journal>,
    sink: &'a mut Sink<'b>,
    progress: Option<Box<dyn FnMut(i64) + Send>>,
    records: Vec<Record>,
    told_ns: i64,
    /// The time of the last record.
    last_ns: i64,
}

/// The time of the run between two reports of progress.
const PROGRESS_NS: i64 = 50_000_000;

impl<'a, 'b> Outlet<'a, 'b> {
    fn new(
        cast: Arc<Cast>,
        journal: Arc<Journal>,
        sink: &'a mut Sink<'b>,
        progress: Option<Box<dyn FnMut(i64) + Send>>,
    ) -> Outlet<'a, 'b> {
        Outlet {
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
