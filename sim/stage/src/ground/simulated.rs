//! The simulated world as a ground.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_engine::{HostId, HostSpec, Latency, Link, Net, Sim};
use shakedown_env::{Env, Time};
use shakedown_results::{Cast, PodId};
use shakedown_scenarios::story::{LatencyRules, Zone};
use shakedown_scenarios::value::Distribution;

use super::{Cut, Ground};
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::plot::Plot;

/// The stage's host, after all pods.
const STAGE: &str = "stage";

/// Hosts in the engine: a pod's host has the pod's number.
pub(crate) struct Simulated {
    net: Net,
    /// By pod.
    hosts: Vec<HostId>,
    stage: HostId,
}

impl Simulated {
    /// Puts the cast's hosts into an empty world.
    pub(crate) fn new(sim: &Sim, plot: &Plot, journal: &Arc<Journal>) -> Simulated {
        let net = sim.net();
        let cast = &plot.cast;
        let add = |name: String, address: IpAddr, zone: u16| {
            let _ = net.add_host(HostSpec {
                name: name.clone(),
                address,
                zone,
                request_cost: Duration::ZERO,
                handshake_cost: Duration::ZERO,
                cost_workers: 1,
            });
            net.host_id(&name).expect("the host was added just now")
        };
        let addresses = Addresses::SIMULATED;
        let hosts: Vec<HostId> = plot
            .pods()
            .map(|pod| add(cast.pod_name(pod), addresses.of(pod), plot.pod(pod).zone))
            .collect();
        let next = PodId(u32::try_from(hosts.len()).expect("pods are numbered in 32 bits"));
        let stage = add(STAGE.to_owned(), addresses.of(next), 0);
        net.set_link(link_rule(
            Arc::clone(cast),
            &plot.story.zones,
            &plot.story.latency,
        ));
        let heard = Arc::clone(journal);
        let pods = next.0;
        net.set_event_sink(Box::new(move |now, host, fact| {
            // Hosts were added in the order of pods.
            if let Ok(pod) = u32::try_from(host.index())
                && pod < pods
            {
                heard.hear(now, PodId(pod), fact);
            }
        }));
        Simulated { net, hosts, stage }
    }

    fn host(&self, pod: PodId) -> HostId {
        self.hosts[pod.0 as usize]
    }
}

impl Ground for Simulated {
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

    fn cut(&self, from: &[PodId], to: &[PodId]) -> Cut {
        let hosts = |pods: &[PodId]| pods.iter().map(|pod| self.host(*pod)).collect::<Vec<_>>();
        Cut::Simulated(self.net.partition(hosts(from), hosts(to)))
    }

    fn heal(&self, cut: Cut) -> u64 {
        match cut {
            Cut::Simulated(cut) => self.net.heal(cut),
            Cut::Real(_) => unreachable!("a cut is healed on the ground that made it"),
        }
    }

    fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
        self.net.set_name(name, addresses);
    }

    fn set_epoch_origin(&self, zero: Time) {
        self.net.set_epoch_origin(zero);
    }
}

/// The story's latencies, by hosts.
fn link_rule(
    cast: Arc<Cast>,
    zones: &[Zone],
    rules: &LatencyRules,
) -> Box<dyn Fn(HostId, HostId) -> Link + Send> {
    let regions: Vec<String> = zones.iter().map(|zone| zone.region.clone()).collect();
    let rules = rules.clone();
    Box::new(move |from, to| {
        let ends = cast.pods.get(from.index()).zip(cast.pods.get(to.index()));
        let Some((from, to)) = ends else {
            return Link::default();
        };
        let name =
            |party: shakedown_results::PartyId| cast.parties[usize::from(party.0)].name.clone();
        let parties = (name(from.party), name(to.party));
        let (a, b) = (from.zone, to.zone);
        let by_distance = || {
            if a == b {
                &rules.same_zone
            } else if regions.get(usize::from(a)) == regions.get(usize::from(b)) {
                &rules.cross_zone
            } else {
                &rules.cross_region
            }
        };
        let latency = rules
            .parties
            .get(&parties)
            .or_else(|| rules.zones.get(&(a, b)));
        let latency = latency.unwrap_or_else(by_distance);
        Link {
            latency: latency_of(latency),
            ..Link::default()
        }
    })
}

fn latency_of(distribution: &Distribution) -> Latency {
    match distribution.as_constant() {
        Some(nanos) => Latency::Constant(Duration::from_nanos(nanos)),
        None => {
            let distribution = distribution.clone();
            Latency::Drawn(Arc::new(move |rng| {
                Duration::from_nanos(distribution.sample_ns(rng))
            }))
        }
    }
}
