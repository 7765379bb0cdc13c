//! Weighted scheduling of localities. Source: Envoy, `LocalityWrr::effectiveLocalityWeight`.

use super::edf::EdfScheduler;

/// The size, health and weight of a locality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalityHosts {
    /// The configured weight; 0 excludes the locality.
    pub weight: u32,
    /// The number of hosts.
    pub hosts: usize,
    /// The number of healthy hosts.
    pub healthy: usize,
}

/// The schedule of localities, by weights that are reduced if too few hosts are healthy.
#[derive(Clone, Debug)]
pub struct LocalityScheduler {
    edf: EdfScheduler,
    weights: Vec<f64>,
}

impl LocalityScheduler {
    /// Creates the schedule in its state after `picks` picks. `None` if no locality can receive traffic.
    pub fn new(
        localities: &[LocalityHosts],
        overprovisioning: u32,
        picks: u64,
    ) -> Option<LocalityScheduler> {
        let weights: Vec<f64> = localities
            .iter()
            .map(|locality| effective(locality, overprovisioning))
            .collect();
        let able: Vec<(u32, f64)> = (0..)
            .zip(weights.iter().copied())
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        (!able.is_empty()).then(|| LocalityScheduler {
            edf: EdfScheduler::new(&able, picks),
            weights,
        })
    }

    /// Picks the next locality.
    pub fn pick(&mut self) -> Option<usize> {
        let LocalityScheduler { edf, weights } = self;
        edf.pick(|index| weights[index as usize])
            .map(|index| index as usize)
    }
}

/// The effective weight of a locality, given its hosts' health.
pub fn effective(locality: &LocalityHosts, overprovisioning: u32) -> f64 {
    if locality.hosts == 0 {
        return 0.0;
    }
    let available = locality.healthy as f64 / locality.hosts as f64;
    f64::from(locality.weight) * (f64::from(overprovisioning) / 100.0 * available).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locality(weight: u32, hosts: usize, healthy: usize) -> LocalityHosts {
        LocalityHosts {
            weight,
            hosts,
            healthy,
        }
    }

    #[test]
    fn a_locality_keeps_its_weight_until_fewer_than_72_percent_are_healthy() {
        assert_eq!(effective(&locality(10, 100, 72), 140), 10.0);
        assert_eq!(effective(&locality(10, 100, 50), 140), 7.0);
        assert_eq!(effective(&locality(10, 4, 0), 140), 0.0);
        assert_eq!(effective(&locality(10, 0, 0), 140), 0.0);
    }

    #[test]
    fn localities_take_turns_by_weight() {
        let localities = [locality(1, 3, 3), locality(3, 1, 1), locality(5, 2, 0)];
        let mut turns = LocalityScheduler::new(&localities, 140, 0).unwrap();
        let seen: Vec<usize> = (0..8).map(|_| turns.pick().unwrap()).collect();
        assert_eq!(seen.iter().filter(|index| **index == 1).count(), 6);
        assert!(!seen.contains(&2));
    }

    #[test]
    fn where_none_can_take_any_there_are_no_turns() {
        assert!(LocalityScheduler::new(&[locality(0, 1, 1), locality(4, 2, 0)], 140, 3).is_none());
    }
}
