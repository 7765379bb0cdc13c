//! The `via` condition: services that a load's request reached, decided at the end of the request, or later if
//! descendants are still in flight.

use std::collections::BTreeMap;

use super::board::PodBoard;
use super::fact::RequestFacts;
use crate::check::ParticipantSelector;

/// The `via` conditions of one leaf.
#[derive(Clone, Debug)]
pub(super) struct Via {
    participants: Vec<(ParticipantSelector, bool)>,
    /// The services reached so far by requests in flight, as bit masks.
    open: BTreeMap<u64, u32>,
    /// Ended requests that have not reached all services: their record and the services reached.
    waiting: BTreeMap<u64, (RequestFacts, u32)>,
    over: Ranges,
}

impl Via {
    /// The services, each with true if it must *not* be reached. At most 32.
    pub(super) fn new(participants: Vec<(ParticipantSelector, bool)>) -> Via {
        Via {
            participants,
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            over: Ranges::default(),
        }
    }

    /// Records the arrival of a descendant of request `seq`. Returns the request and its result, if that decides the
    /// conditions.
    pub(super) fn arrived(
        &mut self,
        seq: u64,
        fact: &RequestFacts,
        board: &PodBoard,
    ) -> Option<(RequestFacts, bool)> {
        let mask = self.reached(fact, board);
        if mask == 0 {
            return None;
        }
        if let Some((_, reached)) = self.waiting.get_mut(&seq) {
            *reached |= mask;
            if *reached == self.full() {
                let (fact, reached) = self.waiting.remove(&seq)?;
                return Some((fact, self.holds(reached)));
            }
        } else if !self.over.has(seq) {
            *self.open.entry(seq).or_default() |= mask;
        }
        None
    }

    /// Records the end of request `seq`. Returns the result of the conditions if they are decided, else keeps the
    /// request.
    pub(super) fn ended(&mut self, seq: u64, fact: &RequestFacts, counts: bool) -> Option<bool> {
        self.over.add(seq);
        let reached = self.open.remove(&seq).unwrap_or(0);
        if !counts {
            return Some(false);
        }
        if reached == self.full() {
            return Some(self.holds(reached));
        }
        self.waiting.insert(seq, (*fact, reached));
        None
    }

    /// Removes request `seq`, which has no descendants to come, and returns the result of the conditions.
    pub(super) fn give_up(&mut self, seq: u64) -> bool {
        self.waiting
            .remove(&seq)
            .is_some_and(|(_, reached)| self.holds(reached))
    }

    /// Takes all kept requests with their results, at the end of the run.
    pub(super) fn rest(&mut self) -> Vec<(RequestFacts, bool)> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .into_values()
            .map(|(fact, reached)| (fact, self.holds(reached)))
            .collect()
    }

    fn full(&self) -> u32 {
        u32::MAX >> (32 - self.participants.len().clamp(1, 32))
    }

    fn holds(&self, reached: u32) -> bool {
        self.participants
            .iter()
            .enumerate()
            .all(|(bit, (_, not))| (reached >> bit & 1 == 1) != *not)
    }

    fn reached(&self, fact: &RequestFacts, board: &PodBoard) -> u32 {
        let Some(pod) = fact.to else { return 0 };
        let mut mask = 0;
        for (bit, (participant, _)) in self.participants.iter().enumerate() {
            let endpoint = participant.endpoint.is_none() || participant.endpoint == fact.endpoint;
            if endpoint && board.is_of(pod, participant) {
                mask |= 1 << bit;
            }
        }
        mask
    }
}

/// A set of numbers, as disjoint ranges that do not touch. Small if numbers are added nearly in order.
#[derive(Clone, Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn has(&self, number: u64) -> bool {
        self.0
            .range(..=number)
            .next_back()
            .is_some_and(|(_, end)| number < *end)
    }

    fn add(&mut self, number: u64) {
        if self.has(number) {
            return;
        }
        let end = match self.0.remove(&(number + 1)) {
            Some(end) => end,
            None => number + 1,
        };
        match self.0.range_mut(..number).next_back() {
            Some((_, before)) if *before == number => *before = end,
            _ => {
                self.0.insert(number, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    proptest! {
        #[test]
        fn ranges_are_a_set(numbers in prop::collection::vec(0u64..64, 0..80)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                ranges.add(number);
                set.insert(number);
            }
            for number in 0..66 {
                prop_assert_eq!(ranges.has(number), set.contains(&number));
            }
            let gaps = set.iter().filter(|n| !set.contains(&(*n + 1))).count();
            prop_assert_eq!(ranges.0.len(), gaps);
        }
    }
}
