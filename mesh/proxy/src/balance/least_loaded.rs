//! Selects the host with the fewest active requests for its weight, among all hosts. The policy is not Envoy's. Because
//! it examines every host, it does not herd behind stale samples, but its cost grows with the number of hosts.

use rand::{Rng, RngExt as _};

/// Returns the host with the least `active / weight`. Ties are broken uniformly at random.
pub fn least_loaded(
    hosts: usize,
    of: impl Fn(usize) -> (u32, u32),
    random: &mut impl Rng,
) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    let mut best = 0;
    let mut alike: u64 = 1;
    for host in 1..hosts {
        let ((active, weight), (least, its_weight)) = (of(host), of(best));
        // Fractions are compared by cross-multiplication, which does not round.
        let mine = u64::from(active) * u64::from(its_weight);
        let other = u64::from(least) * u64::from(weight);
        if mine < other {
            (best, alike) = (host, 1);
        } else if mine == other {
            alike += 1;
            if random.random_range(0..alike) == 0 {
                best = host;
            }
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use shakedown_env::stream_seed;

    use super::*;

    fn pick(hosts: &[(u32, u32)], seed: u64) -> Option<usize> {
        let mut random = stream_seed(seed, "test", "least-loaded");
        least_loaded(hosts.len(), |i| hosts[i], &mut random)
    }

    #[test]
    fn the_least_for_its_weight_is_taken() {
        assert_eq!(pick(&[(3, 1), (4, 2), (5, 2)], 1), Some(1));
        assert_eq!(pick(&[], 1), None);
    }

    #[test]
    fn those_alike_are_taken_about_equally() {
        let mut counts = [0; 3];
        for seed in 0..3000 {
            counts[pick(&[(1, 1), (2, 2), (3, 3)], seed).unwrap()] += 1;
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
    }

    #[test]
    fn those_alike_are_counted_from_the_first_of_them() {
        let mut counts = [0; 4];
        for seed in 0..3000 {
            counts[pick(&[(2, 1), (2, 1), (1, 1), (1, 1)], seed).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[1]), (0, 0));
        assert!((1400..1600).contains(&counts[2]), "{counts:?}");
    }
}
