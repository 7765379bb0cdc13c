//! The runner: runs a scenario on a backend and writes the Journal of its events.
//!
//! - [`run`] runs a scenario to its end, in the simulator or on loopback sockets, with the same pods, apps,
//!   loads and faults. [`plan_run`] returns the participants beforehand.
//! - A pod is an app and its sidecar on one host. The control plane has a host of its own, and so does each
//!   client of a load.
//! - The app model is a real HTTP server whose requests execute the steps that the scenario declares.
//!
//! Invariant: the events of a run are a function of scenario, seed and version. Nothing here reads a clock,
//! entropy or the order of a hash table.

mod app;
mod backend;
mod chaos;
mod cpu;
mod execute;
mod injected_faults;
mod journal;
mod layout;
mod pods;
mod registry;
mod rollout;
mod run;
mod run_context;

pub use execute::StartRunError;
pub use pods::StartError;
#[cfg(feature = "turmoil")]
pub use run::UnsupportedPart;
#[cfg(feature = "turmoil")]
pub use run::turmoil::{Stretched, TurmoilFit, turmoil_fit};
pub use run::{FinishedRun, JournalSink, RunnerError, RunnerOptions, plan_run, run};

#[cfg(test)]
mod tests;
