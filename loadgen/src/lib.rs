//! The load generator: computes when the requests of a load are due, and sends them at those times.
//!
//! - [`Schedule`]: pure; a load and its random streams determine the intended time of every request.
//! - [`run`]: sends one load on schedule, over the current client hosts of [`LoadClients`].
//! - [`CallingHost`], [`ClientTransport`]: calls of one host to a service, through its sidecar or directly. The modelled apps use the
//!   same code, so that a call means the same for every caller.
//! - [`live`]: the same schedule against a real server, from outside the mesh.
//! - [`Recorder`]: the sink for events.
//!
//! Open loop: a request is never delayed by the responses to others. Above the in-flight limit it is *dropped* and
//! counted. Latency is measured from the intended time.
//!
//! Invariant: nothing here depends on whether the environment is simulated.

mod caller;
mod client;
pub mod live;
mod message;
mod recorder;
mod request_id;
mod retry;
mod schedule;
mod transport;

pub use caller::{
    CALL_HEADER, CallRetryPolicy, CallSpec, CallingHost, REQUEST_ID_HEADER, index_of, parse_call,
};
pub use client::{LoadClient, LoadClients, LoadPlan, PlanError, run};
pub use message::{TIMEOUT_HEADER, message, read_timeout};
pub use recorder::Recorder;
pub use request_id::{decode, encode, header_value};
pub use schedule::{Schedule, ScheduledArrival, Surge};
pub use transport::{CallTarget, ClientTransport, Exchange, OUTBOUND_PORT};

#[cfg(test)]
mod scene;
