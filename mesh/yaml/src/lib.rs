//! YAML with positions: the reader behind Istio's documents and the scenario language.
//!
//! [`tree`] parses text into nodes that keep their places, [`mod@decode`] makes types of them by serde and finds all errors at
//! once, [`Diagnostics`] holds these, each with its place. [`suggest`] words what would have been accepted, [`patch`] edits a
//! tree by path. Pure: no input or output.

pub mod decode;
pub mod diagnostic;
pub mod patch;
pub mod suggest;
pub mod tree;

pub use decode::{Decoder, Raw, Spanned, decode};
pub use diagnostic::{Diagnostic, Diagnostics, Place};
pub use tree::Node;
