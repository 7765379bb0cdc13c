//! The outcome of a run: its length and validity, or the reason why it failed.

use std::io;

use shakedown_engine::SimError;

use crate::execute::StartRunError;

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
    #[error("start the scenario")]
    Play(#[from] StartRunError),
    /// The name of a service is not valid in a `host` header.
    #[error("use a service's name in a `host` header")]
    Names,
    /// Turmoil does not support the scenario.
    #[cfg(feature = "turmoil")]
    #[error("turmoil does not support this scenario: {}", .0.iter().map(|refusal| refusal.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<UnsupportedPart>),
    /// This build does not include turmoil.
    #[cfg(not(feature = "turmoil"))]
    #[error("run on turmoil: this build does not include it; rebuild with the feature `turmoil`")]
    WithoutTurmoil,
    /// The system refused to create a runtime, a host or a thread.
    #[error("set up the run")]
    World(#[source] io::Error),
}

/// A part of a scenario that turmoil cannot run.
#[cfg(feature = "turmoil")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedPart {
    /// Keys of the part in the file; an item of `chaos` by its name.
    pub path: Vec<String>,
    /// Description of the part, and the reason.
    pub reason: String,
}
