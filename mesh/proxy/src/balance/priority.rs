//! Distributes traffic over priorities by their health, and decides which priorities are in panic mode.
//! Source: Envoy, `LoadBalancerBase::recalculatePerPriorityState` and `recalculatePerPriorityPanic`.

/// The number and health of one priority's hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriorityHealth {
    /// The number of hosts.
    pub hosts: u64,
    /// The number of healthy hosts.
    pub healthy: u64,
    /// The total used to compute health: the number of hosts, or the sum of their weights.
    pub whole: u64,
    /// The part of `whole` that is healthy.
    pub part: u64,
}

/// A distribution of traffic over priorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityLoad {
    /// The share of each priority in percent, with a sum of 100.
    pub shares: Vec<u32>,
    /// True for each priority in panic mode, which uses all hosts regardless of health.
    pub panic: Vec<bool>,
}

impl PriorityLoad {
    /// Distributes traffic over one or more priorities, in order. `overprovisioning` is in percent: with 140, a
    /// priority keeps all of its traffic until fewer than 72% of its hosts are healthy.
    pub fn new(
        levels: &[PriorityHealth],
        overprovisioning: u32,
        panic_percent: u32,
    ) -> PriorityLoad {
        let capacity: Vec<u32> = levels
            .iter()
            .map(|level| capacity(level, overprovisioning))
            .collect();
        let available = capacity.iter().sum::<u32>().min(100);
        let mut spread = PriorityLoad {
            shares: vec![0; levels.len()],
            panic: vec![false; levels.len()],
        };
        if available > 0 {
            spread.shares = by_capacity(&capacity, available);
        }
        if available == 0 {
            // Outside of panic mode, the first priority receives the traffic if none has capacity.
            spread.shares[0] = 100;
        }
        if available < 100 && panic_percent > 0 {
            for (panic, level) in spread.panic.iter_mut().zip(levels) {
                *panic = level.hosts == 0
                    || level.healthy * 100 < u64::from(panic_percent) * level.hosts;
            }
            if spread.panic.iter().all(|panic| *panic) {
                spread.shares = by_size(levels);
            }
        }
        spread
    }

    /// Returns the priority for a random number: the number modulo 100 in a cumulative scan.
    pub fn choose(&self, random: u64) -> usize {
        let mut below = 0;
        for (level, share) in self.shares.iter().enumerate() {
            below += u64::from(*share);
            if random % 100 < below {
                return level;
            }
        }
        unreachable!("the shares sum to 100, and the number is below it")
    }
}

/// The capacity of a priority, in percent of all traffic.
fn capacity(level: &PriorityHealth, overprovisioning: u32) -> u32 {
    if level.hosts == 0 || level.whole == 0 {
        return 0;
    }
    let percent = u64::from(overprovisioning).saturating_mul(level.part) / level.whole;
    u32::try_from(percent).unwrap_or(100).min(100)
}

/// Gives each priority its capacity in order. The rounding remainder is added to the first that has capacity.
fn by_capacity(capacity: &[u32], available: u32) -> Vec<u32> {
    let mut left = 100;
    let mut shares: Vec<u32> = capacity
        .iter()
        .map(|percent| {
            let share = (percent * 100 / available).min(left);
            left -= share;
            share
        })
        .collect();
    if let Some(first) = capacity.iter().position(|percent| *percent > 0) {
        shares[first] += left;
    }
    shares
}

/// The distribution if all priorities are in panic mode: by the number of hosts.
fn by_size(levels: &[PriorityHealth]) -> Vec<u32> {
    let total: u64 = levels.iter().map(|level| level.hosts).sum();
    let Some(first) = levels.iter().position(|level| level.hosts > 0) else {
        let mut shares = vec![0; levels.len()];
        shares[0] = 100;
        return shares;
    };
    let share = |level: &PriorityHealth| u32::try_from(100 * level.hosts / total).unwrap_or(100);
    let mut shares: Vec<u32> = levels.iter().map(share).collect();
    let given: u32 = shares.iter().sum();
    shares[first] += 100 - given;
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(healthy: u64, hosts: u64) -> PriorityHealth {
        PriorityHealth {
            hosts,
            healthy,
            whole: hosts,
            part: healthy,
        }
    }

    fn shares(levels: &[(u64, u64)], panic_percent: u32) -> (Vec<u32>, Vec<bool>) {
        let levels: Vec<PriorityHealth> = levels.iter().map(|(a, b)| level(*a, *b)).collect();
        let spread = PriorityLoad::new(&levels, 140, panic_percent);
        (spread.shares, spread.panic)
    }

    // Source of the table: Envoy, "Priority levels" in its documentation of load balancing.
    #[test]
    fn the_first_priority_spills_below_72_percent() {
        for (healthy, first) in [(100, 100), (72, 100), (71, 99), (50, 70), (25, 35), (0, 0)] {
            let (found, panic) = shares(&[(healthy, 100), (100, 100)], 50);
            assert_eq!(found, [first, 100 - first], "{healthy}% healthy");
            assert_eq!(panic, [false, false], "together they can take all");
        }
    }

    // Source of the numbers: the same table.
    #[test]
    fn three_priorities_cascade() {
        let three = |a, b, c| shares(&[(a, 100), (b, 100), (c, 100)], 0).0;
        assert_eq!(three(100, 100, 100), [100, 0, 0]);
        assert_eq!(three(72, 100, 100), [100, 0, 0]);
        assert_eq!(three(71, 1, 100), [99, 1, 0]);
        assert_eq!(three(50, 50, 100), [70, 30, 0]);
        assert_eq!(three(25, 100, 100), [35, 65, 0]);
        assert_eq!(three(25, 25, 100), [35, 35, 30]);
        // Capacities of 35, 35 and 28 are too little: they are scaled to their shares of 98, and the first gets the
        // remainder.
        assert_eq!(three(25, 25, 20), [37, 35, 28]);
    }

    #[test]
    fn what_rounding_leaves_goes_to_the_first_that_can_take_any() {
        let (found, _) = shares(&[(0, 10), (1, 10), (1, 10), (1, 10)], 0);
        assert_eq!(found, [0, 34, 33, 33]);
    }

    #[test]
    fn a_priority_panics_only_when_all_together_are_too_few() {
        let (_, panic) = shares(&[(2, 10), (10, 10)], 50);
        assert_eq!(panic, [false, false]);
        let (found, panic) = shares(&[(2, 10), (5, 10)], 50);
        assert_eq!(panic, [true, false], "half is not fewer than half");
        assert_eq!(found, [29, 71], "and by what each can take");
    }

    #[test]
    fn in_total_panic_hosts_count_and_not_their_health() {
        assert_eq!(
            shares(&[(0, 10), (1, 30)], 50),
            (vec![25, 75], vec![true, true])
        );
        assert_eq!(
            shares(&[(0, 0), (0, 3)], 50),
            (vec![0, 100], vec![true, true])
        );
        assert_eq!(shares(&[(0, 0)], 50), (vec![100], vec![true]));
    }

    #[test]
    fn without_a_threshold_nobody_panics() {
        assert_eq!(
            shares(&[(0, 10), (0, 30)], 0),
            (vec![100, 0], vec![false, false])
        );
    }

    #[test]
    fn the_first_gets_what_rounding_leaves_to_nobody() {
        let spread = PriorityLoad::new(&[level(1, 3)], 1, 1);
        assert_eq!((spread.shares, spread.panic), (vec![100], vec![false]));
    }

    #[test]
    fn weights_count_for_health_where_they_are_given() {
        let heavy = PriorityHealth {
            hosts: 2,
            healthy: 1,
            whole: 10,
            part: 9,
        };
        assert_eq!(
            PriorityLoad::new(&[heavy, level(1, 1)], 140, 50).shares,
            [100, 0]
        );
    }

    proptest! {
        #[test]
        fn the_shares_always_sum_to_all(
            levels in prop::collection::vec((0u64..20, 0u64..20), 1..6),
            overprovisioning in 1u32..300,
            panic_percent in 0u32..=100,
            random: u64,
        ) {
            let levels: Vec<PriorityHealth> = levels.iter().map(|(a, b)| level(*a.min(b), *b)).collect();
            let spread = PriorityLoad::new(&levels, overprovisioning, panic_percent);
            prop_assert_eq!(spread.shares.iter().sum::<u32>(), 100);
            prop_assert!(spread.choose(random) < levels.len());
        }
    }
}
