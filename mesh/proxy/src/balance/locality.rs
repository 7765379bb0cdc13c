//! Which locality's turn it is. Source: Envoy, `LocalityWrr::effectiveLocalityWeight`.

use super::edf::Edf;

/// The hosts of a locality, by number, and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its weight; 0: it takes nothing.
    pub weight: u32,
    /// Its hosts.
    pub hosts: usize,
    /// Those healthy.
    pub healthy: usize,
}

/// The turns of localities, each by its weight, less where too few of its hosts are healthy.
#[derive(Clone, Debug)]
pub struct Turns {
    edf: Edf,
    weights: Vec<f64>,
}

impl Turns {
    /// The turns as they are after so many; `None` where no locality can take any.
    pub fn new(places: &[Place], overprovisioning: u32, picks: u64) -> Option<Turns> {
        let weights: Vec<f64> = places
            .iter()
            .map(|place| effective(place, overprovisioning))
            .collect();
        let able: Vec<(u32, f64)> = (0..)
            .zip(weights.iter().copied())
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        (!able.is_empty()).then(|| Turns {
            edf: Edf::new(&able, picks),
            weights,
        })
    }

    /// The next locality.
    pub fn pick(&mut self) -> Option<usize> {
        let Turns { edf, weights } = self;
        edf.pick(|index| weights[index as usize])
            .map(|index| index as usize)
    }
}

/// What a locality's weight is, as its hosts are.
pub fn effective(place: &Place, overprovisioning: u32) -> f64 {
    if place.hosts == 0 {
        return 0.0;
    }
    let available = place.healthy as f64 / place.hosts as f64;
    f64::from(place.weight) * (f64::from(overprovisioning) / 100.0 * available).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(weight: u32, hosts: usize, healthy: usize) -> Place {
        Place {
            weight,
            hosts,
            healthy,
        }
    }

    #[test]
    fn a_locality_keeps_its_weight_until_fewer_than_72_percent_are_healthy() {
        assert_eq!(effective(&place(10, 100, 72), 140), 10.0);
        assert_eq!(effective(&place(10, 100, 50), 140), 7.0);
        assert_eq!(effective(&place(10, 4, 0), 140), 0.0);
        assert_eq!(effective(&place(10, 0, 0), 140), 0.0);
    }

    #[test]
    fn localities_take_turns_by_weight() {
        let places = [place(1, 3, 3), place(3, 1, 1), place(5, 2, 0)];
        let mut turns = Turns::new(&places, 140, 0).unwrap();
        let seen: Vec<usize> = (0..8).map(|_| turns.pick().unwrap()).collect();
        assert_eq!(seen.iter().filter(|index| **index == 1).count(), 6);
        assert!(!seen.contains(&2));
    }

    #[test]
    fn where_none_can_take_any_there_are_no_turns() {
        assert!(Turns::new(&[place(0, 1, 1), place(4, 2, 0)], 140, 3).is_none());
    }
}
