//! The scenario's latencies, by pod: the same rules on every backend.

use std::sync::Arc;

use shakedown_results::{Participants, Pod, PodId};
use shakedown_scenarios::scenario::LatencyRules;
use shakedown_scenarios::value::Distribution;

use crate::run_context::RunContext;

/// The one-way latencies between the pods that existed when it was created, and those added with
/// [`Latencies::add`].
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    rules: LatencyRules,
    /// Region names, by zone.
    regions: Vec<String>,
    participants: Arc<Participants>,
    pods: Vec<Pod>,
}

impl Latencies {
    pub(crate) fn new(context: &RunContext) -> Latencies {
        let zones = context.scenario.zones.iter();
        Latencies {
            rules: context.scenario.latency.clone(),
            regions: zones.map(|zone| zone.region.clone()).collect(),
            participants: Arc::clone(&context.participants),
            pods: context.roster(),
        }
    }

    /// Adds the next pod, in pod order.
    pub(crate) fn add(&mut self, pod: Pod) {
        self.pods.push(pod);
    }

    /// Returns the latency from one pod to another; `None` if either host is not a pod.
    pub(crate) fn between(&self, from: PodId, to: PodId) -> Option<&Distribution> {
        let pod_of = |pod: PodId| self.pods.get(pod.0 as usize);
        let (from, to) = pod_of(from).zip(pod_of(to))?;
        let name = |pod: &Pod| self.participants.get(pod.participant).name.clone();
        let by_participant = self.rules.participants.get(&(name(from), name(to)));
        let by_zone = || self.rules.zones.get(&(from.zone, to.zone));
        let region = |zone: u16| self.regions.get(usize::from(zone));
        Some(by_participant.or_else(by_zone).unwrap_or({
            if from.zone == to.zone {
                &self.rules.same_zone
            } else if region(from.zone) == region(to.zone) {
                &self.rules.cross_zone
            } else {
                &self.rules.cross_region
            }
        }))
    }
}
