//! Analysis of a mesh's documents: [`advise()`] warns of likely mistakes, [`mod@explain`] traces one request through
//! the configuration and names the line of YAML behind each step.
//!
//! This crate is pure: no I/O, and the same result for the same mesh.

pub mod advise;
pub mod explain;

pub use advise::advise;
