//! What not all proxies share, but all of one kind: made once for these.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::Snapshot;

/// What was made for the kinds that have asked. It holds the newest push, and the one before as far as nobody has asked
/// again.
#[derive(Debug)]
pub(crate) struct MadeFor<K, V> {
    known: Mutex<BTreeMap<K, Made<V>>>,
}

#[derive(Debug)]
struct Made<V> {
    push: u64,
    value: Arc<V>,
}

impl<K, V> Default for MadeFor<K, V> {
    fn default() -> Self {
        MadeFor {
            known: Mutex::default(),
        }
    }
}

impl<K: Clone + Ord, V: Default + PartialEq> MadeFor<K, V> {
    /// What there is for a kind in this push: what is known, or what `make` gives, which sees what was before. As long as it
    /// stays the same it is the same [`Arc`].
    pub(crate) fn of(&self, kind: &K, shared: &Snapshot, make: impl FnOnce(&V) -> V) -> Arc<V> {
        // What a panic in the middle leaves behind is a map that holds less.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(kind);
        if let Some(made) = before
            && made.push == shared.push()
        {
            return Arc::clone(&made.value);
        }
        let before = before.map(|made| Arc::clone(&made.value));
        let before = before.unwrap_or_default();
        let made = make(&before);
        let value = match made == *before {
            true => before,
            false => Arc::new(made),
        };
        // Kinds that have not been here for two pushes have gone, or are others now.
        known.retain(|_, made| made.push + 1 >= shared.push());
        let made = Made {
            push: shared.push(),
            value: Arc::clone(&value),
        };
        known.insert(kind.clone(), made);
        value
    }
}
