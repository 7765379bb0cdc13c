//! Client-side adaptive throttling: a proxy stops sending a share of the requests to an upstream that refuses some.
//!
//! A request is refused with probability `max(0, (requests - k * accepts) / (requests + 1))` over the last window, so
//! an overloaded upstream receives about `k` times the requests that it accepts. Time and randomness are parameters.
//! Source: "Site Reliability Engineering", chapter 21, "Handling Overload", client-side throttling.

use rand::{Rng, RngExt as _};
use shakedown_env::Time;
use shakedown_xds::table::AdaptiveThrottle as Settings;

/// The number of slices of a window, which expire one by one.
const SLICES: usize = 10;
/// The scale of `k`, which is given in thousandths.
const K_SCALE: u64 = 1000;

/// The throttle of one cluster.
#[derive(Debug)]
pub struct Throttle {
    settings: Settings,
    slices: [ThrottleSlice; SLICES],
    /// The number of the current slice, counted from time 0.
    current: u64,
    /// The sum of all slices.
    total: ThrottleSlice,
}

#[derive(Clone, Copy, Debug, Default)]
struct ThrottleSlice {
    requests: u64,
    accepts: u64,
}

impl Throttle {
    /// Creates a throttle without observations, which refuses nothing.
    pub fn new(settings: Settings) -> Throttle {
        Throttle {
            settings,
            slices: [ThrottleSlice::default(); SLICES],
            current: 0,
            total: ThrottleSlice::default(),
        }
    }

    /// Returns true if a request may be sent. It is counted in either case, as in the source, because refused requests
    /// are part of the demand.
    pub fn admit(&mut self, now: Time, random: &mut impl Rng) -> bool {
        self.advance(now);
        let ThrottleSlice { requests, accepts } = self.total;
        let allowed = accepts.saturating_mul(u64::from(self.settings.k_milli));
        let excess = (requests * K_SCALE).saturating_sub(allowed);
        let slice = self.slice();
        slice.requests += 1;
        self.total.requests += 1;
        // False with a probability of excess / (requests + 1), in whole numbers.
        random.random_range(0..(requests + 1) * K_SCALE) >= excess
    }

    /// Records that the upstream accepted a request: its response does not indicate overload.
    pub fn accepted(&mut self, now: Time) {
        self.advance(now);
        self.slice().accepts += 1;
        self.total.accepts += 1;
    }

    fn slice(&mut self) -> &mut ThrottleSlice {
        &mut self.slices[usize::try_from(self.current % SLICES as u64).unwrap_or(0)]
    }

    /// Removes expired slices from the window.
    fn advance(&mut self, now: Time) {
        let length = (self.settings.window.as_nanos() / SLICES as u128).max(1);
        let number = u64::try_from(u128::from(now.as_nanos()) / length).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.current).min(SLICES as u64);
        for _ in 0..passed {
            self.current += 1;
            let gone = std::mem::take(self.slice());
            self.total.requests -= gone.requests;
            self.total.accepts -= gone.accepts;
        }
        self.current = self.current.max(number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use shakedown_env::stream_seed;

    use super::*;
    use crate::tests::constant_rng::ConstantRng;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn settings() -> Settings {
        Settings {
            window: Duration::from_secs(10),
            ..Settings::default()
        }
    }

    #[test]
    fn an_upstream_that_accepts_everything_is_never_throttled() {
        let mut throttle = Throttle::new(settings());
        for ms in 0..5_000 {
            assert!(throttle.admit(at(ms), &mut ConstantRng(0)));
            throttle.accepted(at(ms));
        }
    }

    #[test]
    fn an_upstream_that_accepts_half_is_not_throttled_with_k_two() {
        let mut throttle = Throttle::new(settings());
        for ms in 0..2_000 {
            assert!(
                throttle.admit(at(ms), &mut ConstantRng(1 << 60)),
                "request {ms}"
            );
            if ms % 2 == 0 {
                throttle.accepted(at(ms));
            }
        }
    }

    #[test]
    fn a_dead_upstream_gets_next_to_nothing() {
        let mut throttle = Throttle::new(settings());
        let mut rng = stream_seed(1, "test", "throttle");
        let sent = (0..10_000)
            .filter(|ms| throttle.admit(at(*ms), &mut rng))
            .count();
        assert!(sent < 100, "{sent} of 10,000 were sent");
    }

    #[test]
    fn what_is_sent_settles_near_k_times_what_is_accepted() {
        let mut throttle = Throttle::new(settings());
        let mut rng = stream_seed(1, "test", "throttle");
        let (mut sent, mut accepted) = (0_u32, 0_u32);
        // 1,000/s are offered, the upstream accepts 100/s.
        for ms in 0..60_000 {
            if throttle.admit(at(ms), &mut rng) {
                sent += u32::from(ms >= 30_000);
                if ms / 10 > u64::from(accepted) {
                    accepted += 1;
                    throttle.accepted(at(ms));
                }
            }
        }
        let rate = sent / 30;
        assert!((190..=215).contains(&rate), "{rate}/s were sent");
    }

    #[test]
    fn the_window_forgets() {
        let mut throttle = Throttle::new(settings());
        (0..1_000).for_each(|ms| {
            throttle.admit(at(ms), &mut ConstantRng(0));
        });
        assert!(!throttle.admit(at(9_000), &mut ConstantRng(0)));
        assert!(throttle.admit(at(20_000), &mut ConstantRng(0)));
    }

    #[test]
    fn a_clock_that_goes_backwards_forgets_nothing() {
        let mut throttle = Throttle::new(settings());
        (0..1_000).for_each(|_| {
            throttle.admit(at(9_500), &mut ConstantRng(0));
        });
        throttle.accepted(at(500));
        // If the old time moved the current slice back, advancing to 9 s again would clear the requests counted there.
        assert!(!throttle.admit(at(9_500), &mut ConstantRng(0)));
        assert!(!throttle.admit(at(18_000), &mut ConstantRng(0)));
        assert!(throttle.admit(at(40_000), &mut ConstantRng(0)));
    }

    proptest! {
        #[test]
        fn no_sequence_of_events_makes_it_panic(events in prop::collection::vec((any::<bool>(), 0_u64..20_000, any::<u64>()), 0..200)) {
            let mut throttle = Throttle::new(settings());
            for (accept, ms, random) in events {
                if accept {
                    throttle.accepted(at(ms));
                } else {
                    throttle.admit(at(ms), &mut ConstantRng(random));
                }
            }
        }
    }
}
