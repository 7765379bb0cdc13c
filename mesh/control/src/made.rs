//! Resources that not all proxies share, but all of one kind: made once for these.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::{Resources, Snapshot};

/// What was made for the kinds that have asked. It holds the newest push, and the one before as far as nobody has asked
/// again.
#[derive(Debug)]
pub(crate) struct MadeFor<K> {
    known: Mutex<BTreeMap<K, Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    push: u64,
    resources: Arc<Resources>,
}

impl<K> Default for MadeFor<K> {
    fn default() -> Self {
        MadeFor {
            known: Mutex::default(),
        }
    }
}

impl<K: Clone + Ord> MadeFor<K> {
    /// The resources of a kind in this push: those that are known, or what `make` gives, which sees those before. As long
    /// as they stay the same they are the same [`Arc`].
    pub(crate) fn of(
        &self,
        kind: &K,
        shared: &Snapshot,
        make: impl FnOnce(&Resources) -> Resources,
    ) -> Arc<Resources> {
        // What a panic in the middle leaves behind is a map that holds less.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(kind).cloned();
        if let Some(made) = &before
            && made.push == shared.push()
        {
            return Arc::clone(&made.resources);
        }
        let before = before.map(|made| made.resources).unwrap_or_default();
        let made = make(&before);
        let resources = match made.changes_from(&before).is_empty() {
            true => before,
            false => Arc::new(made),
        };
        // Kinds that have not been here for two pushes have gone, or are others now.
        known.retain(|_, made| made.push + 1 >= shared.push());
        let made = Made {
            push: shared.push(),
            resources: Arc::clone(&resources),
        };
        known.insert(kind.clone(), made);
        resources
    }
}
