//! A cache of resources that are not shared by all proxies, but by all with the same key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::ConfigSnapshot;

/// The cached values by key. It contains the values of the newest push, and those of the push before that have not been
/// requested again.
#[derive(Debug)]
pub(crate) struct KeyedCache<K, V> {
    known: Mutex<BTreeMap<K, CachedValue<V>>>,
}

#[derive(Debug)]
struct CachedValue<V> {
    push: u64,
    value: Arc<V>,
}

impl<K, V> Default for KeyedCache<K, V> {
    fn default() -> Self {
        KeyedCache {
            known: Mutex::default(),
        }
    }
}

impl<K: Clone + Ord, V: Default + PartialEq> KeyedCache<K, V> {
    /// Returns the value of a key in this push. If it is not cached, `make` builds it and receives the previous value.
    /// A value that equals the previous one keeps the same [`Arc`].
    pub(crate) fn get_or_make(
        &self,
        kind: &K,
        shared: &ConfigSnapshot,
        make: impl FnOnce(&V) -> V,
    ) -> Arc<V> {
        // If a panic poisoned the lock, the map only lacks an entry.
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
        let value = if made == *before {
            before
        } else {
            Arc::new(made)
        };
        // Keys that were not requested for two pushes belong to proxies that have disconnected or changed.
        known.retain(|_, made| made.push + 1 >= shared.push());
        let made = CachedValue {
            push: shared.push(),
            value: Arc::clone(&value),
        };
        known.insert(kind.clone(), made);
        value
    }
}
