//! Chooses the host of a try: Envoy's LEAST_REQUEST, ROUND_ROBIN and RANDOM over hosts of equal weight.
//!
//! Pure deciders: they see a number of hosts, their active requests and a source of randomness, and give an index.
//! They know nothing of health, priorities or weights, which narrow the list of hosts before they see it.

use rand_core::Rng;
use shakedown_config::table::LbPolicy;

/// The choice of one cluster: its policy and what that remembers from one request to the next.
#[derive(Debug)]
pub struct Balancer {
    /// The next host of the round; counts on for ever.
    next: u64,
}

impl Balancer {
    /// A balancer whose rounds start at `start`: random, so that proxies that start together do not all begin with the
    /// first host. Source: Envoy, `RoundRobinLoadBalancer`'s `seed_`.
    pub fn new(start: u64) -> Balancer {
        Balancer { next: start }
    }

    /// The host to try, as an index below `hosts`; `None` when there is none.
    pub fn pick(
        &mut self,
        policy: LbPolicy,
        hosts: usize,
        active: impl Fn(usize) -> u32,
        random: &mut impl Rng,
    ) -> Option<usize> {
        match policy {
            LbPolicy::LeastRequest => least_request(hosts, active, random),
            LbPolicy::RoundRobin => round_robin(hosts, &mut self.next),
            LbPolicy::Random => any(hosts, random),
        }
    }
}

/// Of two hosts drawn with replacement, the one with fewer active requests; the first drawn on a tie.
/// Source: Envoy, `LeastRequestLoadBalancer::unweightedHostPick` with `choice_count` 2.
pub fn least_request(
    hosts: usize,
    active: impl Fn(usize) -> u32,
    random: &mut impl Rng,
) -> Option<usize> {
    let first = any(hosts, random)?;
    let second = any(hosts, random)?;
    Some(if active(second) < active(first) {
        second
    } else {
        first
    })
}

/// The next host of the round. The index is kept when the list changes, as in Envoy.
pub fn round_robin(hosts: usize, next: &mut u64) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    let index = *next % hosts as u64;
    *next = next.wrapping_add(1);
    usize::try_from(index).ok()
}

/// A host drawn uniformly: random modulo their number, as in Envoy.
pub fn any(hosts: usize, random: &mut impl Rng) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    usize::try_from(random.next_u64() % hosts as u64).ok()
}

/// Picks again while the pick is one to avoid, `attempts` times more at the most; then the last pick stands.
/// Source: Envoy, `LoadBalancerBase::chooseHost` with the `previous_hosts` predicate and `host_selection_retry_max_attempts`.
pub fn avoiding(
    attempts: u32,
    avoid: impl Fn(usize) -> bool,
    mut pick: impl FnMut() -> Option<usize>,
) -> Option<usize> {
    let mut choice = pick()?;
    for _ in 0..attempts {
        if !avoid(choice) {
            break;
        }
        choice = pick()?;
    }
    Some(choice)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::TryRng;
    use shakedown_env::stream_seed;

    use super::*;

    /// Gives the numbers of a script, then panics.
    struct Script(Vec<u64>);

    impl TryRng for Script {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("deciders draw 64 bits")
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.0.remove(0))
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("deciders draw 64 bits")
        }
    }

    #[test]
    fn least_request_takes_the_less_busy_of_two() {
        let active = [5, 3, 0];
        let pick = |draws: [u64; 2]| least_request(3, |i| active[i], &mut Script(draws.to_vec()));
        assert_eq!(pick([0, 1]), Some(1));
        assert_eq!(pick([1, 0]), Some(1));
        assert_eq!(
            pick([5, 4]),
            Some(2),
            "draws are taken modulo the number of hosts"
        );
    }

    #[test]
    fn least_request_may_draw_the_same_host_twice_and_keeps_the_first_on_a_tie() {
        assert_eq!(least_request(2, |_| 1, &mut Script(vec![0, 0])), Some(0));
        assert_eq!(least_request(2, |_| 1, &mut Script(vec![1, 0])), Some(1));
    }

    #[test]
    fn round_robin_goes_round_from_where_it_starts() {
        let mut next = 7;
        let round: Vec<_> = (0..4).map(|_| round_robin(3, &mut next)).collect();
        assert_eq!(round, [Some(1), Some(2), Some(0), Some(1)]);
    }

    #[test]
    fn round_robin_survives_its_counters_end() {
        let mut next = u64::MAX;
        assert_eq!(round_robin(2, &mut next), Some(1));
        assert_eq!(round_robin(2, &mut next), Some(0));
    }

    #[test]
    fn no_hosts_give_no_pick() {
        let mut rng = stream_seed(1, "test", "balance");
        for policy in [
            LbPolicy::LeastRequest,
            LbPolicy::RoundRobin,
            LbPolicy::Random,
        ] {
            assert_eq!(Balancer::new(0).pick(policy, 0, |_| 0, &mut rng), None);
        }
    }

    #[test]
    fn random_reaches_every_host_about_equally() {
        let mut rng = stream_seed(1, "test", "balance");
        let mut counts = [0u32; 4];
        for _ in 0..4000 {
            counts[any(4, &mut rng).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_tried_host_is_avoided_as_long_as_attempts_last() {
        let mut picks = [0, 0, 1].into_iter();
        assert_eq!(avoiding(5, |i| i == 0, || picks.next()), Some(1));
        let mut drawn = 0;
        let last = avoiding(
            5,
            |_| true,
            || {
                drawn += 1;
                Some(0)
            },
        );
        assert_eq!(
            (last, drawn),
            (Some(0), 6),
            "the last pick stands after five more"
        );
    }
}
