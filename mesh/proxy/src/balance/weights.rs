//! Normalised weights of hosts for consistent hashing: shares with a sum of 1.
//! Source: Envoy, `thread_aware_lb_impl.cc`, `normalizeWeights`. The arithmetic has the same order as Envoy's, so that
//! a ring has the same entries.

/// Hosts with their shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightedHosts {
    /// Each host, as a number that its owner assigns, with its share, in order.
    pub hosts: Vec<(u32, f64)>,
    /// The least share; 1 without hosts.
    pub least: f64,
    /// The greatest share; 0 without hosts.
    pub greatest: f64,
}

impl WeightedHosts {
    /// The shares of hosts by their own weights.
    pub fn flat(hosts: &[(u32, u32)]) -> WeightedHosts {
        let mut shares = WeightedHosts::none();
        shares.add(hosts, 1.0);
        shares
    }

    /// The shares of hosts in localities: by the localities' weights, and within each by the hosts' weights.
    pub fn by_locality<'a>(
        localities: impl Iterator<Item = (u32, &'a [(u32, u32)])> + Clone,
    ) -> WeightedHosts {
        let mut shares = WeightedHosts::none();
        let sum: u64 = localities
            .clone()
            .map(|(weight, _)| u64::from(weight))
            .sum();
        for (weight, hosts) in localities.filter(|(weight, _)| *weight > 0) {
            shares.add(hosts, f64::from(weight) / sum as f64);
        }
        shares
    }

    fn none() -> WeightedHosts {
        WeightedHosts {
            hosts: Vec::new(),
            least: 1.0,
            greatest: 0.0,
        }
    }

    fn add(&mut self, hosts: &[(u32, u32)], part: f64) {
        let sum: u64 = hosts.iter().map(|(_, weight)| u64::from(*weight)).sum();
        for (host, weight) in hosts {
            let share = f64::from(*weight) * part / sum as f64;
            self.hosts.push((*host, share));
            self.least = self.least.min(share);
            self.greatest = self.greatest.max(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WeightedHosts;

    #[test]
    fn a_locality_without_weight_has_no_share_and_is_not_the_least() {
        let (heavy, light, none) = ([(0, 1)], [(1, 3), (2, 1)], [(3, 1)]);
        let localities = [(3, &heavy[..]), (1, &light[..]), (0, &none[..])];
        let shares = WeightedHosts::by_locality(localities.into_iter());
        assert_eq!(shares.hosts, [(0, 0.75), (1, 0.1875), (2, 0.0625)]);
        assert_eq!((shares.least, shares.greatest), (0.0625, 0.75));
    }
}
