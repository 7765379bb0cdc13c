//! The hosts of a run, which can crash, pause and be partitioned, in one of two worlds.

pub(crate) mod latency;
pub(crate) mod real;
pub(crate) mod simulated;
#[cfg(feature = "turmoil")]
pub(crate) mod turmoil;

use std::io;
use std::net::IpAddr;

use shakedown_env::{Env, Time};
use shakedown_results::PodId;

use crate::plot::Plot;

/// A world with a host for every pod, and one more for the stage itself, which nothing harms.
pub(crate) trait Ground {
    /// The stage's own host.
    fn stage(&self) -> Env;

    /// A handle of a pod's host, valid until its next crash.
    fn env(&self, pod: PodId) -> Env;

    /// A pod's address.
    fn address(&self, pod: PodId) -> IpAddr;

    /// Gives a host to a pod that was added to the plot: the one after the last.
    ///
    /// # Errors
    /// The world has no more hosts.
    fn add(&self, _pod: PodId, _plot: &Plot) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The host is gone in silence: no FIN, no RST.
    fn crash(&self, pod: PodId);

    /// The host is up again, empty but for its store.
    fn restart(&self, pod: PodId) -> Env;

    /// Nothing of the host runs; its sockets stay open.
    fn pause(&self, pod: PodId);

    /// Ends a pause.
    fn resume(&self, pod: PodId);

    /// Nothing passes from one set of pods to another, that way only.
    fn cut(&self, from: &[PodId], to: &[PodId]) -> Cut;

    /// Heals a cut, and returns the number of packets or connections that it held up.
    fn heal(&self, cut: Cut) -> u64;

    /// Gives a name to addresses.
    fn set_name(&self, name: String, addresses: Vec<IpAddr>);

    /// Makes every wall clock show the story's epoch at `zero`, where the world's clocks can be set.
    fn set_epoch_origin(&self, zero: Time);
}

/// A partition in force.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Simulated(shakedown_engine::PartitionId),
    Real(u64),
}
