//! The vocabulary that the mesh, the simulator, the Journal and the checks share.
//!
//! Plain data: no clock, no I/O, no runtime. The serialised forms are part of the Journal's format and of its digests.

mod breaker_limit;
mod canary_phase;
mod detector;
mod event;
pub mod grpc;
mod grpc_status;
mod named_enum;
mod request_id;
mod response_flags;
mod side;
mod spiffe;
mod time;

pub use breaker_limit::BreakerLimit;
pub use canary_phase::CanaryPhase;
pub use detector::Detector;
pub use event::{AttemptEvent, MeshEvent, RequestEvent};
pub use grpc_status::GrpcStatus;
pub use request_id::RequestId;
pub use response_flags::ResponseFlags;
pub use side::Side;
pub use spiffe::{InvalidSpiffeId, SpiffeId};
pub use time::{Time, UnixTime};
