//! Turmoil's simulator as a ground.

use std::net::IpAddr;
use std::sync::Arc;

use shakedown_engine::HostId;
use shakedown_engine::turmoil::{TurmoilNet, TurmoilSim};
use shakedown_env::{Env, Time};
use shakedown_results::PodId;
use shakedown_scenarios::story::Story;
use shakedown_scenarios::value::Distribution;

use super::{Cut, Ground};
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::plot::Plot;

/// The stage's host, after all pods.
const STAGE: &str = "stage";

/// Hosts of turmoil's: a pod's host has the pod's number.
pub(crate) struct Turmoil {
    net: TurmoilNet,
    /// By pod.
    hosts: Vec<HostId>,
    stage: HostId,
}

impl Turmoil {
    /// Puts the cast's hosts into an empty world. The story is one that turmoil can carry.
    pub(crate) fn new(sim: &mut TurmoilSim, plot: &Plot, journal: &Arc<Journal>) -> Turmoil {
        let addresses = Addresses::SIMULATED;
        let hosts: Vec<HostId> = plot
            .pods()
            .map(|pod| sim.add_host(&plot.cast.pod_name(pod), addresses.of(pod)))
            .collect();
        let pods = u32::try_from(hosts.len()).expect("pods are numbered in 32 bits");
        let stage = sim.add_host(STAGE, addresses.of(PodId(pods)));
        for a in plot.pods() {
            for b in plot.pods().filter(|b| *b > a) {
                let latency = latency(plot, a, b).as_constant();
                let nanos = latency.expect("what is drawn was refused");
                let span = std::time::Duration::from_nanos(nanos);
                sim.set_latency(hosts[a.0 as usize], hosts[b.0 as usize], span);
            }
        }
        let net = sim.net();
        let heard = Arc::clone(journal);
        net.set_event_sink(Box::new(move |now, host, fact| {
            // Hosts were added in the order of pods.
            if let Ok(pod) = u32::try_from(host.index())
                && pod < pods
            {
                heard.hear(now, PodId(pod), fact);
            }
        }));
        Turmoil { net, hosts, stage }
    }

    fn host(&self, pod: PodId) -> HostId {
        self.hosts[pod.0 as usize]
    }
}

impl Ground for Turmoil {
    fn stage(&self) -> Env {
        self.net.env(self.stage)
    }

    fn env(&self, pod: PodId) -> Env {
        self.net.env(self.host(pod))
    }

    fn address(&self, pod: PodId) -> IpAddr {
        Addresses::SIMULATED.of(pod)
    }

    fn crash(&self, pod: PodId) {
        self.net.crash(self.host(pod));
    }

    fn restart(&self, pod: PodId) -> Env {
        self.net.restart(self.host(pod))
    }

    fn pause(&self, pod: PodId) {
        self.net.pause(self.host(pod));
    }

    fn resume(&self, pod: PodId) {
        self.net.resume(self.host(pod));
    }

    fn cut(&self, _from: &[PodId], _to: &[PodId]) -> Cut {
        unreachable!("a story with a partition was refused")
    }

    fn heal(&self, _cut: Cut) -> u64 {
        unreachable!("nothing was cut on this ground")
    }

    fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
        self.net.set_name(name, addresses);
    }

    fn set_epoch_origin(&self, zero: Time) {
        self.net.set_epoch_origin(zero);
    }
}

/// The story's latency from one pod to another.
pub(crate) fn latency(plot: &Plot, from: PodId, to: PodId) -> &Distribution {
    let (from, to) = (plot.pod(from), plot.pod(to));
    let story: &Story = &plot.story;
    let rules = &story.latency;
    let name = |pod: &shakedown_results::Pod| {
        let party = &plot.cast.parties[usize::from(pod.party.0)];
        party.name.clone()
    };
    let by_party = rules.parties.get(&(name(&from), name(&to)));
    let by_zone = || rules.zones.get(&(from.zone, to.zone));
    let region = |zone: u16| story.zones.get(usize::from(zone)).map(|zone| &zone.region);
    by_party.or_else(by_zone).unwrap_or({
        if from.zone == to.zone {
            &rules.same_zone
        } else if region(from.zone) == region(to.zone) {
            &rules.cross_zone
        } else {
            &rules.cross_region
        }
    })
}
