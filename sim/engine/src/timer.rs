//! Pending events in a heap of (time, sequence), so that events of the same instant happen in the order in
//! which they were scheduled.
//!
//! Entries can be cancelled. A cancelled entry is removed at once, but its place in the heap only when it
//! becomes the first, or in a sweep when most places are cancelled (hyper cancels one per request).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use shakedown_env::Time;

use crate::arena::{Arena, ArenaKey};

/// Number of cancelled places that are tolerated before a sweep, even if there are few live ones.
const SWEEP_FLOOR: usize = 256;

pub(crate) struct TimerHeap<T> {
    heap: BinaryHeap<Reverse<TimerSlot>>,
    entries: Arena<T>,
    sequence: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct TimerSlot {
    at: Time,
    sequence: u64,
    key: ArenaKey,
}

impl<T> TimerHeap<T> {
    pub(crate) const fn new() -> TimerHeap<T> {
        TimerHeap {
            heap: BinaryHeap::new(),
            entries: Arena::new(),
            sequence: 0,
        }
    }

    pub(crate) fn insert(&mut self, at: Time, entry: T) -> ArenaKey {
        let key = self.entries.insert(entry);
        self.heap.push(Reverse(TimerSlot {
            at,
            sequence: self.sequence,
            key,
        }));
        self.sequence += 1;
        key
    }

    /// Cancels an entry and returns it; `None` if it has already happened.
    pub(crate) fn cancel(&mut self, key: ArenaKey) -> Option<T> {
        let entry = self.entries.remove(key)?;
        if self.heap.len() > 2 * self.entries.len() + SWEEP_FLOOR {
            let entries = &self.entries;
            self.heap.retain(|Reverse(slot)| entries.contains(slot.key));
        }
        Some(entry)
    }

    pub(crate) fn get_mut(&mut self, key: ArenaKey) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    /// Time of the next entry.
    pub(crate) fn next_time(&mut self) -> Option<Time> {
        while let Some(Reverse(slot)) = self.heap.peek() {
            if self.entries.contains(slot.key) {
                return Some(slot.at);
            }
            self.heap.pop();
        }
        None
    }

    /// Removes and returns the next entry at or before `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<T> {
        while let Some(Reverse(slot)) = self.heap.peek() {
            if slot.at > now {
                return None;
            }
            let key = slot.key;
            self.heap.pop();
            if let Some(entry) = self.entries.remove(key) {
                return Some(entry);
            }
        }
        None
    }

    /// Number of pending entries.
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
    fn entries_of_one_instant_are_returned_in_insertion_order() {
        let mut timers = TimerHeap::new();
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
        let mut timers = TimerHeap::new();
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
        let mut timers = TimerHeap::new();
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
