//! Reports on runs for people: [`Summary`] converts the Journal to the results document, [`html`] renders
//! that as one self-contained file, and [`text`] prints it on a terminal.
//!
//! Pure functions of the Journal and the document: no clock, no I/O, no runtime. The same document gives the
//! same bytes.

pub mod html;
pub mod omitted;
mod overflow;
mod plot;
mod short;
pub mod summary;
pub mod text;
pub mod units;

pub use summary::{JudgedChecks, RunLabels, Summary, SummaryHeader};
