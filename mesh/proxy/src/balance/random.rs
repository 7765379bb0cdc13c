//! Any host.

use rand_core::Rng;

/// A host drawn uniformly: random modulo their number, as in Envoy.
pub fn any(hosts: usize, random: &mut impl Rng) -> Option<usize> {
    of_number(hosts, if hosts == 0 { 0 } else { random.next_u64() })
}

/// The host for a random number.
pub fn of_number(hosts: usize, random: u64) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    usize::try_from(random % hosts as u64).ok()
}
