//! The search for a peak in a series of counts.

/// The peak of a series, with the interval around it in which the values are far above the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hump {
    /// First bin; `to` is exclusive.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) peak: u64,
}

impl Hump {
    /// Minimum value of a peak.
    const LEAST: u64 = 10;
    /// Minimum ratio of a peak to the usual value.
    const TIMES: u64 = 4;

    /// Finds the peak; `None` if no value is far above the usual one.
    pub(super) fn find(numbers: &[u64]) -> Option<Hump> {
        let (at, peak) = numbers
            .iter()
            .enumerate()
            .max_by_key(|(at, number)| (**number, std::cmp::Reverse(*at)))?;
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        // The usual value is the lower quartile, so that values that stay high for most of a run are found,
        // too.
        let usual = sorted[sorted.len() / 4];
        let floor = usual.max(1) * Hump::TIMES;
        if *peak < Hump::LEAST.max(floor) {
            return None;
        }
        let level = (peak / 10).max(floor / 2).max(1);
        let below = |number: &u64| *number < level;
        let from = numbers[..at].iter().rposition(below).map_or(0, |at| at + 1);
        let to = numbers[at..]
            .iter()
            .position(below)
            .map_or(numbers.len(), |after| at + after);
        Some(Hump {
            from,
            to,
            peak: *peak,
        })
    }
}
