//! Configuration: pure data and pure functions, no input or output.
//!
//! Three shapes and two functions between them. [`api`] is what the user wrote, in Istio's YAML; [`translate`] makes of
//! it, and of the [`registry`] of services, [`xds`], Envoy's protobuf as it is sent; [`compile`] makes of that [`table`],
//! which the proxy executes. [`mod@explain`] asks these what one request would meet. Below them stands a reader of YAML that keeps places ([`tree`]) and finds all errors at
//! once ([`mod@decode`]); the scenario language is read by it, too.
//!
//! Invariant: a function of this crate gives the same result for the same arguments, always, and nothing that was asked
//! for is dropped in silence: it works, or it is an error with a place.

pub mod api;
pub mod compile;
pub mod decode;
pub mod diagnostic;
pub mod explain;
pub mod patch;
pub mod registry;
pub mod suggest;
pub mod table;
pub mod translate;
pub mod tree;
pub mod xds;

pub use decode::{Decoder, Raw, Spanned, decode};
pub use diagnostic::{Diagnostic, Diagnostics, Place};
pub use registry::{Mesh, MeshOptions, Registry};
pub use tree::Node;
