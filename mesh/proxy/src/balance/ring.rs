//! Consistent hashing by a ring: each host has entries on it according to its share, and a request is sent to the next
//! entry after its hash. If a host is removed, only its own requests move.
//! Source: Envoy, `RingHashLoadBalancer::Ring`.

use shakedown_xds::table::{RingFunction, RingHash};

use super::weights::WeightedHosts;
use crate::hash::{murmur_hash, xx_hash};

/// A hash ring. The entries equal Envoy's, the hashes of `<key>_<number>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashRing {
    /// Hash and host of each entry, sorted by hash.
    entries: Vec<(u64, u32)>,
}

impl HashRing {
    /// Builds the ring. `key` returns the identifier of a host, usually its address.
    pub fn new<'a>(
        shares: &WeightedHosts,
        settings: RingHash,
        key: impl Fn(u32) -> &'a str,
    ) -> HashRing {
        if shares.hosts.is_empty() {
            return HashRing::default();
        }
        // The scale is chosen so that the host with the least share gets a whole number of entries.
        let scale = ((shares.least * settings.min_size as f64).ceil() / shares.least)
            .min(settings.max_size as f64);
        let mut entries = Vec::with_capacity(scale.ceil() as usize);
        let hash = |text: &str| match settings.function {
            RingFunction::XxHash => xx_hash(text.as_bytes(), 0),
            RingFunction::MurmurHash2 => murmur_hash(text.as_bytes()),
        };
        let (mut current, mut target) = (0.0, 0.0);
        let mut text = String::new();
        for (host, share) in &shares.hosts {
            text.clear();
            text.push_str(key(*host));
            text.push('_');
            let prefix = text.len();
            target += scale * share;
            let mut number = 0_u64;
            while current < target {
                text.truncate(prefix);
                text.push_str(&number.to_string());
                entries.push((hash(&text), *host));
                number += 1;
                current += 1.0;
            }
        }
        entries.sort_unstable();
        HashRing { entries }
    }

    /// Returns the host for a hash. Each further attempt uses the following entry.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let found = self
            .entries
            .partition_point(|(position, _)| *position < hash);
        let index = (found % self.entries.len() + attempt as usize) % self.entries.len();
        Some(self.entries[index].1)
    }

    /// The number of entries.
    pub fn size(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(count: u32) -> Vec<String> {
        (0..count)
            .map(|host| format!("127.0.0.1:{}", 90 + host))
            .collect()
    }

    fn ring(weights: &[(u32, u32)], min_size: u64, max_size: u64) -> HashRing {
        let keys = keys(64);
        let settings = RingHash {
            min_size,
            max_size,
            ..RingHash::ENVOY
        };
        HashRing::new(&WeightedHosts::flat(weights), settings, |host| {
            &keys[host as usize]
        })
    }

    // Source: Envoy, `RingHashLoadBalancerTest.Basic`.
    #[test]
    fn the_places_are_envoys() {
        let even: Vec<(u32, u32)> = (0..6).map(|host| (host, 1)).collect();
        let ring = ring(&even, 12, RingHash::MAX_SIZE);
        let expected = [
            (833437586790550860, 4),
            (928266305478181108, 2),
            (1033482794131418490, 0),
            (3551244743356806947, 5),
            (3851675632748031481, 3),
            (5583722120771150861, 1),
            (6311230543546372928, 1),
            (7700377290971790572, 3),
            (13144177310400110813, 5),
            (13444792449719432967, 2),
            (15516499411664133160, 4),
            (16117243373044804889, 0),
        ];
        assert_eq!(ring.entries, expected);
        for (hash, host) in [
            (0, 4),
            (u64::MAX, 4),
            (3551244743356806947, 5),
            (3551244743356806948, 3),
            (16117243373044804880, 0),
        ] {
            assert_eq!(ring.pick(hash, 0), Some(host), "{hash}");
        }
        assert_eq!(ring.pick(0, 1), Some(2), "the next place");
        assert_eq!(ring.pick(16117243373044804889, 1), Some(4), "and round");
    }

    // Source: Envoy, `RingHashLoadBalancerTest.BasicWithMurmur2`.
    #[test]
    fn the_places_by_murmur2_are_envoys() {
        let even: Vec<(u32, u32)> = (0..6).map(|host| (host, 1)).collect();
        let keys: Vec<String> = (80..86).map(|port| format!("127.0.0.1:{port}")).collect();
        let settings = RingHash {
            function: RingFunction::MurmurHash2,
            min_size: 12,
            ..RingHash::ENVOY
        };
        let ring = HashRing::new(&WeightedHosts::flat(&even), settings, |host| {
            &keys[host as usize]
        });
        let expected = [
            (1358027074129602068, 5),
            (4361834613929391114, 3),
            (7224494972555149682, 4),
            (7701421856454313576, 1),
            (8649315368077433379, 2),
            (8739448859063030639, 4),
            (9887544217113020895, 1),
            (10150910876324007731, 2),
            (15168472011420622455, 3),
            (15427156902705414897, 0),
            (16375050414328759093, 5),
            (17613279263364193813, 0),
        ];
        assert_eq!(ring.entries, expected);
    }

    #[test]
    fn a_ring_of_no_host_has_no_place() {
        assert_eq!(ring(&[], 1024, 2048).pick(7, 0), None);
    }

    #[test]
    fn the_ring_is_no_greater_than_its_greatest_size() {
        let even: Vec<(u32, u32)> = (0..4).map(|host| (host, 1)).collect();
        assert_eq!(ring(&even, 6, 6).size(), 6);
        assert_eq!(ring(&even, 6, 100).size(), 8, "two places for each");
    }

    #[test]
    fn places_go_by_weight() {
        let ring = ring(&[(0, 1), (1, 2), (2, 5)], 1024, RingHash::MAX_SIZE);
        let count = |host| ring.entries.iter().filter(|entry| entry.1 == host).count();
        assert_eq!([count(0), count(1), count(2)], [128, 256, 640]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn only_the_requests_of_a_host_that_leaves_move(
            hosts in 2u32..12,
            gone in 0u32..12,
            hashes in prop::collection::vec(any::<u64>(), 200),
        ) {
            // Ring sizes that are multiples of the number of hosts keep the entries of every other host.
            let gone = gone % hosts;
            let all: Vec<(u32, u32)> = (0..hosts).map(|host| (host, 1)).collect();
            let rest: Vec<(u32, u32)> = all.iter().copied().filter(|host| host.0 != gone).collect();
            let per_host = 64;
            let before = ring(&all, u64::from(hosts) * per_host, RingHash::MAX_SIZE);
            let after = ring(&rest, u64::from(hosts - 1) * per_host, RingHash::MAX_SIZE);
            for hash in hashes {
                let then = before.pick(hash, 0).unwrap();
                if then != gone {
                    prop_assert_eq!(after.pick(hash, 0), Some(then));
                }
            }
        }

        /// With Envoy's sizes the remaining hosts gain entries, because the ring keeps its size. A request of a
        /// remaining host moves only to a new entry or not at all, and no more requests move than new entries exist.
        #[test]
        fn a_request_of_a_remaining_host_moves_only_to_a_new_entry(
            weights in prop::collection::vec(1u32..4, 2..14),
            gone in 0usize..14,
            seed: u64,
        ) {
            let gone = (gone % weights.len()) as u32;
            let all: Vec<(u32, u32)> = (0..).zip(weights).collect();
            let rest: Vec<(u32, u32)> = all.iter().copied().filter(|host| host.0 != gone).collect();
            let (before, after) = (ring(&all, 1024, 2048), ring(&rest, 1024, 2048));
            let stays = |entry: &&(u64, u32)| after.entries.binary_search(entry).is_ok();
            let kept = before.entries.iter().filter(stays).count();
            let (mut moved, hashes) = (0_usize, 2_000_usize);
            for draw in 0..hashes as u64 {
                let hash = xx_hash(&(seed ^ draw).to_le_bytes(), 1);
                let then = before.pick(hash, 0).unwrap();
                let now = after.pick(hash, 0).unwrap();
                if then == gone || then == now {
                    continue;
                }
                moved += 1;
                let entry = |ring: &HashRing| {
                    let found = ring.entries.partition_point(|(position, _)| *position < hash);
                    ring.entries[found % ring.entries.len()]
                };
                let (old, new) = (entry(&before), entry(&after));
                let is_new = before.entries.binary_search(&new).is_err();
                let is_lost = after.entries.binary_search(&old).is_err();
                prop_assert!(is_new || is_lost);
            }
            let new = (after.size() - kept) as f64 / after.size() as f64;
            let lost = before.entries.iter().filter(|entry| entry.1 != gone).count() - kept;
            let lost = lost as f64 / before.size() as f64;
            prop_assert!(moved as f64 <= hashes as f64 * (1.3 * (new + lost) + 0.04), "{moved}: {new} {lost}");
        }

        #[test]
        fn each_host_gets_about_its_share(weights in prop::collection::vec(1u32..6, 2..6), seed: u64) {
            let weighted: Vec<(u32, u32)> = (0..).zip(weights.iter().copied()).collect();
            let ring = ring(&weighted, 65_536, RingHash::MAX_SIZE);
            let sum: u32 = weights.iter().sum();
            let mut counts = vec![0_u32; weights.len()];
            for draw in 0..20_000_u64 {
                let hash = xx_hash(&(seed ^ draw).to_le_bytes(), 1);
                counts[ring.pick(hash, 0).unwrap() as usize] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let share = f64::from(*count) / 20_000.0;
                let wanted = f64::from(*weight) / f64::from(sum);
                prop_assert!((share - wanted).abs() < 0.03, "{share} for {wanted}");
            }
        }
    }
}
