//! The participants of a run: tables that the small numbers of a [`Record`](crate::Record) index.

use serde::{Deserialize, Serialize};

/// Index of a participant in [`Participants::list`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParticipantId(pub u16);

/// Index of a pod in [`Participants::pods`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodId(pub u32);

/// All participants of a run. Known before it starts, except for pods added later
/// ([`Event::PodAdded`](crate::Event::PodAdded)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participants {
    /// Services in the file's order, then loads in the file's order, then the control plane, then hosts
    /// without a service.
    pub list: Vec<Participant>,
    /// Pods of services (by service, version, replica), then of loads, then of the control plane, then those
    /// added during the run.
    pub pods: Vec<Pod>,
    /// Zone names, in the file's order.
    pub zones: Vec<String>,
    /// The faults planned for this seed, by start time. An item with `every` yields several of the same name.
    pub faults: Vec<PlannedFault>,
    /// End of the warm-up, ns from 0 s.
    pub warm_up_ns: i64,
    /// End of load and chaos, ns from 0 s.
    pub duration_ns: i64,
}

/// The kind of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParticipantKind {
    /// An application service.
    Service,
    /// A load: a stream of requests.
    Load,
    /// The control plane.
    Control,
    /// A host that is called but belongs to no service.
    Host,
}

/// A service, a load, the control plane, or a host without a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Name in the scenario.
    pub name: String,
    /// Kind of the participant.
    pub kind: ParticipantKind,
    /// Version names, the stable one first; empty for a load.
    pub versions: Vec<String>,
    /// `METHOD /path` as declared; for a load the names of its mix (one unnamed entry without a mix).
    pub endpoints: Vec<String>,
    /// Maximum number of concurrent requests per replica; `None` if unlimited. If set, `busy` counts workers.
    pub workers: Option<u32>,
    /// Cores per replica; `None` if unlimited. Without workers, `busy` counts cores.
    pub cores: Option<u32>,
}

/// A host of the run: a replica of a service, a client of a load, or the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The participant that the pod belongs to.
    pub participant: ParticipantId,
    /// Index into the participant's versions.
    pub version: u16,
    /// Number of the replica within its version, from 0.
    pub replica: u32,
    /// Index into [`Participants::zones`].
    pub zone: u16,
    /// True if the pod has a sidecar.
    pub meshed: bool,
}

/// A fault with the times drawn from the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Name of the chaos item (`chaos.2` if it has none).
    pub name: String,
    /// Description for reports: `crash api/v1/3`.
    pub what: String,
    /// Start, ns from 0 s.
    pub start_ns: i64,
    /// Latest end, ns from 0 s; the run may end earlier. `None`: the end of the run.
    pub end_ns: Option<i64>,
    /// True if the fault may hit nothing without making the run invalid.
    pub may_miss: bool,
}

impl Participants {
    /// All participants with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ParticipantId, &Participant)> {
        (0..).map(ParticipantId).zip(&self.list)
    }

    /// Returns a participant.
    ///
    /// # Panics
    /// If the participant does not belong to this run, which is a bug.
    pub fn get(&self, id: ParticipantId) -> &Participant {
        &self.list[usize::from(id.0)]
    }

    /// Returns the id of the participant with this name.
    pub fn find(&self, name: &str) -> Option<ParticipantId> {
        let named = self
            .iter()
            .find(|(_, participant)| participant.name == name);
        named.map(|(id, _)| id)
    }

    /// Returns a pod's name: `reviews/v2/0`, or `users/0` for a load's client.
    pub fn pod_name(&self, id: PodId) -> String {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return format!("pod {}", id.0);
        };
        self.name(pod)
    }

    /// Returns the name of a pod, which may have been added during the run.
    ///
    /// # Panics
    /// If its participant does not belong to this run, which is a bug.
    pub fn name(&self, pod: &Pod) -> String {
        let participant = self.get(pod.participant);
        match participant.versions.get(usize::from(pod.version)) {
            Some(version) => format!("{}/{}/{}", participant.name, version, pod.replica),
            None => format!("{}/{}", participant.name, pod.replica),
        }
    }

    /// Returns the participant that a pod belongs to.
    ///
    /// # Panics
    /// If the pod does not belong to this run, which is a bug.
    pub fn participant_of(&self, id: PodId) -> ParticipantId {
        self.pods[id.0 as usize].participant
    }
}
