//! Shakedown: a service mesh whose full proxy and control logic run for real and inside a deterministic network
//! simulator.
//!
//! This crate is the facade: it runs a [`Story`] in a world, and turns the Journal of the run into a
//! [`Document`] by the pure views of the other crates (digest, judge, summary). The
//! `shakedown` command is a thin layer over it.
//!
//! Simulations are CPU-bound. In a workspace whose tests use this crate, build its dependencies with optimisation, which makes them
//! some twelve times faster:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 2
//! ```

pub mod estimate;
pub mod journal;
pub mod load;
pub mod run;
pub mod scenario;
pub mod secret;
pub mod sweep;

pub use run::{Conduct, Options, Outcome, RunError, run};
pub use scenario::Scenario;
pub use shakedown_results::{CheckResult, Document, Verdict};
pub use shakedown_scenarios::story::Story;

/// The version of the package and of the journal's meaning: part of every digest.
pub fn version() -> String {
    format!(
        "{}+journal.{}",
        env!("CARGO_PKG_VERSION"),
        shakedown_results::JOURNAL_VERSION
    )
}
