//! The real backend: every pod is an address of the loopback block, all in one process. Chaos is injected by
//! a decorator around each host's environment.
//!
//! Differences from the simulated backend, caused by the kernel:
//! - A crashed host's open sockets stay open and silent, but the kernel acknowledges received bytes until its
//!   buffers are full.
//! - A partition delays bytes at the receiver, so a sender sees its writes accepted and acknowledged by the
//!   kernel. After the partition heals, the bytes are delivered when TCP would have retransmitted them.
//! - A pause stops the host's tasks, not its share of the thread's time.
//! - The scenario's latencies are added to the kernel's: received bytes are delayed at both ends, and opening
//!   a connection takes one round trip.

mod cuts;
mod host;
mod lag;
mod stream;

use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use shakedown_env::real::{HostOptions, HostTable, Runtime};
use shakedown_env::{Env, Time};
use shakedown_results::PodId;

use super::latency::Latencies;
use super::{Backend, PartitionGuard};
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::run_context::RunContext;
use host::{RealHost, RealNetwork};
use lag::DelayedLinks;

/// Hosts of one runtime.
pub(crate) struct Real {
    /// Weak, because the runtime's tasks own this backend.
    runtime: Weak<Runtime>,
    seed: u64,
    journal: Arc<Journal>,
    addresses: Addresses,
    network: RealNetwork,
    names: HostTable,
    runner_env: Env,
}

impl Real {
    /// Creates a host for every pod of the run.
    ///
    /// # Errors
    /// Returns the system's error if a host cannot be created.
    pub(crate) fn new(
        runtime: &Rc<Runtime>,
        addresses: Addresses,
        seed: u64,
        context: &RunContext,
        journal: &Arc<Journal>,
    ) -> io::Result<Real> {
        let names = HostTable::new();
        let runner_env = runtime.host(HostOptions {
            seed: Some(seed),
            names: names.clone(),
            ..HostOptions::new("runner")
        })?;
        let backend = Real {
            runtime: Rc::downgrade(runtime),
            seed,
            journal: Arc::clone(journal),
            addresses,
            network: RealNetwork {
                hosts: Arc::default(),
                cuts: Arc::default(),
                links: Arc::new(DelayedLinks::new(Latencies::new(context))),
            },
            names,
            runner_env,
        };
        for pod in context.pods() {
            backend.add_host(pod, context)?;
        }
        Ok(backend)
    }

    fn add_host(&self, pod: PodId, context: &RunContext) -> io::Result<()> {
        let runtime = self.runtime.upgrade();
        let runtime = runtime.ok_or(io::ErrorKind::NotConnected)?;
        let address = self.addresses.address(pod);
        let inner = runtime.host(HostOptions {
            address,
            seed: Some(self.seed),
            names: self.names.clone(),
            ..HostOptions::new(context.name(pod))
        })?;
        let host = RealHost::new(pod, address, inner, Arc::clone(&self.journal));
        self.network.hosts.add(Arc::new(host));
        Ok(())
    }

    fn addresses(&self, pods: &[PodId]) -> Vec<IpAddr> {
        pods.iter()
            .map(|pod| self.addresses.address(*pod))
            .collect()
    }
}

impl Backend for Real {
    fn runner_env(&self) -> Env {
        self.runner_env.clone()
    }

    fn env(&self, pod: PodId) -> Env {
        self.network.env(pod)
    }

    fn address(&self, pod: PodId) -> IpAddr {
        self.addresses.address(pod)
    }

    fn add(&self, pod: PodId, context: &RunContext) -> io::Result<()> {
        self.network.links.add(context.pod(pod));
        self.add_host(pod, context)
    }

    fn crash(&self, pod: PodId) {
        self.network.hosts.host(pod).crash();
    }

    fn restart(&self, pod: PodId) -> Env {
        self.network.hosts.host(pod).restart();
        self.env(pod)
    }

    fn pause(&self, pod: PodId) {
        self.network.hosts.host(pod).set_paused(true);
    }

    fn resume(&self, pod: PodId) {
        self.network.hosts.host(pod).set_paused(false);
    }

    fn cut(&self, from: &[PodId], to: &[PodId]) -> PartitionGuard {
        PartitionGuard::Real(
            self.network
                .cuts
                .add(self.addresses(from), self.addresses(to)),
        )
    }

    fn heal(&self, cut: PartitionGuard) -> u64 {
        match cut {
            PartitionGuard::Real(cut) => self.network.cuts.remove(cut),
            PartitionGuard::Simulated(_) => {
                unreachable!("a partition is healed by the backend that created it")
            }
        }
    }

    fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
        self.names.set(name, addresses);
    }

    fn set_epoch_origin(&self, _zero: Time) {}
}
