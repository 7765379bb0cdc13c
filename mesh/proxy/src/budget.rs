//! Budgets for concurrent retries and recent hedges.
//!
//! Plain arithmetic and a ring of per-second counts. The caller keeps the permits ([`breaker`](crate::breaker)).

use shakedown_env::Time;
use shakedown_xds::table::{Limits, RetryBudget};

/// Returns the limit of concurrent retries for a number of active and pending requests.
///
/// A budget replaces the fixed limit by a share of the requests with a minimum.
/// Source: Envoy, `ResourceManagerImpl::RetryBudgetImpl::max`.
pub fn retries_allowed(limits: &Limits, requests: u64) -> u64 {
    match limits.retry_budget {
        None => u64::from(limits.retries),
        Some(RetryBudget {
            share_ppm,
            min_concurrency,
        }) => {
            let share = u128::from(requests) * u128::from(share_ppm) / 1_000_000;
            u64::try_from(share)
                .unwrap_or(u64::MAX)
                .max(u64::from(min_concurrency))
        }
    }
}

/// The number of seconds for which requests and hedges are counted.
const SECONDS: usize = 10;

/// The requests and hedges of a cluster in the last 10 s, including the current second.
///
/// A hedge is allowed if the window's hedges, including it, are at most the given share of the window's requests. One
/// hedge per second is always allowed, so that a cluster with few requests can hedge at all.
#[derive(Debug, Default)]
pub struct HedgeBudget {
    slots: [BudgetSlot; SECONDS],
    /// The second of the newest slot.
    second: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct BudgetSlot {
    requests: u64,
    hedges: u64,
}

impl HedgeBudget {
    /// Counts a request. Retries and hedges must not be counted.
    pub fn request(&mut self, now: Time) {
        self.advance(now).requests += 1;
    }

    /// Returns true if a request may be hedged now, and counts the hedge. A share of `None` allows any hedge.
    pub fn hedge(&mut self, now: Time, share_ppm: Option<u32>) -> bool {
        let current = *self.advance(now);
        let allowed = share_ppm.is_none_or(|share| {
            let sum = |of: fn(&BudgetSlot) -> u64| self.slots.iter().map(of).sum::<u64>();
            let (requests, hedges) = (sum(|slot| slot.requests), sum(|slot| slot.hedges));
            let share = u128::from(requests) * u128::from(share);
            current.hedges == 0 || u128::from(hedges + 1) * 1_000_000 <= share
        });
        self.advance(now).hedges += u64::from(allowed);
        allowed
    }

    /// Returns the slot of the current second, after clearing expired slots.
    fn advance(&mut self, now: Time) -> &mut BudgetSlot {
        let second = now.as_nanos() / 1_000_000_000;
        // A time before the newest second counts in that second.
        let passed = second.saturating_sub(self.second);
        for old in 0..passed.min(SECONDS as u64) {
            self.slots[((second - old) % SECONDS as u64) as usize] = BudgetSlot::default();
        }
        self.second = self.second.max(second);
        &mut self.slots[(self.second % SECONDS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(share_ppm: u32, min_concurrency: u32) -> Limits {
        Limits {
            retries: 1,
            retry_budget: Some(RetryBudget {
                share_ppm,
                min_concurrency,
            }),
            ..Limits::ENVOY
        }
    }

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn without_a_budget_the_limit_is_fixed() {
        assert_eq!(retries_allowed(&Limits::ENVOY, 0), 3);
        assert_eq!(retries_allowed(&Limits::ENVOY, 1_000_000), 3);
    }

    #[test]
    fn a_retry_budget_truncates_its_share_of_requests_and_overrides_the_limit() {
        for (requests, allowed) in [
            (0, 3),
            (15, 3),
            (19, 3),
            (20, 4),
            (24, 4),
            (25, 5),
            (1000, 200),
        ] {
            assert_eq!(
                retries_allowed(&budget(200_000, 3), requests),
                allowed,
                "{requests}"
            );
        }
        assert_eq!(retries_allowed(&budget(0, 0), 1000), 0);
        assert_eq!(
            retries_allowed(&budget(2_000, 3), 1000),
            3,
            "0.2% of 1000 are 2"
        );
    }

    #[test]
    fn hedges_stay_within_their_share_of_the_last_ten_seconds() {
        let mut budget = HedgeBudget::default();
        (0..100).for_each(|_| budget.request(at(0)));
        let hedges = |budget: &mut HedgeBudget, millis| {
            (0..100)
                .filter(|_| budget.hedge(at(millis), Some(50_000)))
                .count()
        };
        assert_eq!(hedges(&mut budget, 0), 5);
        assert_eq!(
            hedges(&mut budget, 9_999),
            1,
            "the one that each second has"
        );
        assert_eq!(
            hedges(&mut budget, 10_000),
            1,
            "the hundred requests are forgotten"
        );
    }

    #[test]
    fn without_a_share_any_request_may_be_hedged() {
        let mut budget = HedgeBudget::default();
        assert!((0..1000).all(|_| budget.hedge(at(0), None)));
    }

    #[test]
    fn a_hedge_that_is_refused_is_none() {
        let mut budget = HedgeBudget::default();
        (0..100).for_each(|_| budget.request(at(0)));
        let allowed = (0..50).filter(|_| budget.hedge(at(0), Some(50_000)));
        assert_eq!(allowed.count(), 5);
        (0..20).for_each(|_| budget.request(at(0)));
        assert!(
            budget.hedge(at(0), Some(50_000)),
            "the sixth of a hundred and twenty"
        );
    }

    #[test]
    fn a_clock_that_goes_backwards_stays_in_the_newest_second() {
        let mut budget = HedgeBudget::default();
        (0..100).for_each(|_| budget.request(at(5_000)));
        assert!(budget.hedge(at(5_000), Some(10_000)));
        assert!(!budget.hedge(at(3_000), Some(10_000)));
        assert!(
            !budget.hedge(at(5_500), Some(10_000)),
            "the hundred and their hedge are still there"
        );
    }

    proptest! {
        #[test]
        fn hedges_never_exceed_their_share_and_one_a_second(
            steps in prop::collection::vec((0..2_000u64, any::<bool>()), 1..300),
            share in 0..=1_000_000u32,
        ) {
            let mut budget = HedgeBudget::default();
            let mut now = 0;
            let mut log: Vec<(u64, bool)> = Vec::new();
            for (wait, is_hedge) in steps {
                now += wait;
                let second = now / 1000;
                if !is_hedge {
                    budget.request(at(now));
                    log.push((second, false));
                } else if budget.hedge(at(now), Some(share)) {
                    log.push((second, true));
                    let recent = log.iter().filter(|(of, _)| of + 10 > second);
                    let hedges = recent.clone().filter(|(_, hedge)| *hedge).count() as u64;
                    let requests = recent.count() as u64 - hedges;
                    let here = log.iter().filter(|entry| **entry == (second, true)).count();
                    prop_assert!(here == 1 || hedges * 1_000_000 <= requests * u64::from(share));
                }
            }
        }
    }
}
