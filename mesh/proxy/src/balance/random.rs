//! Uniformly random selection.

use rand::Rng;

/// Draws a host uniformly: a random number modulo the number of hosts, as in Envoy.
pub fn any(hosts: usize, random: &mut impl Rng) -> Option<usize> {
    of_number(hosts, if hosts == 0 { 0 } else { random.next_u64() })
}

/// Returns the host for a random number.
pub fn of_number(hosts: usize, random: u64) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    usize::try_from(random % hosts as u64).ok()
}
