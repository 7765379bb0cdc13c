//! The simulated backend, on the engine.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_engine::{HostId, HostSpec, LinkLatency, Net, Sim, SimLink};
use shakedown_env::{Env, Time};
use shakedown_results::PodId;
use shakedown_scenarios::value::Distribution;

use super::latency::Latencies;
use super::net_calls::{RUNNER_HOST, net_calls};
use super::{Backend, PartitionGuard};
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::run_context::RunContext;

/// Hosts in the engine, in pod order except for the runner's own, whose id is after the pods of 0 s and before those
/// added later.
pub(crate) struct Simulated {
    net: Net,
    /// By pod id.
    hosts: RefCell<Vec<HostId>>,
    runner: HostId,
}

impl Simulated {
    /// Adds a host for each pod of the run, and one for the runner, to an empty simulation.
    pub(crate) fn new(sim: &Sim, context: &RunContext, journal: &Arc<Journal>) -> Simulated {
        let net = sim.net();
        let hosts: Vec<HostId> = context
            .pods()
            .map(|pod| add_pod(&net, context, pod))
            .collect();
        let runner = add_host(&net, RUNNER_HOST.to_owned(), Addresses::SIMULATED.last());
        net.set_link(link_rule(context, runner));
        let journal = Arc::clone(journal);
        net.set_event_sink(Box::new(move |now, host, fact| {
            if let Some(pod) = pod_of(host, runner) {
                journal.receive(now, pod, fact);
            }
        }));
        Simulated {
            net,
            hosts: RefCell::new(hosts),
            runner,
        }
    }

    fn host(&self, pod: PodId) -> HostId {
        self.hosts.borrow()[pod.0 as usize]
    }
}

impl Backend for Simulated {
    net_calls!();

    fn add(&self, pod: PodId, context: &RunContext) -> io::Result<()> {
        self.hosts
            .borrow_mut()
            .push(add_pod(&self.net, context, pod));
        // The old rule only contains the pods that existed when it was created.
        self.net.set_link(link_rule(context, self.runner));
        Ok(())
    }

    fn cut(&self, from: &[PodId], to: &[PodId]) -> PartitionGuard {
        let hosts = |pods: &[PodId]| pods.iter().map(|pod| self.host(*pod)).collect::<Vec<_>>();
        PartitionGuard::Simulated(self.net.partition(hosts(from), hosts(to)))
    }

    fn heal(&self, cut: PartitionGuard) -> u64 {
        match cut {
            PartitionGuard::Simulated(cut) => self.net.heal(cut),
            PartitionGuard::Real(_) => {
                unreachable!("a partition is healed by the backend that created it")
            }
        }
    }
}

fn add_pod(net: &Net, context: &RunContext, pod: PodId) -> HostId {
    let address = Addresses::SIMULATED.address(pod);
    add_host(net, context.name(pod), address)
}

fn add_host(net: &Net, name: String, address: IpAddr) -> HostId {
    let _ = net.add_host(HostSpec::new(&name, address));
    net.host_id(&name).expect("the host was just added")
}

/// Returns the pod on a host; `None` for the runner's host.
fn pod_of(host: HostId, runner: HostId) -> Option<PodId> {
    let (host, runner) = (host.index(), runner.index());
    let pod = if host < runner {
        host
    } else {
        host.checked_sub(runner + 1)? + runner
    };
    u32::try_from(pod).ok().map(PodId)
}

/// Returns the scenario's latencies, by host.
fn link_rule(
    context: &RunContext,
    runner: HostId,
) -> Box<dyn Fn(HostId, HostId) -> SimLink + Send> {
    let latencies = Latencies::new(context);
    Box::new(move |from, to| {
        let pods = pod_of(from, runner).zip(pod_of(to, runner));
        match pods.and_then(|(from, to)| latencies.between(from, to)) {
            None => SimLink::default(),
            Some(latency) => SimLink {
                latency: latency_of(latency),
                ..SimLink::default()
            },
        }
    })
}

fn latency_of(distribution: &Distribution) -> LinkLatency {
    match distribution.as_constant() {
        Some(nanos) => LinkLatency::Constant(Duration::from_nanos(nanos)),
        None => {
            let distribution = distribution.clone();
            LinkLatency::Drawn(Arc::new(move |rng| {
                Duration::from_nanos(distribution.sample_ns(rng))
            }))
        }
    }
}
