//! The names that a check may use.

use std::collections::BTreeSet;

use shakedown_results::ParticipantId;

use crate::scenario::Path;

/// All names in a scenario that a check can refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckNames {
    /// Services in file order, then loads, as in the run's participants.
    pub(crate) participants: Vec<ParticipantNames>,
    pub(crate) zones: Vec<String>,
    pub(crate) chaos: Vec<ChaosSpan>,
    /// The end of the warm-up, ns.
    pub(crate) warm_up_ns: i64,
    /// The end of load and chaos, ns.
    pub(crate) duration_ns: i64,
    /// True if a part of the scenario is not supported, which was reported. Unknown names may then be valid.
    pub(crate) incomplete: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ParticipantNames {
    pub(crate) name: String,
    pub(crate) is_load: bool,
    /// Versions with the maximum number of replicas of each.
    pub(crate) versions: Vec<(String, u32)>,
    /// The declared endpoints of a service.
    pub(crate) endpoints: Vec<Path>,
    /// The entries of a load's mix; empty without `mix`.
    pub(crate) entries: Vec<String>,
    /// The services that it calls by name, in order of first mention.
    pub(crate) calls: Vec<ParticipantId>,
    /// Services to which routes lead its requests, or of services called by name from which routes lead
    /// them away.
    pub(crate) routed: BTreeSet<ParticipantId>,
}

/// A chaos item with its first start and last end, each `None` if it depends on the seed.
#[derive(Clone, Debug)]
pub(crate) struct ChaosSpan {
    pub(crate) name: String,
    pub(crate) start_ns: Option<i64>,
    pub(crate) end_ns: Option<i64>,
    /// True if the item takes effect at a single instant. `after` then refers to its start.
    pub(crate) is_instant: bool,
    /// True if the item applies mesh documents.
    pub(crate) applies: bool,
}

impl CheckNames {
    /// The participant with a name.
    pub(crate) fn find(&self, name: &str) -> Option<ParticipantId> {
        let mut all = (0..).map(ParticipantId).zip(&self.participants);
        let named = all.find(|(_, participant)| participant.name == name);
        named.map(|(id, _)| id)
    }

    pub(crate) fn get(&self, id: ParticipantId) -> &ParticipantNames {
        &self.participants[usize::from(id.0)]
    }

    pub(crate) fn zone(&self, name: &str) -> Option<u16> {
        self.zones
            .iter()
            .position(|zone| zone == name)
            .and_then(|at| u16::try_from(at).ok())
    }
}
