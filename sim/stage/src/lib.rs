//! The stage: puts a story on a world and writes the Journal of what happens.
//!
//! - [`run`] plays a story to its end, in the simulated world or on loopback sockets, with the same pods, apps, loads and
//!   faults; [`cast`] returns the participants beforehand.
//! - A pod is an app and its sidecar on one host; the control plane is a host; a load's client is a pod of its own.
//! - The app model is a real HTTP server whose requests take the steps that the story declares.
//!
//! Invariant: what a run does is a function of story, seed and version; nothing here reads a clock, entropy or an order of
//! hashes.

mod ailments;
mod app;
mod chaos;
mod cpu;
mod ground;
mod journal;
mod layout;
mod play;
mod plot;
mod pods;
mod registry;
mod rollout;
mod run;

pub use play::PlayError;
pub use pods::StartError;
#[cfg(feature = "turmoil")]
pub use run::turmoil::{Refusal, Stretched, TurmoilFit, turmoil_fit};
pub use run::{Ended, Options, RunError, Sink, World, cast, run};

#[cfg(test)]
mod tests;
