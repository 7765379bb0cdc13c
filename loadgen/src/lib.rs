//! The load generator: when a load's requests are due, and a client that sends them when they are due.
//!
//! - [`Schedule`]: pure; a load and its random streams give the intended time of every request.
//! - [`run`]: sends one load on schedule, over the client hosts that [`Clients`] holds at the time.
//! - [`Caller`], [`Outlet`]: how one host asks a service for something, through its sidecar or straight; the modelled apps
//!   call by the same code, so that a call means the same for every caller.
//! - [`live`]: the same schedule on a real server, from outside the mesh.
//! - [`Recorder`]: where the facts go.
//!
//! Open loop: a request is never delayed by the answers of others. Past the in-flight cap it is *dropped* and counted;
//! latency counts from the intended time.
//!
//! Invariant: nothing here knows whether its world is simulated.

mod caller;
mod client;
pub mod live;
mod message;
mod outlet;
mod recorder;
mod request_id;
mod retry;
mod schedule;

pub use caller::{CALL_HEADER, Caller, Errand, Policy, REQUEST_ID_HEADER, index_of, parse_call};
pub use client::{Client, Clients, Plan, PlanError, run};
pub use message::{TIMEOUT_HEADER, message, told_timeout};
pub use outlet::{Exchange, OUTBOUND_PORT, Outlet, Target};
pub use recorder::Recorder;
pub use request_id::{decode, encode, header_value};
pub use schedule::{Arrival, Schedule, Surge};

#[cfg(test)]
mod scene;
