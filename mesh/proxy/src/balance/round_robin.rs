//! Selects hosts in rotation.

/// Returns the next host of the rotation. The position is kept when the list changes, as in Envoy.
pub fn round_robin(hosts: usize, next: &mut u64) -> Option<usize> {
    if hosts == 0 {
        return None;
    }
    let index = *next % hosts as u64;
    *next = next.wrapping_add(1);
    usize::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_goes_on_from_where_it_starts() {
        let mut next = 7;
        let round: Vec<_> = (0..4).map(|_| round_robin(3, &mut next)).collect();
        assert_eq!(round, [Some(1), Some(2), Some(0), Some(1)]);
    }

    #[test]
    fn the_round_survives_its_counters_end() {
        let mut next = u64::MAX;
        assert_eq!(round_robin(2, &mut next), Some(1));
        assert_eq!(round_robin(2, &mut next), Some(0));
    }
}
