//! The names that a check may use.

use std::collections::BTreeSet;

use crate::story::Path;

/// Everything of a story that a check can name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// Services in the story's order, then loads: the cast's order.
    pub(crate) parties: Vec<PartyNames>,
    /// Zones in order.
    pub(crate) zones: Vec<String>,
    /// Chaos items.
    pub(crate) chaos: Vec<Span>,
    /// End of the warm-up, ns.
    pub(crate) warm_up_ns: i64,
    /// End of load and chaos, ns.
    pub(crate) duration_ns: i64,
    /// Part of the story is not supported, which was reported: unknown names may be right.
    pub(crate) incomplete: bool,
}

/// A service or a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartyNames {
    pub(crate) name: String,
    pub(crate) is_load: bool,
    /// Versions and how many replicas each has at most.
    pub(crate) versions: Vec<(String, u32)>,
    /// Declared endpoints of a service.
    pub(crate) endpoints: Vec<Path>,
    /// Entries of a load's mix; empty where it has none.
    pub(crate) entries: Vec<String>,
    /// Services that it calls by name, in order of first mention.
    pub(crate) calls: Vec<usize>,
    /// Services that routes lead its requests to or, of those that it calls by name, away from.
    pub(crate) routed: BTreeSet<usize>,
}

/// A chaos item and, where the file alone says them, its first start and last end.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) start_ns: Option<i64>,
    pub(crate) end_ns: Option<i64>,
    /// An instant, once: `after` it means after its start.
    pub(crate) is_instant: bool,
    /// Applies mesh documents.
    pub(crate) applies: bool,
}

impl Names {
    pub(crate) fn party(&self, name: &str) -> Option<usize> {
        self.parties.iter().position(|party| party.name == name)
    }

    pub(crate) fn zone(&self, name: &str) -> Option<u16> {
        self.zones
            .iter()
            .position(|zone| zone == name)
            .and_then(|at| u16::try_from(at).ok())
    }
}
