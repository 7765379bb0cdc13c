//! YAML with positions: the reader behind Istio's documents and the scenario language.
//!
//! [`tree`] parses text into nodes that keep their places, [`mod@decode`] deserialises nodes with serde and finds all
//! errors at once, and [`Diagnostics`] collects these errors with their places. [`suggest`] formulates the accepted
//! values, and [`patch`] applies JSON merge patches to a tree. Pure: no input or output.

pub mod decode;
pub mod diagnostic;
pub mod patch;
pub mod suggest;
pub mod tree;

pub use decode::{Decoder, Raw, Spanned, StructKeys, decode};
pub use diagnostic::{Diagnostic, Diagnostics, Location};
pub use tree::Node;
