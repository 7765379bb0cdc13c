//! The judge's view of pods (identity, existence, readiness, requests in process and in the queue) and of the progress
//! of rollouts.

use std::collections::BTreeMap;

use shakedown_results::{Event, ParticipantId, ParticipantKind, Participants, PodId, Record};
use shakedown_types::CanaryPhase;

use crate::check::ParticipantSelector;
use crate::scenario::{ChaosAction, ResolvedScenario};
use crate::value::{self, ROLLED_BACK};

use super::outage::OutageState;
use super::span::TimeSpan;

/// 100% in parts per million.
pub(super) const ALL_PPM: i64 = 1_000_000;

/// The state of all pods, rollouts, ejections and breakers.
#[derive(Clone, Debug)]
pub(super) struct PodBoard {
    pods: Vec<PodState>,
    /// The limits of each service's versions: workers, cores.
    limits: Vec<Vec<(Option<u32>, Option<u32>)>>,
    kinds: Vec<ParticipantKind>,
    rollouts: BTreeMap<ParticipantId, RolloutState>,
    outage: OutageState,
    /// Names and starts of the run's faults.
    faults: Vec<(String, i64)>,
    /// The documents of each `apply` item.
    applies: BTreeMap<String, Vec<String>>,
}

/// The progress of a service's canary rollout.
#[derive(Clone, Debug, Default)]
struct RolloutState {
    /// The phase; `None` until one is reported.
    phase: Option<CanaryPhase>,
    /// The version of the last rollout.
    version: Option<u16>,
    /// The weights in force, in parts per million, of versions with a reported weight.
    weights: BTreeMap<u16, u32>,
}

#[derive(Clone, Copy, Debug)]
struct PodState {
    participant: ParticipantId,
    version: u16,
    replica: u32,
    zone: u16,
    meshed: bool,
    /// Requests that arrived and have not ended.
    present: u32,
    /// The part of these requests that is in the queue.
    waiting: u32,
    /// The time for which the pod exists.
    there: TimeSpan,
    is_ready: bool,
    /// True from a crash until the pod is ready again.
    is_dead: bool,
}

impl PodState {
    /// Returns true if a selector includes the pod. Without a participant, it includes those of all participants.
    fn is_selected(&self, by: &ParticipantSelector) -> bool {
        by.participant.is_none_or(|id| self.participant == id)
            && by.version.is_none_or(|version| self.version == version)
            && by.replica.is_none_or(|replica| self.replica == replica)
            && by.zone.is_none_or(|zone| self.zone == zone)
    }
}

/// The changes to a pod's counts by one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountChange {
    pub(super) pod: PodId,
    pub(super) present: i64,
    pub(super) waiting: i64,
    /// The change of the number of pods.
    pub(super) there: i64,
    /// The change of the number of ready pods.
    pub(super) ready: i64,
    /// True if the pod is ready again after a crash.
    pub(super) restarted: bool,
}

impl CountChange {
    fn new(pod: PodId) -> CountChange {
        CountChange {
            pod,
            present: 0,
            waiting: 0,
            there: 0,
            ready: 0,
            restarted: false,
        }
    }
}

impl PodBoard {
    pub(super) fn new(scenario: &ResolvedScenario, participants: &Participants) -> PodBoard {
        let limits = scenario
            .services
            .iter()
            .map(|service| {
                service
                    .versions
                    .iter()
                    .map(|v| (v.workers, v.cores))
                    .collect()
            })
            .collect();
        let mut board = PodBoard {
            pods: Vec::new(),
            limits,
            kinds: participants.list.iter().map(|p| p.kind).collect(),
            rollouts: BTreeMap::new(),
            outage: OutageState::default(),
            faults: participants
                .faults
                .iter()
                .map(|fault| (fault.name.clone(), fault.start_ns))
                .collect(),
            applies: applies(scenario),
        };
        for pod in &participants.pods {
            board.add(pod, i64::MIN, true);
        }
        board
    }

    fn add(&mut self, pod: &shakedown_results::Pod, from_ns: i64, is_ready: bool) {
        self.pods.push(PodState {
            participant: pod.participant,
            version: pod.version,
            replica: pod.replica,
            zone: pod.zone,
            meshed: pod.meshed,
            present: 0,
            waiting: 0,
            there: TimeSpan {
                from_ns,
                to_ns: i64::MAX,
            },
            is_ready,
            is_dead: false,
        });
    }

    /// Records an event and returns the changes to its pod's counts.
    pub(super) fn record(&mut self, record: &Record) -> Option<CountChange> {
        let (id, present, waiting) = match &record.event {
            Event::Arrived { pod, queued, .. } => (*pod, 1, i64::from(*queued)),
            Event::Queued { pod, .. } => (*pod, 0, 1),
            Event::Dequeued { pod, .. } => (*pod, 0, -1),
            Event::Served { pod, .. } => (*pod, -1, 0),
            _ => return self.change(record),
        };
        let pod = self.pods.get_mut(id.0 as usize)?;
        let before = (i64::from(pod.present), i64::from(pod.waiting));
        let shift =
            |count: u32, by: i64| u32::try_from((i64::from(count) + by).max(0)).unwrap_or(u32::MAX);
        pod.present = shift(pod.present, present);
        pod.waiting = shift(pod.waiting, waiting);
        if pod.present == 0 {
            // An idle pod has an empty queue. Otherwise a request may wait several times, in parallel steps.
            pod.waiting = 0;
        }
        Some(CountChange {
            pod: id,
            present: i64::from(pod.present) - before.0,
            waiting: i64::from(pod.waiting) - before.1,
            ..CountChange::new(id)
        })
    }

    /// Records an event that does not belong to a request.
    fn change(&mut self, record: &Record) -> Option<CountChange> {
        self.outage.record(&record.event);
        match &record.event {
            Event::PodAdded { pod } => {
                let id = PodId(u32::try_from(self.pods.len()).ok()?);
                self.add(pod, record.at_ns, false);
                Some(CountChange {
                    there: 1,
                    ..CountChange::new(id)
                })
            }
            Event::Ready { pod } => self.turn(*pod, true, false),
            Event::Crashed { pod } => self.turn(*pod, false, true),
            Event::Stopped { pod } => {
                let change = self.turn(*pod, false, false)?;
                let there = &mut self.pods.get_mut(pod.0 as usize)?.there;
                let was_there = there.to_ns == i64::MAX;
                there.to_ns = there.to_ns.min(record.at_ns);
                Some(CountChange {
                    there: -i64::from(was_there),
                    ..change
                })
            }
            Event::Canary {
                service,
                phase,
                version,
                ..
            } => {
                let rollout = self.rollouts.entry(*service).or_default();
                rollout.phase = Some(*phase);
                rollout.version = version.or(rollout.version);
                None
            }
            Event::Weight {
                service,
                version,
                ppm,
            } => {
                let rollout = self.rollouts.entry(*service).or_default();
                rollout.weights.insert(*version, *ppm);
                None
            }
            _ => None,
        }
    }

    /// Updates a pod that became ready, crashed or stopped.
    fn turn(&mut self, id: PodId, is_ready: bool, is_dead: bool) -> Option<CountChange> {
        let pod = self.pods.get_mut(id.0 as usize)?;
        let change = CountChange {
            ready: i64::from(is_ready) - i64::from(pod.is_ready),
            restarted: is_ready && pod.is_dead,
            ..CountChange::new(id)
        };
        (pod.is_ready, pod.is_dead) = (is_ready, is_dead);
        Some(change)
    }

    /// The phase of a service's canary, as a number.
    pub(super) fn canary(&self, participant: &ParticipantSelector) -> i64 {
        let rollout = participant
            .participant
            .and_then(|id| self.rollouts.get(&id));
        let Some(rollout) = rollout else { return 0 };
        let failed = rollout.phase == Some(CanaryPhase::Failed);
        // A version that never had any weight in force counts as rolled back.
        let weight = |version: u16| rollout.weights.get(&version).copied().unwrap_or(0);
        if failed && rollout.version.is_none_or(|version| weight(version) == 0) {
            ROLLED_BACK
        } else {
            let phase = rollout.phase.unwrap_or(CanaryPhase::Initializing);
            value::phase(phase)
        }
    }

    /// The weight of a version in force, in parts per million. Until one is reported, the first version has 100%.
    pub(super) fn weight(&self, participant: &ParticipantSelector) -> i64 {
        let (Some(service), Some(version)) = (participant.participant, participant.version) else {
            return 0;
        };
        let reported = self.rollouts.get(&service).map(|r| &r.weights);
        match reported {
            Some(weights) if !weights.is_empty() => {
                weights.get(&version).copied().map_or(0, i64::from)
            }
            _ if version == 0 => ALL_PPM,
            _ => 0,
        }
    }

    pub(super) const fn outage(&self) -> &OutageState {
        &self.outage
    }

    /// The number of pods of a service or part of it, and the number of ready ones.
    pub(super) fn pods_of(&self, participant: &ParticipantSelector) -> (i64, i64) {
        let (mut there, mut ready) = (0, 0);
        for (id, pod) in (0u32..).map(PodId).zip(&self.pods) {
            if self.is_of(id, participant) && pod.there.to_ns == i64::MAX {
                there += 1;
                ready += i64::from(pod.is_ready);
            }
        }
        (there, ready)
    }

    /// Returns true if a pod belongs to a service, load or part of it. `*` matches any service.
    pub(super) fn is_of(&self, id: PodId, participant: &ParticipantSelector) -> bool {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return false;
        };
        let kind = self.kinds.get(usize::from(pod.participant.0));
        let is_service = kind == Some(&ParticipantKind::Service);
        (participant.participant.is_some() || is_service) && pod.is_selected(participant)
    }

    /// Returns true if a pod may be the sender. Unlike [`is_of`](Self::is_of), `*` includes loads.
    pub(super) fn sent_by(&self, id: PodId, participant: &ParticipantSelector) -> bool {
        let pod = self.pods.get(id.0 as usize);
        pod.is_some_and(|pod| pod.is_selected(participant))
    }

    /// The service or load that a pod belongs to.
    pub(super) fn participant_of(&self, id: PodId) -> Option<ParticipantId> {
        self.pods.get(id.0 as usize).map(|pod| pod.participant)
    }

    /// The name and start of a fault.
    pub(super) fn fault(&self, index: u16) -> Option<(&String, i64)> {
        let (name, start_ns) = self.faults.get(usize::from(index))?;
        Some((name, *start_ns))
    }

    /// The `apply` item that most recently brought a document (e.g. `VirtualService/web`), up to a time.
    pub(super) fn applied_by(&self, document: &str, at_ns: i64) -> Option<&String> {
        let brings = |item: &String| {
            let documents = self.applies.get(item);
            documents.is_some_and(|documents| documents.iter().any(|known| known == document))
        };
        let started = self.faults.iter().filter(|(_, start)| *start <= at_ns);
        let brought = started.filter(|(item, _)| brings(item));
        brought.max_by_key(|(_, start)| start).map(|(item, _)| item)
    }

    pub(super) fn is_meshed(&self, id: PodId) -> bool {
        self.pods.get(id.0 as usize).is_some_and(|pod| pod.meshed)
    }

    pub(super) fn waiting(&self, id: PodId) -> u32 {
        self.pods.get(id.0 as usize).map_or(0, |pod| pod.waiting)
    }

    /// The workers and cores of a pod; `None` if unlimited.
    pub(super) fn limits(&self, id: PodId) -> (Option<u32>, Option<u32>) {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return (None, None);
        };
        let versions = self.limits.get(usize::from(pod.participant.0));
        versions
            .and_then(|versions| versions.get(usize::from(pod.version)))
            .copied()
            .unwrap_or((None, None))
    }

    /// The capacity of the matching pods (workers, or cores without workers) times the time for which they exist, ns.
    /// `None` if a pod has no limit or no pod exists.
    pub(super) fn capacity(
        &self,
        participant: &ParticipantSelector,
        span: TimeSpan,
    ) -> Option<i128> {
        let mut sum = 0;
        for (id, pod) in (0u32..).map(PodId).zip(&self.pods) {
            let from_ns = pod.there.from_ns.max(span.from_ns);
            let to_ns = pod.there.to_ns.min(span.to_ns);
            if from_ns < to_ns && self.is_of(id, participant) {
                let (workers, cores) = self.limits(id);
                sum += i128::from(workers.or(cores)?) * i128::from(to_ns - from_ns);
            }
        }
        (sum > 0).then_some(sum)
    }
}

/// The documents of each `apply` item.
fn applies(scenario: &ResolvedScenario) -> BTreeMap<String, Vec<String>> {
    let documents = scenario.chaos.iter().filter_map(|item| match &item.action {
        ChaosAction::Apply { documents, .. } => Some((item.name.clone(), documents)),
        _ => None,
    });
    let keys = documents.map(|(name, documents)| {
        let keys = documents.iter().map(|document| document.key().to_string());
        (name, keys.collect())
    });
    keys.collect()
}
