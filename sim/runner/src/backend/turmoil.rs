//! The backend on turmoil's simulator.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_engine::HostId;
use shakedown_engine::turmoil::{TurmoilNet, TurmoilSim};
use shakedown_env::{Env, Time};
use shakedown_results::PodId;

use super::latency::Latencies;
use super::net_calls::{RUNNER_HOST, net_calls};
use super::{Backend, PartitionGuard};
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::run_context::RunContext;

/// Hosts in turmoil. All must be created at the start, so pods added later get one of the idle spare hosts.
pub(crate) struct Turmoil {
    net: TurmoilNet,
    /// Hosts of the pods of 0 s, then the spare ones, by pod id.
    hosts: Vec<HostId>,
    /// An id after those of the pods of 0 s and before the spare hosts.
    runner: HostId,
}

impl Turmoil {
    /// Adds a host for each pod of the run, and `spare` idle ones, to an empty simulation. The scenario must
    /// be one that turmoil can run.
    pub(crate) fn new(
        sim: &mut TurmoilSim,
        context: &RunContext,
        spare: usize,
        journal: &Arc<Journal>,
    ) -> Turmoil {
        let addresses = Addresses::SIMULATED;
        let mut hosts: Vec<HostId> = context
            .pods()
            .map(|pod| sim.add_host(&context.name(pod), addresses.address(pod)))
            .collect();
        let runner = sim.add_host(RUNNER_HOST, addresses.last());
        let next = u32::try_from(hosts.len()).expect("pods are numbered in 32 bits");
        for pod in (next..).map(PodId).take(spare) {
            hosts.push(sim.add_host(&format!("spare/{}", pod.0), addresses.address(pod)));
        }
        let numbers = hosts.iter().copied().zip((0..).map(PodId));
        let numbers: BTreeMap<HostId, PodId> = numbers.collect();
        let net = sim.net();
        let journal = Arc::clone(journal);
        net.set_event_sink(Box::new(move |now, host, fact| {
            if let Some(pod) = numbers.get(&host) {
                journal.receive(now, *pod, fact);
            }
        }));
        let backend = Turmoil { net, hosts, runner };
        for a in context.pods() {
            backend.link(context, a, context.pods().filter(|b| *b > a));
        }
        backend
    }

    /// Sets the latencies of the links between a pod and others.
    fn link(&self, context: &RunContext, a: PodId, others: impl Iterator<Item = PodId>) {
        let latencies = Latencies::new(context);
        for b in others {
            let latency = latencies.between(a, b).expect("both hosts are pods");
            let nanos = latency.as_constant();
            let nanos = nanos.expect("random latencies were refused");
            let span = Duration::from_nanos(nanos);
            self.net.set_latency(self.host(a), self.host(b), span);
        }
    }

    fn host(&self, pod: PodId) -> HostId {
        self.hosts[pod.0 as usize]
    }
}

impl Backend for Turmoil {
    net_calls!();

    fn add(&self, pod: PodId, context: &RunContext) -> io::Result<()> {
        let host = self.hosts.get(pod.0 as usize);
        let host = *host.ok_or(io::ErrorKind::QuotaExceeded)?;
        self.net.rename(host, &context.name(pod));
        self.link(context, pod, context.pods().filter(|other| *other < pod));
        Ok(())
    }

    fn cut(&self, _from: &[PodId], _to: &[PodId]) -> PartitionGuard {
        unreachable!("scenarios with partitions were refused")
    }

    fn heal(&self, _cut: PartitionGuard) -> u64 {
        unreachable!("this backend creates no partitions")
    }
}
