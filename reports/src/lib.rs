//! What people read of a run: the [`Summary`] folds the Journal into the results document, [`html`] draws it as one
//! self-contained file, [`text`] prints it on a terminal.
//!
//! Pure functions of the Journal and of the document: no clock, no I/O, no runtime. The same document gives the same bytes.

pub mod html;
pub mod omitted;
mod overflow;
mod plot;
mod short;
pub mod summary;
pub mod text;
pub mod units;

pub use summary::{Header, Judgement, Summary};
