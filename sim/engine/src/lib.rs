//! The simulated execution environment: an executor with a virtual clock, and a network of hosts, behind
//! [`Env`](shakedown_env::Env).
//!
//! A [`Sim`] is one run on one thread. Each of its hosts is an `Env`. The behaviour of the mesh in it is a
//! function of the program and the seed only: virtual time advances from event to event of one (time,
//! sequence) heap, ready tasks run in FIFO order, and every random draw has a labelled stream of its own.
//! [`Net`] is the interface for fault injection.
//!
//! The modelled parts of a kernel's TCP, and the missing ones, are described in [`net`].
//!
//! Invariant: nothing here reads a real clock, the address of an object, a thread's timing or an unordered
//! map. The only exception is the noise check, which really sleeps and must not change any result.

mod arena;
mod cpu;
mod error;
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
mod stats;
mod timer;
#[cfg(feature = "turmoil")]
pub mod turmoil;
mod world;

pub use error::SimError;
pub use host::{HostId, HostSpec};
pub use net::{LinkFaultId, LinkLatency, Net, PartitionId, SimLink};
pub use sim::{Sim, SimOptions};
pub use stats::Stats;

#[cfg(test)]
mod tests;
