//! Consistent hashing by a lookup table, in which each host has nearly exactly its share and which changes little when
//! a host is removed.
//! Source: Envoy, `MaglevTable`; "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.

use shakedown_xds::table::Maglev;

use super::weights::WeightedHosts;
use crate::hash::xx_hash;

/// The value of an unassigned entry.
const FREE: u32 = u32::MAX;

/// A lookup table, whose entries equal Envoy's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaglevTable {
    /// The host for each hash modulo the table's size.
    entries: Vec<u32>,
}

/// The state of a host while the hosts fill the table in turn.
struct TableFiller {
    host: u32,
    offset: u64,
    skip: u64,
    share: f64,
    target: f64,
    next: u64,
}

impl TableFiller {
    /// The next entry in the host's own permutation of all entries.
    fn next_entry(&mut self, size: u64) -> usize {
        let index = (self.offset + self.skip * self.next) % size;
        self.next += 1;
        index as usize
    }
}

impl MaglevTable {
    /// Builds the table. `key` returns the identifier of a host, usually its address.
    pub fn new<'a>(
        shares: &WeightedHosts,
        settings: Maglev,
        key: impl Fn(u32) -> &'a str,
    ) -> MaglevTable {
        if shares.hosts.is_empty() {
            return MaglevTable::default();
        }
        let size = settings.table_size;
        // Hosts are sorted by key, so that the order of the list does not matter.
        let mut sorted: Vec<(&str, u32, f64)> = shares
            .hosts
            .iter()
            .map(|(host, share)| (key(*host), *host, *share))
            .collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0).then(a.1.cmp(&b.1)));
        let mut fillers: Vec<TableFiller> = sorted
            .into_iter()
            .map(|(key, host, share)| TableFiller {
                host,
                offset: xx_hash(key.as_bytes(), 0) % size,
                skip: xx_hash(key.as_bytes(), 1) % (size - 1) + 1,
                share,
                target: 0.0,
                next: 0,
            })
            .collect();
        let mut entries = vec![FREE; size as usize];
        let mut left = entries.len();
        let mut turn = 1.0;
        while left > 0 {
            for filler in &mut fillers {
                // The host with the greatest share fills an entry every turn, a host with half that share every other
                // turn.
                if left == 0 || turn * filler.share < filler.target {
                    continue;
                }
                filler.target += shares.greatest;
                let mut index = filler.next_entry(size);
                while entries[index] != FREE {
                    index = filler.next_entry(size);
                }
                entries[index] = filler.host;
                left -= 1;
            }
            turn += 1.0;
        }
        MaglevTable { entries }
    }

    /// Returns the host for a hash. Each further attempt modifies the hash.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = match attempt {
            0 => hash,
            _ => hash ^ (u64::MAX - u64::from(attempt) + 1),
        };
        let index = hash % self.entries.len() as u64;
        Some(self.entries[index as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(weights: &[(u32, u32)], table_size: u64) -> MaglevTable {
        let keys: Vec<String> = (0..64)
            .map(|host| format!("127.0.0.1:{}", 90 + host))
            .collect();
        let settings = Maglev { table_size };
        MaglevTable::new(&WeightedHosts::flat(weights), settings, |host| {
            &keys[host as usize]
        })
    }

    // Source: Envoy, `MaglevLoadBalancerTest.Basic`.
    #[test]
    fn the_places_are_envoys() {
        let even: Vec<(u32, u32)> = (0..6).map(|host| (host, 1)).collect();
        let table = table(&even, 7);
        assert_eq!(table.entries, [2, 4, 0, 1, 5, 0, 3]);
        assert_eq!(table.pick(15, 0), Some(4));
    }

    #[test]
    fn an_attempt_more_looks_elsewhere() {
        let even: Vec<(u32, u32)> = (0..6).map(|host| (host, 1)).collect();
        let table = table(&even, 7);
        assert_eq!(table.pick(5, 1), table.pick(5 ^ u64::MAX, 0));
        assert_eq!(table.pick(5, 2), table.pick(5 ^ (u64::MAX - 1), 0));
    }

    #[test]
    fn a_table_of_no_host_has_no_place() {
        assert_eq!(table(&[], 7).pick(1, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn each_host_has_its_share_to_within_a_hundredth(weights in prop::collection::vec(1u32..10, 1..10)) {
            let weighted: Vec<(u32, u32)> = (0..).zip(weights.iter().copied()).collect();
            let table = table(&weighted, 65_537);
            let sum: u32 = weights.iter().sum();
            for (host, weight) in weighted {
                let count = table.entries.iter().filter(|entry| **entry == host).count();
                let share = count as f64 / 65_537.0;
                let wanted = f64::from(weight) / f64::from(sum);
                prop_assert!((share - wanted).abs() < 0.01 * wanted + 0.001, "{share} for {wanted}");
            }
        }

        #[test]
        fn few_requests_of_others_move_when_a_host_leaves(hosts in 3u32..20, gone in 0u32..20) {
            let gone = gone % hosts;
            let all: Vec<(u32, u32)> = (0..hosts).map(|host| (host, 1)).collect();
            let rest: Vec<(u32, u32)> = all.iter().copied().filter(|host| host.0 != gone).collect();
            let (before, after) = (table(&all, 65_537), table(&rest, 65_537));
            let moved = before
                .entries
                .iter()
                .zip(&after.entries)
                .filter(|(then, now)| **then != gone && then != now)
                .count();
            // Source: the paper, section 5.3: at most a few percent if the table is a hundred times larger than the
            // number of hosts.
            prop_assert!(moved < 65_537 * 6 / 100, "{moved} of 65537");
        }

        #[test]
        fn the_order_of_the_list_changes_nothing(hosts in 2u32..12, turned in 1usize..12) {
            let mut list: Vec<(u32, u32)> = (0..hosts).map(|host| (host, host + 1)).collect();
            let before = table(&list, 1009);
            let turned = turned % list.len();
            list.rotate_left(turned);
            prop_assert_eq!(before, table(&list, 1009));
        }
    }
}
