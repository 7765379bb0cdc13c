//! The scenario language and its pure judge.
//!
//! [`load`] reads a YAML file into a resolved scenario, a [`ResolvedScenario`](scenario::ResolvedScenario). [`plan`] draws its faults from a
//! seed, and [`Judge`] decides its checks from the events of the journal, one by one. Everything is pure data and pure
//! functions, except for reading the file and its included files.
//!
//! Invariant: this crate does not depend on a simulator, a clock or a socket.

mod catalogue;
pub mod check;
mod edit;
mod epoch;
mod file;
pub mod judge;
mod load;
mod plan;
mod read;
mod scale;
pub mod scenario;
mod source;
pub mod value;

pub use catalogue::catalogue;
pub use file::{KeyRow, key_rows, schema};
pub use judge::{
    Judge, Margin, RunJudgement, SeedSample, VariantOutcome, margin, not_judged, over_seeds,
    verdict,
};
pub use load::{BASE, Edits, LoadError, load, load_all, load_text, load_tree, variants};
pub use plan::{PlannedAction, is_meant, list_participants, plan, resolve};
pub use source::{STANDARD_INPUT, STANDARD_INPUT_NAME, SourceError, standard_input};
