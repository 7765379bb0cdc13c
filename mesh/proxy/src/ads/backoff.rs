//! The wait before the next attempt to open an ADS stream.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// Source: Envoy, `GrpcStream`'s `RETRY_INITIAL_DELAY_MS` and `RETRY_MAX_DELAY_MS`.
const BASE: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(30);

/// Exponential backoff with full jitter: the ceiling doubles from [`BASE`] to [`MOST`], and each wait is drawn
/// uniformly below it, so that proxies that lost their control plane together do not reconnect together.
#[derive(Debug)]
pub(super) struct ReconnectBackoff {
    ceiling: Duration,
}

impl ReconnectBackoff {
    pub(super) fn new() -> ReconnectBackoff {
        ReconnectBackoff { ceiling: BASE }
    }

    /// Draws the next wait, and doubles the ceiling.
    pub(super) fn next(&mut self, random: &mut impl Rng) -> Duration {
        let ceiling = u64::try_from(self.ceiling.as_nanos()).expect("30 s fit into 64 bits");
        self.ceiling = (self.ceiling * 2).min(MOST);
        Duration::from_nanos(random.random_range(0..ceiling))
    }

    /// Starts over, because the control plane answered.
    pub(super) fn reset(&mut self) {
        self.ceiling = BASE;
    }
}

#[cfg(test)]
mod tests {
    use shakedown_env::stream_seed;

    use super::*;

    #[test]
    fn waits_stay_below_a_doubling_ceiling_until_an_answer() {
        let mut rng = stream_seed(1, "test", "backoff");
        let mut backoff = ReconnectBackoff::new();
        let mut longest = Duration::ZERO;
        for n in 0..40u32 {
            let wait = backoff.next(&mut rng);
            assert!(
                wait < MOST.min(BASE * 2u32.pow(n.min(7))),
                "wait {n} was {wait:?}"
            );
            longest = longest.max(wait);
        }
        assert!(longest > MOST / 2, "the ceiling grows: {longest:?}");
        backoff.reset();
        assert!(backoff.next(&mut rng) < BASE);
    }
}
