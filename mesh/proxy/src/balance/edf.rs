//! Weighted scheduling by earliest deadline first. A picked item is due again after `1 / weight`, so that items get
//! their shares at even intervals.
//! Source: Envoy, `EdfScheduler`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The maximum number of picks skipped at construction. Source: Envoy, `EdfScheduler::createWithPicks`.
const PICKS_MAX: u32 = 429_496_729;
/// Added to weights. Weights that are multiples of each other would otherwise have equal deadlines, whose order
/// rounding decides.
const EPSILON: f64 = 1e-13;

/// A schedule of items, which its owner identifies by numbers. It is endless, and picks without allocating.
#[derive(Clone, Debug, Default)]
pub struct EdfScheduler {
    now: f64,
    /// Insertion order, which breaks ties first in, first out.
    next_order: u64,
    queue: BinaryHeap<EdfEntry>,
}

#[derive(Clone, Copy, Debug)]
struct EdfEntry {
    deadline: f64,
    order: u64,
    item: u32,
}

impl EdfScheduler {
    /// Creates a schedule in its state after a number of picks (the low 32 bits of `picks`), so that proxies that start
    /// together do not all begin with the first item. Weights must be greater than 0.
    pub fn new(weights: &[(u32, f64)], picks: u64) -> EdfScheduler {
        let picks = (picks & u64::from(u32::MAX)) as u32 % PICKS_MAX;
        let sum: f64 = weights.iter().map(|(_, weight)| weight + EPSILON).sum();
        let mut edf = EdfScheduler {
            now: 0.0,
            next_order: 0,
            queue: BinaryHeap::with_capacity(weights.len()),
        };
        let mut played = 0;
        for (item, weight) in weights {
            let weight = weight + EPSILON;
            // The minimum number of picks that the item has had by then. The remaining picks are simulated below.
            let mut turns = (weight * f64::from(picks) / sum).floor();
            if turns > 0.0 && turns / weight >= f64::from(picks) / sum {
                turns -= 1.0;
            }
            played += turns as u32;
            edf.now = edf.now.max(turns / weight);
            edf.push((turns + 1.0) / weight, *item);
        }
        let weight_of = |item| weights.iter().find(|known| known.0 == item);
        while played < picks && !edf.queue.is_empty() {
            edf.pick(|item| weight_of(item).map_or(1.0, |known| known.1));
            played += 1;
        }
        edf
    }

    /// Picks the next item and schedules it again with its current weight.
    pub fn pick(&mut self, weight: impl FnOnce(u32) -> f64) -> Option<u32> {
        let EdfEntry { deadline, item, .. } = self.queue.pop()?;
        self.now = deadline;
        // A weight of zero would make the deadline infinite and stop the clock for all items.
        self.push(deadline + 1.0 / weight(item).max(f64::MIN_POSITIVE), item);
        Some(item)
    }

    fn push(&mut self, deadline: f64, item: u32) {
        self.queue.push(EdfEntry {
            deadline: deadline.min(f64::MAX),
            order: self.next_order,
            item,
        });
        self.next_order += 1;
    }
}

impl Ord for EdfEntry {
    /// Reversed, because the heap returns the greatest entry and the earliest must be first.
    fn cmp(&self, other: &EdfEntry) -> Ordering {
        other
            .deadline
            .total_cmp(&self.deadline)
            .then(other.order.cmp(&self.order))
    }
}

impl PartialOrd for EdfEntry {
    fn partial_cmp(&self, other: &EdfEntry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EdfEntry {
    fn eq(&self, other: &EdfEntry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for EdfEntry {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(weights: &[f64], skipped: u64, count: usize) -> Vec<u32> {
        let items: Vec<(u32, f64)> = (0..).zip(weights.iter().copied()).collect();
        let mut edf = EdfScheduler::new(&items, skipped);
        (0..count)
            .map(|_| edf.pick(|item| weights[item as usize]).unwrap())
            .collect()
    }

    #[test]
    fn turns_are_spread_evenly_by_weight() {
        assert_eq!(picks(&[1.0, 2.0], 0, 6), [1, 0, 1, 1, 0, 1]);
        let second = |picks: Vec<u32>| picks.iter().filter(|item| **item == 1).count();
        assert_eq!(second(picks(&[5.0, 1.0], 0, 6)), 1);
        assert_eq!(second(picks(&[5.0, 1.0], 0, 60)), 10);
    }

    #[test]
    fn of_those_due_at_one_time_the_first_to_come_is_first() {
        let weights = [1.0; 5];
        assert_eq!(picks(&weights, 0, 10), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
        assert_eq!(picks(&weights, 2, 5), [2, 3, 4, 0, 1]);
    }

    #[test]
    fn nothing_gives_no_turn() {
        assert_eq!(EdfScheduler::new(&[], 7).pick(|_| 1.0), None);
    }

    #[test]
    fn a_weight_that_falls_to_nothing_leaves_the_turns_to_the_others() {
        let mut edf = EdfScheduler::new(&[(0, 1.0), (1, 1.0)], 0);
        let weight = |item| if item == 0 { 0.0 } else { 1.0 };
        let seen: Vec<u32> = (0..5).map(|_| edf.pick(weight).unwrap()).collect();
        assert_eq!(seen, [0, 1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn a_schedule_that_starts_late_goes_on_as_one_that_was_played(
            weights in prop::collection::vec(1u32..50, 1..8),
            skipped in 0u64..300,
        ) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let mut later = vec![0u32; weights.len()];
            let mut played = later.clone();
            let skip = usize::try_from(skipped).unwrap();
            for item in picks(&weights, skipped, 200) {
                later[item as usize] += 1;
            }
            for item in &picks(&weights, 0, skip + 200)[skip..] {
                played[*item as usize] += 1;
            }
            // Ties are broken differently, so the counts may differ by one.
            for (later, played) in later.iter().zip(&played) {
                prop_assert!(later.abs_diff(*played) <= 1, "{later} {played}");
            }
        }

        #[test]
        fn everybody_gets_its_share_within_a_turn(
            weights in prop::collection::vec(1u32..100, 1..10),
            skipped: u64,
        ) {
            let sum: u32 = weights.iter().sum();
            let floats: Vec<f64> = weights.iter().copied().map(f64::from).collect();
            let mut counts = vec![0u32; weights.len()];
            for item in picks(&floats, skipped, sum as usize) {
                counts[item as usize] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count.abs_diff(*weight) <= 1, "{counts:?} {weights:?}");
            }
        }
    }
}
