//! Configuration: pure data and pure functions, no input or output.
//!
//! Three shapes and two functions between them. [`api`] is what the user wrote, in Istio's YAML; [`translate`] makes of
//! it, and of the [`registry`] of services, [`xds`], Envoy's protobuf as it is sent; [`compile`] makes of that [`table`],
//! which the proxy executes. [`mod@explain`] asks these what one request would meet.
//!
//! Invariant: a function of this crate gives the same result for the same arguments, always, and nothing that was asked
//! for is dropped in silence: it works, or it is an error with a place.

pub mod api;
pub mod compile;
pub mod explain;
pub mod registry;
pub mod table;
pub mod translate;
pub mod xds;

pub use registry::{Mesh, MeshOptions, Registry};
