//! Maps by name that share equal chunks with each other.
//!
//! The proxies of a mesh have nearly the same clusters, each with a few of its own. A map is a list of chunks sorted
//! by name, and chunk boundaries depend on the names alone. Maps with nearly the same content therefore have nearly
//! the same chunks, which [`Chunks`] lets them share.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The average number of elements per chunk. A new chunk begins at each name whose hash is a multiple of this.
const CHUNK_LENGTH: u64 = 32;
/// The minimum number of known chunks before dropped ones are swept.
const SWEEP_MIN: usize = 64;

pub trait NamedValue {
    fn name(&self) -> &str;
}

impl NamedValue for str {
    fn name(&self) -> &str {
        self
    }
}

/// A map from names to values, sorted by name. Clones share the values.
pub struct NameMap<T: ?Sized> {
    /// Never contains an empty chunk.
    chunks: Vec<Chunk<T>>,
    length: usize,
}

type Chunk<T> = Arc<[Arc<T>]>;

impl<T: NamedValue + ?Sized> NameMap<T> {
    /// Builds a map from values that are sorted by name and have unique names.
    pub fn from_sorted(values: impl IntoIterator<Item = Arc<T>>) -> NameMap<T> {
        let mut chunks = Vec::new();
        split(values, &mut chunks);
        chunks.shrink_to_fit();
        let length = chunks.iter().map(|chunk| chunk.len()).sum();
        NameMap { chunks, length }
    }

    /// Returns the value with the given name.
    pub fn get(&self, name: &str) -> Option<&Arc<T>> {
        let chunk = &self.chunks[self.chunk_of(name)?];
        let at = chunk
            .binary_search_by(|value| value.name().cmp(name))
            .ok()?;
        Some(&chunk[at])
    }

    /// Returns true if there is a value with the given name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Inserts a value, and returns the previous one of the same name.
    pub fn put(&mut self, value: Arc<T>) -> Option<Arc<T>> {
        let Some(index) = self
            .chunk_of(value.name())
            .or((!self.is_empty()).then_some(0))
        else {
            self.chunks.push(Arc::new([value]));
            self.length = 1;
            return None;
        };
        let chunk = &self.chunks[index];
        let found = chunk.binary_search_by(|known| known.name().cmp(value.name()));
        let mut values = chunk.to_vec();
        let before = match found {
            Ok(at) => Some(std::mem::replace(&mut values[at], value)),
            Err(at) => {
                values.insert(at, value);
                self.length += 1;
                None
            }
        };
        self.replace(index, 1, values);
        before
    }

    /// Removes the value with the given name, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Arc<T>> {
        let index = self.chunk_of(name)?;
        let chunk = &self.chunks[index];
        let at = chunk
            .binary_search_by(|value| value.name().cmp(name))
            .ok()?;
        let mut values = chunk.to_vec();
        let gone = values.remove(at);
        self.length -= 1;
        if at == 0 && index > 0 {
            // The rest of the chunk is joined to the previous one, as its new first name is not a chunk
            // boundary.
            let before = self.chunks[index - 1].iter().cloned();
            values = before.chain(values).collect();
            self.replace(index - 1, 2, values);
        } else {
            self.replace(index, 1, values);
        }
        Some(gone)
    }

    /// Removes all values for which `keep` returns false.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let kept = self.values().filter(|value| keep(value)).cloned();
        *self = NameMap::from_sorted(kept);
    }

    /// All values, sorted by name.
    pub fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns true if the map is empty.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Replaces chunks by the equal chunks of other maps that were shared through `known`.
    pub fn share(&mut self, known: &ChunkStore<T>) {
        for chunk in &mut self.chunks {
            known.share(chunk);
        }
    }

    /// The last chunk whose first name is not greater than the given one.
    fn chunk_of(&self, name: &str) -> Option<usize> {
        let later = self.chunks.partition_point(|chunk| chunk[0].name() <= name);
        later.checked_sub(1)
    }

    /// Replaces `chunks` chunks from `index` on by the given values.
    fn replace(&mut self, index: usize, chunks: usize, values: Vec<Arc<T>>) {
        let mut now = Vec::with_capacity(1);
        split(values, &mut now);
        drop(self.chunks.splice(index..index + chunks, now));
    }
}

/// Splits values into chunks.
fn split<T: NamedValue + ?Sized>(
    values: impl IntoIterator<Item = Arc<T>>,
    chunks: &mut Vec<Chunk<T>>,
) {
    let mut chunk: Vec<Arc<T>> = Vec::new();
    for value in values {
        if !chunk.is_empty() && begins_chunk(value.name()) {
            chunks.push(chunk.drain(..).collect());
        }
        chunk.push(value);
    }
    if !chunk.is_empty() {
        chunks.push(chunk.into());
    }
}

fn begins_chunk(name: &str) -> bool {
    hash(name.bytes().map(u64::from)).is_multiple_of(CHUNK_LENGTH)
}

/// FNV-1a, followed by a bit mixer.
fn hash(parts: impl Iterator<Item = u64>) -> u64 {
    let hash = parts.fold(0xcbf2_9ce4_8422_2325, |hash: u64, part| {
        (hash ^ part).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

impl<T: ?Sized> Clone for NameMap<T> {
    fn clone(&self) -> Self {
        NameMap {
            chunks: self.chunks.clone(),
            length: self.length,
        }
    }
}

impl<T: ?Sized> Default for NameMap<T> {
    fn default() -> Self {
        NameMap {
            chunks: Vec::new(),
            length: 0,
        }
    }
}

impl<T: NamedValue + ?Sized> Index<&str> for NameMap<T> {
    type Output = Arc<T>;

    fn index(&self, name: &str) -> &Arc<T> {
        self.get(name).expect("a value of this name exists")
    }
}

impl<T: NamedValue + ?Sized + fmt::Debug> fmt::Debug for NameMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values().map(|value| (value.name(), value));
        f.debug_map().entries(values).finish()
    }
}

/// The known chunks of all maps, by which equal chunks are replaced by the same [`Arc`]. Contains weak references
/// only.
///
/// Bound: twice the number of entries left after the last sweep, and at least `SWEEP_MIN`.
pub struct ChunkStore<T: ?Sized>(Mutex<KnownChunks<T>>);

struct KnownChunks<T: ?Sized> {
    /// By the hash of the element pointers. If two chunks have the same hash, the later one replaces the earlier one.
    by_hash: BTreeMap<u64, Weak<[Arc<T>]>>,
    /// The number of entries at which dropped chunks are removed.
    sweep_at: usize,
}

impl<T: ?Sized> ChunkStore<T> {
    /// Replaces the chunk by the known one with the same elements, or adds it to the known ones.
    fn share(&self, chunk: &mut Chunk<T>) {
        let pointer = |value: &Arc<T>| Arc::as_ptr(value).cast::<()>();
        let hash = hash(chunk.iter().map(|value| pointer(value).addr() as u64));
        // The data is consistent even after a panic, because every change is a single call.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.by_hash.get(&hash).and_then(Weak::upgrade) {
            let is_same = |(one, other): (&Arc<T>, &Arc<T>)| pointer(one) == pointer(other);
            if same.len() == chunk.len() && same.iter().zip(chunk.iter()).all(is_same) {
                *chunk = same;
                return;
            }
        }
        if known.by_hash.len() >= known.sweep_at {
            known.by_hash.retain(|_, chunk| chunk.strong_count() > 0);
            known.sweep_at = SWEEP_MIN.max(2 * known.by_hash.len());
        }
        known.by_hash.insert(hash, Arc::downgrade(chunk));
    }
}

impl<T: ?Sized> Default for ChunkStore<T> {
    fn default() -> Self {
        ChunkStore(Mutex::new(KnownChunks {
            by_hash: BTreeMap::new(),
            sweep_at: SWEEP_MIN,
        }))
    }
}

impl<T: ?Sized> fmt::Debug for ChunkStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(numbers: impl IntoIterator<Item = u16>) -> NameMap<str> {
        let mut map = NameMap::default();
        for number in numbers {
            map.put(Arc::from(name(number)));
        }
        map
    }

    fn name(number: u16) -> String {
        format!("outbound|80||service-{number}")
    }

    #[test]
    fn maps_that_differ_in_one_name_share_all_chunks_but_its_own() {
        let values: Vec<Arc<str>> = names(0..1000).values().cloned().collect();
        let chunks = ChunkStore::default();
        let mut one = NameMap::from_sorted(values.iter().cloned());
        one.share(&chunks);
        let mut other = NameMap::from_sorted(values);
        other.put(Arc::from("outbound|80||service-5-own"));
        other.share(&chunks);
        assert!((20..50).contains(&one.chunks.len()), "{}", one.chunks.len());
        let shared =
            |chunk: &&Chunk<str>| other.chunks.iter().any(|known| Arc::ptr_eq(known, chunk));
        assert!(one.chunks.iter().filter(shared).count() + 1 >= one.chunks.len());
    }

    #[test]
    fn chunks_go_with_the_last_map_that_has_them() {
        let chunks = ChunkStore::default();
        for round in 0..100u16 {
            let mut map = names(round * 100..round * 100 + 100);
            map.share(&chunks);
        }
        assert!(chunks.0.lock().unwrap().by_hash.len() <= 2 * SWEEP_MIN);
    }

    proptest! {
        #[test]
        fn a_map_has_the_entries_inserted_and_not_removed_for_any_history(
            steps in prop::collection::vec((any::<bool>(), 0..300u16), 0..400),
        ) {
            let mut map: NameMap<str> = NameMap::default();
            let mut expected = BTreeMap::new();
            for (put, number) in steps {
                let name = name(number);
                if put {
                    let value: Arc<str> = Arc::from(name.as_str());
                    prop_assert_eq!(map.put(Arc::clone(&value)), expected.insert(name, value));
                } else {
                    prop_assert_eq!(map.remove(&name), expected.remove(&name));
                }
            }
            prop_assert_eq!(map.len(), expected.len());
            prop_assert!(map.values().eq(expected.values()));
            for number in 0..300 {
                prop_assert_eq!(map.get(&name(number)), expected.get(&name(number)));
            }
            let straight = NameMap::from_sorted(expected.into_values());
            let lengths = |map: &NameMap<str>| -> Vec<usize> {
                map.chunks.iter().map(|chunk| chunk.len()).collect()
            };
            prop_assert_eq!(lengths(&map), lengths(&straight));
        }
    }
}
