//! Answers to questions about a mesh's documents: [`advise()`] warns of what is hardly meant, [`mod@explain`] follows one request
//! through the configuration and names the line behind each step.
//!
//! Pure: no input or output, and the same answer for the same mesh.

pub mod advise;
pub mod explain;

pub use advise::advise;
