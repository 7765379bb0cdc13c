//! `shakedown load`: sends an open-loop load to a real server and judges it with the scenario language.
//!
//! A load given by options is written out as a scenario, so that rates, windows and checks mean the same as in every
//! file. A scenario's loads are used as they are. The schedule is the simulator's, the records are judged by the same
//! judge, and the results are written into the same document.

mod job;
mod options;
mod outcome;
mod real;
mod scenario;
mod target;
mod text;
mod trust;
mod views;

use job::LoadJob;
pub use options::{LoadOptions, LoadStage, ScenarioLoadOptions, TrustOption};
pub use outcome::{LoadOutcome, LoadProgress, LoadRunError};
pub use target::TargetOverride;
pub use text::imply_subject;

/// Sends a load and judges it. `progress` is called periodically.
///
/// # Errors
/// Fails if the options are invalid, if the server has no address, or if its certificate is not accepted. Failed
/// requests are not errors.
pub fn fire(
    options: &LoadOptions,
    progress: impl FnMut(LoadProgress) + 'static,
) -> Result<LoadOutcome, LoadRunError> {
    LoadJob::of_options(options)?.run(progress)
}

/// Sends the loads of a scenario to real servers, and judges the checks that depend on the loads alone.
///
/// # Errors
/// Fails like [`fire`], and if the scenario is invalid or a load has no target.
pub fn fire_scenario(
    options: &ScenarioLoadOptions,
    progress: impl FnMut(LoadProgress) + 'static,
) -> Result<LoadOutcome, LoadRunError> {
    scenario::job(options)?.run(progress)
}
