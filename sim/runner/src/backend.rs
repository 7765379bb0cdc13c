//! The hosts of a run, which can crash, pause and be partitioned, on a simulated or real backend.

pub(crate) mod latency;
mod net_calls;
pub(crate) mod real;
pub(crate) mod simulated;
#[cfg(feature = "turmoil")]
pub(crate) mod turmoil;

use std::io;
use std::net::IpAddr;

use shakedown_env::{Env, Time};
use shakedown_results::PodId;

use crate::run_context::RunContext;

/// A backend with a host for every pod, and one for the runner itself, which no fault affects.
pub(crate) trait Backend {
    /// The runner's own host.
    fn runner_env(&self) -> Env;

    /// A handle of a pod's host, valid until its next crash.
    fn env(&self, pod: PodId) -> Env;

    fn address(&self, pod: PodId) -> IpAddr;

    /// Creates a host for a pod that was added to the run context. Must be called in pod order.
    ///
    /// # Errors
    /// The backend has no free hosts.
    fn add(&self, _pod: PodId, _context: &RunContext) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes the host silently: no FIN, no RST.
    fn crash(&self, pod: PodId);

    /// Restarts the host. Its store is kept.
    fn restart(&self, pod: PodId) -> Env;

    /// Suspends all tasks of the host. Its sockets stay open.
    fn pause(&self, pod: PodId);

    fn resume(&self, pod: PodId);

    /// Drops all traffic from one set of pods to another, in that direction only.
    fn cut(&self, from: &[PodId], to: &[PodId]) -> PartitionGuard;

    /// Heals a partition, and returns the number of packets or connections that it blocked.
    fn heal(&self, cut: PartitionGuard) -> u64;

    /// Resolves a name to addresses.
    fn set_name(&self, name: String, addresses: Vec<IpAddr>);

    /// Sets all wall clocks to the scenario's epoch at `zero`, if the backend's clocks can be set.
    fn set_epoch_origin(&self, zero: Time);
}

/// A partition in force.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PartitionGuard {
    Simulated(shakedown_engine::PartitionId),
    Real(u64),
}
