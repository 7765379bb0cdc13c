//! Expected latency: a moving average that jumps to every peak and decays over time, multiplied by the active requests.
//! Source: Finagle, `PeakEwma`.

use std::time::Duration;

use rand::Rng;
use rand::seq::index;
use shakedown_env::Time;

/// The cost of a host with active requests but without observations. Such a host is selected only if all others are
/// alike.
const PENALTY: f64 = f64::MAX / 2.0;

/// The moving average of one host's latency, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ewma {
    cost: f64,
    at: Time,
}

impl Ewma {
    /// Records the latency of an attempt.
    pub fn observe(&mut self, latency: Duration, decay: Duration, now: Time) {
        let seen = latency.as_nanos() as f64;
        let cost = self.cost;
        self.cost = if seen > cost {
            seen
        } else {
            let kept = kept(now.since(self.at), decay);
            cost * kept + seen * (1.0 - kept)
        };
        self.at = now;
    }

    /// The currently expected latency.
    pub fn value(&self, decay: Duration, now: Time) -> f64 {
        self.cost * kept(now.since(self.at), decay)
    }
}

/// The fraction of an observation that remains after `age`.
fn kept(age: Duration, decay: Duration) -> f64 {
    libm::exp(-(age.as_nanos() as f64) / decay.as_nanos().max(1) as f64)
}

/// The expected cost of an additional request: `latency * (active + 1)`, divided by the weight.
pub fn cost(latency: f64, active: u32, weight: u32) -> f64 {
    let active = f64::from(active);
    let cost = if latency == 0.0 && active > 0.0 {
        PENALTY + active
    } else {
        latency * (active + 1.0)
    };
    cost / f64::from(weight.max(1))
}

/// Returns the host of less cost among two different hosts drawn at random, the first drawn on a tie.
pub fn peak_ewma(
    hosts: usize,
    cost: impl Fn(usize) -> f64,
    random: &mut impl Rng,
) -> Option<usize> {
    let Some([first, second]) = index::sample_array(random, hosts) else {
        return (hosts == 1).then_some(0);
    };
    Some(if cost(second) < cost(first) {
        second
    } else {
        first
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);
    /// The middle and the largest of the 32-bit numbers with which hosts are drawn.
    const HALF: u64 = 1 << 31;
    const MOST: u64 = u32::MAX as u64;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let mut ewma = Ewma::default();
        ewma.observe(ms(10), DECAY, at(0));
        ewma.observe(ms(1000), DECAY, at(1));
        assert_eq!(ewma.value(DECAY, at(1)), 1e9);
        let faded = ewma.value(DECAY, at(11)) / 1e9;
        assert!((faded - 0.36788).abs() < 1e-4, "{faded}");
    }

    #[test]
    fn a_faster_try_counts_by_the_time_that_has_passed() {
        let mut ewma = Ewma::default();
        ewma.observe(ms(100), DECAY, at(0));
        ewma.observe(ms(0), DECAY, at(0));
        assert_eq!(ewma.value(DECAY, at(0)), 1e8, "no time has passed");
        ewma.observe(ms(0), DECAY, at(10));
        assert!((ewma.value(DECAY, at(10)) / 1e8 - 0.36788).abs() < 1e-4);
    }

    #[test]
    fn requests_in_hand_multiply_the_latency_and_weight_divides_it() {
        assert_eq!(cost(5.0, 3, 1), 20.0);
        assert_eq!(cost(5.0, 3, 2), 10.0);
        assert!(cost(0.0, 1, 1) > cost(1e12, 1000, 1), "never observed");
        assert_eq!(cost(0.0, 0, 1), 0.0);
    }

    #[test]
    fn two_different_hosts_are_compared() {
        let costs = [3.0, 2.0, 1.0];
        let pick = |draws: &[u64]| peak_ewma(3, |i| costs[i], &mut Script::new(draws));
        assert_eq!(pick(&[0, HALF]), Some(1), "0 and 1 are drawn");
        assert_eq!(pick(&[0, 0]), Some(2), "2 and 0 are drawn");
        assert_eq!(pick(&[HALF, MOST]), Some(2), "1 and 2 are drawn");
        assert_eq!(peak_ewma(1, |_| 1.0, &mut Script::new(&[])), Some(0));
        assert_eq!(peak_ewma(0, |_| 1.0, &mut Script::new(&[])), None);
    }

    #[test]
    fn of_two_alike_the_first_drawn_is_taken() {
        let pick = |draws: &[u64]| peak_ewma(3, |_| 1.0, &mut Script::new(draws));
        assert_eq!((pick(&[0, HALF]), pick(&[0, 0])), (Some(0), Some(2)));
    }
}
