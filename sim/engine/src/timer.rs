//! What happens later: a heap of (time, sequence), so that what falls on one instant happens in the order in which it was
//! asked for. Entries can be cancelled: the entry goes at once, its place in the heap when it surfaces, or in a sweep when
//! cancelled places are the majority (hyper leaves one a request).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use shakedown_env::Time;

use crate::arena::{Arena, Key};

/// Cancelled places that are tolerated before the heap is swept, however few the live ones are.
const SWEEP_FLOOR: usize = 256;

pub(crate) struct Timers<T> {
    heap: BinaryHeap<Reverse<Place>>,
    entries: Arena<T>,
    sequence: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: Time,
    sequence: u64,
    key: Key,
}

impl<T> Timers<T> {
    pub(crate) const fn new() -> Timers<T> {
        Timers {
            heap: BinaryHeap::new(),
            entries: Arena::new(),
            sequence: 0,
        }
    }

    pub(crate) fn insert(&mut self, at: Time, entry: T) -> Key {
        let key = self.entries.insert(entry);
        self.heap.push(Reverse(Place {
            at,
            sequence: self.sequence,
            key,
        }));
        self.sequence += 1;
        key
    }

    /// Takes an entry back; `None` when it has already happened.
    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.remove(key)?;
        if self.heap.len() > 2 * self.entries.len() + SWEEP_FLOOR {
            let entries = &self.entries;
            self.heap
                .retain(|Reverse(place)| entries.contains(place.key));
        }
        Some(entry)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    /// When the next entry happens.
    pub(crate) fn next_time(&mut self) -> Option<Time> {
        while let Some(Reverse(place)) = self.heap.peek() {
            if self.entries.contains(place.key) {
                return Some(place.at);
            }
            self.heap.pop();
        }
        None
    }

    /// The next entry that happens at `now` or before it.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<T> {
        while let Some(Reverse(place)) = self.heap.peek() {
            if place.at > now {
                return None;
            }
            let key = place.key;
            self.heap.pop();
            if let Some(entry) = self.entries.remove(key) {
                return Some(entry);
            }
        }
        None
    }

    /// Entries that are still to happen.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn entries_of_one_instant_come_in_the_order_in_which_they_were_asked_for() {
        let mut timers = Timers::new();
        timers.insert(at(7), "late");
        timers.insert(at(5), "first");
        timers.insert(at(5), "second");
        assert_eq!(timers.next_time(), Some(at(5)));
        assert_eq!(timers.pop_due(at(5)), Some("first"));
        assert_eq!(timers.pop_due(at(5)), Some("second"));
        assert_eq!(timers.pop_due(at(5)), None);
        assert_eq!(timers.pop_due(at(9)), Some("late"));
    }

    #[test]
    fn a_cancelled_entry_does_not_happen() {
        let mut timers = Timers::new();
        let first = timers.insert(at(1), 1);
        timers.insert(at(2), 2);
        assert_eq!(timers.cancel(first), Some(1));
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.next_time(), Some(at(2)));
        assert_eq!(timers.pop_due(at(9)), Some(2));
        assert_eq!(timers.next_time(), None);
    }

    #[test]
    fn cancelled_entries_do_not_pile_up_in_the_heap() {
        let mut timers = Timers::new();
        timers.insert(at(1), 0);
        for round in 0..100_000 {
            let key = timers.insert(at(1_000_000 + round), 1);
            timers.cancel(key);
        }
        assert_eq!(timers.len(), 1);
        assert!(
            timers.heap.len() <= SWEEP_FLOOR + 4,
            "{} places",
            timers.heap.len()
        );
    }
}
