//! What the judge knows of pods: who they are, and how many requests each has in hand and in its queue.

use shakedown_results::{Cast, Event, PartyId, PodId, Record};

use crate::check::Party;
use crate::story::Story;

/// All pods.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pods: Vec<PodState>,
    /// Limits of each service's versions: workers, cores.
    limits: Vec<Vec<(Option<u32>, Option<u32>)>>,
    services: u16,
}

#[derive(Clone, Copy, Debug)]
struct PodState {
    party: PartyId,
    version: u16,
    replica: u32,
    zone: u16,
    /// Requests that arrived and are not over.
    present: u32,
    /// Those of them in the queue.
    waiting: u32,
}

/// How a pod's counts changed by one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) pod: PodId,
    pub(super) present: i64,
    pub(super) waiting: i64,
}

impl Board {
    pub(super) fn new(story: &Story, cast: &Cast) -> Board {
        let limits = story
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
        let mut board = Board {
            pods: Vec::new(),
            limits,
            services: u16::try_from(story.services.len())
                .expect("parties are bounded when the story is read"),
        };
        for pod in &cast.pods {
            board.add(pod);
        }
        board
    }

    fn add(&mut self, pod: &shakedown_results::Pod) {
        self.pods.push(PodState {
            party: pod.party,
            version: pod.version,
            replica: pod.replica,
            zone: pod.zone,
            present: 0,
            waiting: 0,
        });
    }

    /// Follows an event.
    pub(super) fn record(&mut self, record: &Record) -> Option<Change> {
        let (id, present, waiting) = match &record.event {
            Event::Arrived { pod, queued, .. } => (*pod, 1, i64::from(*queued)),
            Event::Dequeued { pod } => (*pod, 0, -1),
            Event::Served { pod, .. } => (*pod, -1, 0),
            Event::PodAdded { pod } => {
                self.add(pod);
                return None;
            }
            _ => return None,
        };
        let pod = self.pods.get_mut(id.0 as usize)?;
        let before = (i64::from(pod.present), i64::from(pod.waiting));
        let shift =
            |count: u32, by: i64| u32::try_from((i64::from(count) + by).max(0)).unwrap_or(u32::MAX);
        pod.present = shift(pod.present, present);
        // What ended while it waited (its pod died) left the queue without a word.
        pod.waiting = shift(pod.waiting, waiting).min(pod.present);
        Some(Change {
            pod: id,
            present: i64::from(pod.present) - before.0,
            waiting: i64::from(pod.waiting) - before.1,
        })
    }

    /// Whether a pod is of a party (or the part that is meant). `*` means any service.
    pub(super) fn is_of(&self, id: PodId, party: &Party) -> bool {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return false;
        };
        party
            .party
            .map_or(pod.party.0 < self.services, |index| pod.party.0 == index)
            && party.version.is_none_or(|version| pod.version == version)
            && party.replica.is_none_or(|replica| pod.replica == replica)
            && party.zone.is_none_or(|zone| pod.zone == zone)
    }

    /// As [`is_of`](Self::is_of), where `*` is anybody, loads too: the sender of something.
    pub(super) fn sent_by(&self, id: PodId, party: &Party) -> bool {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return false;
        };
        party.party.is_none_or(|index| pod.party.0 == index)
            && party.version.is_none_or(|version| pod.version == version)
            && party.replica.is_none_or(|replica| pod.replica == replica)
            && party.zone.is_none_or(|zone| pod.zone == zone)
    }

    /// Index of the party that a pod belongs to.
    pub(super) fn party_of(&self, id: PodId) -> Option<usize> {
        self.pods
            .get(id.0 as usize)
            .map(|pod| usize::from(pod.party.0))
    }

    /// How many requests a pod has in its queue.
    pub(super) fn waiting(&self, id: PodId) -> u32 {
        self.pods.get(id.0 as usize).map_or(0, |pod| pod.waiting)
    }

    /// Workers and cores of a pod, where limited.
    pub(super) fn limits(&self, id: PodId) -> (Option<u32>, Option<u32>) {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return (None, None);
        };
        let versions = self.limits.get(usize::from(pod.party.0));
        versions
            .and_then(|versions| versions.get(usize::from(pod.version)))
            .copied()
            .unwrap_or((None, None))
    }

    /// What the pods of a party can do at once: workers, or cores without them. `None` when one of them is not limited, or
    /// there is none.
    pub(super) fn capacity(&self, party: &Party) -> Option<u64> {
        let mut sum = 0u64;
        for index in 0..self.pods.len() {
            let id = PodId(u32::try_from(index).ok()?);
            if self.is_of(id, party) {
                let (workers, cores) = self.limits(id);
                sum += u64::from(workers.or(cores)?);
            }
        }
        (sum > 0).then_some(sum)
    }
}
