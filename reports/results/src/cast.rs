//! Who takes part in a run: the tables that the small numbers of a [`Record`](crate::Record) point into.

use serde::{Deserialize, Serialize};

/// Index of a party in [`Cast::parties`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartyId(pub u16);

/// Index of a pod in [`Cast::pods`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodId(pub u32);

/// Everybody in a run. Known before it starts; a run only appends pods ([`Event::PodAdded`](crate::Event::PodAdded)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// Services in the file's order, then loads in the file's order, then the control plane, then hosts without a service.
    pub parties: Vec<Party>,
    /// All pods: of services (by service, version, replica), of loads, of the control plane.
    pub pods: Vec<Pod>,
    /// Zone names.
    pub zones: Vec<String>,
    /// The faults as this seed has them, in the order in which they start; several of one name for `every`.
    pub faults: Vec<PlannedFault>,
    /// End of the warm-up, ns.
    pub warm_up_ns: i64,
    /// End of load and chaos, ns.
    pub duration_ns: i64,
}

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyKind {
    /// An application service.
    Service,
    /// A stream of requests.
    Load,
    /// The control plane.
    Control,
    /// A host that is asked for although no service has it.
    Host,
}

/// A service, a load, the control plane, or a host without a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its name in the scenario.
    pub name: String,
    /// What it is.
    pub kind: PartyKind,
    /// Version names, the stable one first; empty for a load.
    pub versions: Vec<String>,
    /// `METHOD /path` as declared; for a load the names of its mix (one unnamed entry without a mix).
    pub endpoints: Vec<String>,
    /// Requests in hand at once per replica, where limited: `busy` counts workers.
    pub workers: Option<u32>,
    /// Cores per replica, where limited: `busy` counts cores when there are no workers.
    pub cores: Option<u32>,
}

/// One host of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Whose replica it is.
    pub party: PartyId,
    /// Index into the party's versions.
    pub version: u16,
    /// Which replica of that version, from 0.
    pub replica: u32,
    /// Index into [`Cast::zones`].
    pub zone: u16,
    /// Has a sidecar.
    pub meshed: bool,
}

/// A fault with the times that the seed drew for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// The chaos item's name (`chaos.2` when it has none).
    pub name: String,
    /// What it does, in words for a report: `crash api/v1/3`.
    pub what: String,
    /// When it starts, ns.
    pub start_ns: i64,
    /// When it is undone, ns, at the latest: the run may be over before. `None`: at the end of the run.
    pub end_ns: Option<i64>,
    /// May touch nothing without making the run invalid.
    pub may_miss: bool,
}

impl Cast {
    /// The party of a name.
    pub fn party(&self, name: &str) -> Option<PartyId> {
        let at = self.parties.iter().position(|p| p.name == name)?;
        u16::try_from(at).ok().map(PartyId)
    }

    /// A pod's name: `reviews/v2/0`, or `users/0` for a load's client.
    pub fn pod_name(&self, id: PodId) -> String {
        let Some(pod) = self.pods.get(id.0 as usize) else {
            return format!("pod {}", id.0);
        };
        let party = &self.parties[usize::from(pod.party.0)];
        match party.versions.get(usize::from(pod.version)) {
            Some(version) => format!("{}/{}/{}", party.name, version, pod.replica),
            None => format!("{}/{}", party.name, pod.replica),
        }
    }

    /// The party that a pod belongs to.
    ///
    /// # Panics
    /// When the pod is not of this cast, which is a bug.
    pub fn party_of(&self, id: PodId) -> PartyId {
        self.pods[id.0 as usize].party
    }
}
