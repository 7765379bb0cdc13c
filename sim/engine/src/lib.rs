//! The simulated world: an executor with a virtual clock, and a network of hosts, behind [`Env`](shakedown_env::Env).
//!
//! A [`Sim`] is one run on one thread. Each of its hosts is an `Env`; what the mesh does through it is a function of the
//! program and the seed alone: virtual time moves from event to event of one (time, sequence) heap, ready tasks run first
//! in, first out, and every random draw has a labelled stream of its own. [`Net`] is the hand that chaos reaches in with.
//!
//! What it models of a kernel's TCP, and what not, is told in [`net`].
//!
//! Invariant: nothing here reads a real clock, the address of an object, a thread's timing or an unordered map. The one
//! exception is the noise check, which sleeps for real and must change nothing.

mod arena;
mod cpu;
mod executor;
mod host;
mod kernel;
pub mod net;
mod noise;
mod panics;
mod ready;
mod shared;
mod sim;
mod sink;
mod sleep;
mod timer;
#[cfg(feature = "turmoil")]
pub mod turmoil;
mod world;

pub use host::{HostId, HostSpec};
pub use net::{Latency, Link, LinkFaultId, Net, PartitionId};
pub use sim::{Sim, SimError, SimOptions, Stats};

#[cfg(test)]
mod tests;
