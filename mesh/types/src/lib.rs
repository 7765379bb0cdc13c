//! The vocabulary that the mesh, the simulator, the Journal and the checks share.
//!
//! Plain data: no clock, no I/O, no runtime. The serialised forms are part of the Journal's format and of its digests.

pub mod grpc;
mod grpc_status;
mod response_flags;

pub use grpc_status::GrpcStatus;
pub use response_flags::ResponseFlags;
