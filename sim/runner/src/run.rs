//! The entry point of a run: its execution environment, its seed, and the sink of the Journal.

mod forwarder;
pub(crate) mod native;
mod options;
mod outcome;
mod participants;
mod prepared;
mod real;
#[cfg(feature = "turmoil")]
pub(crate) mod turmoil;

use shakedown_results::Engine;
use shakedown_scenarios::scenario::ResolvedScenario;

pub use forwarder::JournalSink;
pub use options::RunnerOptions;
#[cfg(feature = "turmoil")]
pub use outcome::UnsupportedPart;
pub use outcome::{FinishedRun, RunnerError};
pub use participants::plan_run;

/// Runs a scenario to its end and passes every record to `sink`. Blocks. A simulated run uses a new thread.
///
/// # Errors
/// [`RunnerError`].
pub fn run(
    scenario: &ResolvedScenario,
    options: RunnerOptions,
    engine: Engine,
    sink: &mut JournalSink<'_>,
) -> Result<FinishedRun, RunnerError> {
    match engine {
        Engine::Native => native::run(scenario, options, sink),
        Engine::Real => real::run(scenario, options, sink),
        #[cfg(feature = "turmoil")]
        Engine::Turmoil => turmoil::run(scenario, options, sink),
        #[cfg(not(feature = "turmoil"))]
        Engine::Turmoil => Err(RunnerError::WithoutTurmoil),
    }
}
