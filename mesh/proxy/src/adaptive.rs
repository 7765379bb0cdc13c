//! Adaptive concurrency: derives the limit of concurrent requests from their latency.
//!
//! From time to time the limit is lowered to its minimum to measure the latency of requests that do not queue (the
//! minimum round trip). In between, the latency of each window is compared with it: the limit grows while they agree,
//! and shrinks when requests begin to queue. A plain state machine, with the time as a parameter.
//! Source: Envoy, `adaptive_concurrency` filter, `GradientController`.

use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::AdaptiveConcurrency as Settings;

/// The maximum number of samples kept per window. The latest are kept.
const SAMPLES_MAX: usize = 10_000;
/// The number of consecutive windows at the minimum limit after which the minimum round trip is measured again, because
/// it is probably wrong.
const WINDOWS_AT_LEAST: u32 = 5;
const PPM: u64 = 1_000_000;

/// The controller of one listener's filter.
#[derive(Debug)]
pub struct Adaptive {
    settings: Settings,
    limit: u32,
    in_hand: u32,
    min_rtt_ns: u64,
    samples: Samples,
    phase: GradientPhase,
    /// Requests that began before this time belong to an earlier measurement and are ignored.
    epoch: Time,
    windows_at_least: u32,
}

#[derive(Clone, Copy, Debug)]
enum GradientPhase {
    /// The minimum round trip is being measured. The limit is restored to this value afterwards.
    Measuring { limit_before: u32 },
    /// The limit follows the round trips.
    Following {
        /// The time of the next update of the limit.
        update_at: Time,
        /// The time of the next measurement of the minimum.
        measure_at: Time,
    },
}

/// The round trips of a window, in ns.
#[derive(Debug, Default)]
struct Samples {
    kept: Vec<u64>,
    /// The index of the next sample to replace once the maximum is reached.
    next: usize,
}

impl Adaptive {
    /// Creates a controller, which begins with a measurement.
    pub fn new(settings: Settings, now: Time) -> Adaptive {
        Adaptive {
            settings,
            limit: settings.limit_min,
            in_hand: 0,
            min_rtt_ns: 0,
            samples: Samples::default(),
            phase: GradientPhase::Measuring {
                limit_before: settings.limit_min,
            },
            epoch: now,
            windows_at_least: 0,
        }
    }

    /// The current limit of concurrent requests.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns true if a request is admitted. It must then end with [`Adaptive::finished`] or [`Adaptive::cancelled`].
    pub fn admit(&mut self, now: Time) -> bool {
        self.advance(now);
        let admitted = self.in_hand < self.limit;
        self.in_hand += u32::from(admitted);
        admitted
    }

    /// Records the response to a request that began at `started`. `random` is called for the jitter of the next
    /// measurement.
    pub fn finished(&mut self, started: Time, now: Time, random: impl FnOnce() -> u64) {
        self.in_hand -= 1;
        self.advance(now);
        if started < self.epoch {
            return;
        }
        let took = u64::try_from(now.since(started).as_nanos()).unwrap_or(u64::MAX);
        self.samples.add(took.max(1));
        if let GradientPhase::Measuring { limit_before } = self.phase
            && self.samples.kept.len() >= self.settings.min_rtt_requests as usize
        {
            self.measured(limit_before, now, random());
        }
    }

    /// Records a request that ended without a response, whose latency is ignored.
    pub fn cancelled(&mut self) {
        self.in_hand -= 1;
    }

    /// Performs updates that are due. Several windows without requests count as one.
    fn advance(&mut self, now: Time) {
        let GradientPhase::Following {
            update_at,
            measure_at,
        } = self.phase
        else {
            return;
        };
        if update_at <= now {
            if let Some(rtt) = self.samples.take(self.settings.percentile_ppm) {
                self.set(self.follow(rtt));
            }
            self.phase = GradientPhase::Following {
                update_at: now + self.settings.update_interval,
                measure_at,
            };
        }
        if measure_at <= now || self.windows_at_least >= WINDOWS_AT_LEAST {
            self.measure(now);
        }
    }

    fn measure(&mut self, now: Time) {
        self.phase = GradientPhase::Measuring {
            limit_before: self.limit,
        };
        self.limit = self.settings.limit_min;
        self.windows_at_least = 0;
        self.samples.kept.clear();
        self.samples.next = 0;
        self.epoch = now;
    }

    fn measured(&mut self, limit_before: u32, now: Time, random: u64) {
        if let Some(rtt) = self.samples.take(self.settings.percentile_ppm) {
            self.min_rtt_ns = rtt;
        }
        self.limit = limit_before;
        let interval = self.settings.min_rtt_interval;
        let jitter = share(nanos(interval), self.settings.min_rtt_jitter_ppm);
        let jitter = if jitter == 0 { 0 } else { random % jitter };
        self.phase = GradientPhase::Following {
            update_at: now + self.settings.update_interval,
            measure_at: now + interval + Duration::from_nanos(jitter),
        };
    }

    /// The new limit after a window: the old one times the gradient, which is clamped to [0.5, 2], plus the square root
    /// of the product as headroom for bursts. Computed in integers, in parts per million.
    fn follow(&self, rtt_ns: u64) -> u32 {
        let room = share(self.min_rtt_ns, self.settings.buffer_ppm);
        let buffered = self.min_rtt_ns.saturating_add(room);
        let gradient = u128::from(buffered) * u128::from(PPM) / u128::from(rtt_ns.max(1));
        let gradient = gradient.clamp(u128::from(PPM / 2), u128::from(2 * PPM));
        // The product is scaled by a million, so its square root is scaled by a thousand.
        let scaled = u128::from(self.limit) * gradient;
        let limit = (scaled + scaled.isqrt() * 1000) / u128::from(PPM);
        u32::try_from(limit)
            .unwrap_or(u32::MAX)
            .min(self.settings.limit_max)
            .max(self.settings.limit_min)
    }

    fn set(&mut self, limit: u32) {
        let least = self.settings.limit_min;
        self.windows_at_least = if self.limit == least && limit == least {
            self.windows_at_least + 1
        } else {
            0
        };
        self.limit = limit;
    }
}

impl Samples {
    fn add(&mut self, sample: u64) {
        if self.kept.len() < SAMPLES_MAX {
            self.kept.push(sample);
            return;
        }
        self.kept[self.next] = sample;
        self.next = (self.next + 1) % SAMPLES_MAX;
    }

    /// Returns the percentile of the samples and clears them; `None` without samples.
    fn take(&mut self, percentile_ppm: u32) -> Option<u64> {
        let count = self.kept.len();
        if count == 0 {
            return None;
        }
        let rank = (count as u64 * u64::from(percentile_ppm)).div_ceil(PPM);
        let index = usize::try_from(rank.saturating_sub(1))
            .unwrap_or(0)
            .min(count - 1);
        let value = *self.kept.select_nth_unstable(index).1;
        self.kept.clear();
        self.next = 0;
        Some(value)
    }
}

fn share(of: u64, ppm: u32) -> u64 {
    u64::try_from(u128::from(of) * u128::from(ppm) / u128::from(PPM)).unwrap_or(u64::MAX)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn settings() -> Settings {
        Settings {
            min_rtt_requests: 5,
            min_rtt_jitter_ppm: 0,
            ..Settings::default()
        }
    }

    /// A controller that measured a minimum of 10 ms at 10 ms.
    fn measured() -> Adaptive {
        let mut controller = Adaptive::new(settings(), at(0));
        for _ in 0..5 {
            assert!(controller.admit(at(0)));
            controller.finished(at(0), at(10), || 0);
        }
        controller
    }

    /// Runs a window's requests, each with this latency, which end at `end_ms`.
    fn window(controller: &mut Adaptive, end_ms: u64, took_ms: u64) {
        for _ in 0..3 {
            assert!(controller.admit(at(end_ms - took_ms)));
            controller.finished(at(end_ms - took_ms), at(end_ms), || 0);
        }
    }

    #[test]
    fn no_more_than_the_least_are_admitted_while_the_minimum_is_measured() {
        let mut controller = Adaptive::new(settings(), at(0));
        let admitted = (0..10).filter(|_| controller.admit(at(0))).count();
        assert_eq!(admitted, 3);
    }

    #[test]
    fn the_limit_grows_by_its_square_root_while_rtt_stays_minimal() {
        let mut controller = measured();
        window(&mut controller, 60, 10);
        assert!(controller.admit(at(111)));
        // 3 * 1.25 + sqrt(3 * 1.25) = 5.69.
        assert_eq!(controller.limit(), 5);
    }

    #[test]
    fn the_limit_halves_at_most_and_never_falls_below_the_least() {
        let mut controller = measured();
        controller.limit = 100;
        window(&mut controller, 60, 50);
        window(&mut controller, 105, 50);
        controller.advance(at(120));
        // 100 / 2 + sqrt(50) = 57.07.
        assert_eq!(controller.limit(), 57);
        controller.limit = 3;
        window(&mut controller, 230, 50);
        assert_eq!(controller.limit(), 3);
    }

    #[test]
    fn the_minimum_rtt_is_remeasured_after_its_interval_and_the_limit_restored() {
        let mut controller = measured();
        controller.limit = 40;
        controller.advance(at(60_011));
        assert_eq!(controller.limit(), 3);
        for _ in 0..5 {
            assert!(controller.admit(at(60_020)));
            controller.finished(at(60_020), at(60_040), || 0);
        }
        assert_eq!((controller.limit(), controller.min_rtt_ns), (40, 20 * MS));
    }

    #[test]
    fn five_windows_at_the_least_measure_anew() {
        let mut controller = measured();
        for turn in 1..=5 {
            window(&mut controller, 10 + 110 * turn, 50);
        }
        controller.advance(at(700));
        assert!(matches!(controller.phase, GradientPhase::Measuring { .. }));
    }

    #[test]
    fn a_request_from_before_a_measurement_is_no_sample_of_it() {
        let mut controller = measured();
        assert!(controller.admit(at(20)));
        controller.advance(at(60_011));
        controller.finished(at(20), at(60_012), || 0);
        assert!(controller.samples.kept.is_empty());
    }

    #[test]
    fn a_cancelled_request_makes_room_and_leaves_no_sample() {
        let mut controller = Adaptive::new(settings(), at(0));
        (0..3).for_each(|_| assert!(controller.admit(at(0))));
        assert!(!controller.admit(at(1)));
        controller.cancelled();
        assert!(controller.admit(at(1)));
        assert!(controller.samples.kept.is_empty());
    }

    #[test]
    fn the_latest_samples_are_kept_once_room_is_taken() {
        let mut samples = Samples::default();
        (0..SAMPLES_MAX as u64 * 2).for_each(|sample| samples.add(sample));
        assert_eq!(samples.take(0), Some(SAMPLES_MAX as u64));
        assert_eq!(samples.take(0), None);
    }

    #[test]
    fn a_window_ends_on_time_and_the_next_starts_at_that_observation() {
        let mut controller = measured();
        window(&mut controller, 60, 10);
        controller.advance(at(109));
        assert_eq!(controller.limit(), 3);
        controller.advance(at(110));
        assert_eq!(controller.limit(), 5);
        // No request arrived for a while: the window due at 210 ms ends now, and the next one in 100 ms.
        controller.advance(at(275));
        window(&mut controller, 280, 1);
        controller.advance(at(374));
        assert_eq!(controller.limit(), 5);
        controller.advance(at(375));
        assert_eq!(controller.limit(), 13, "twice 5, and the root of 10");
    }

    #[test]
    fn the_limit_doubles_at_most_and_never_rises_above_the_greatest() {
        let mut controller = measured();
        controller.limit = 100;
        window(&mut controller, 60, 1);
        controller.advance(at(110));
        // 100 * 2 + sqrt(200) = 214.1.
        assert_eq!(controller.limit(), 214);
        controller.limit = 900;
        window(&mut controller, 160, 10);
        controller.advance(at(210));
        assert_eq!(controller.limit(), 1000);
    }

    #[test]
    fn the_minimum_rtt_is_remeasured_on_schedule_plus_at_most_the_jitter() {
        for (random, due) in [(0, 60_010), (4_000 * MS, 64_010), (10_000 * MS, 61_010)] {
            let settings = Settings {
                min_rtt_requests: 1,
                min_rtt_jitter_ppm: 150_000,
                ..Settings::default()
            };
            let mut controller = Adaptive::new(settings, at(0));
            assert!(controller.admit(at(0)));
            controller.finished(at(0), at(10), || random);
            controller.advance(at(due - 1));
            assert!(
                matches!(controller.phase, GradientPhase::Following { .. }),
                "{due}"
            );
            controller.advance(at(due));
            assert!(
                matches!(controller.phase, GradientPhase::Measuring { .. }),
                "{due}"
            );
        }
    }

    #[test]
    fn a_measurement_goes_by_its_own_requests_alone() {
        let mut controller = measured();
        // Two samples of the window that the measurement interrupts.
        for _ in 0..2 {
            assert!(controller.admit(at(60_000)));
            controller.finished(at(60_000), at(60_005), || 0);
        }
        controller.advance(at(60_010));
        for _ in 0..4 {
            assert!(controller.admit(at(60_020)));
            controller.finished(at(60_020), at(60_040), || 0);
        }
        assert!(matches!(controller.phase, GradientPhase::Measuring { .. }));
    }

    #[test]
    fn windows_at_the_least_count_anew_after_a_measurement() {
        let mut controller = measured();
        controller.windows_at_least = WINDOWS_AT_LEAST;
        controller.advance(at(20));
        assert!(matches!(controller.phase, GradientPhase::Measuring { .. }));
        for _ in 0..5 {
            assert!(controller.admit(at(20)));
            controller.finished(at(20), at(30), || 0);
        }
        controller.advance(at(40));
        assert!(matches!(controller.phase, GradientPhase::Following { .. }));
    }

    #[test]
    fn the_window_that_reaches_the_minimum_limit_is_not_counted() {
        let mut controller = measured();
        controller.set(4);
        for _ in 0..5 {
            controller.set(3);
        }
        assert_eq!(controller.windows_at_least, 4);
    }

    #[test]
    fn a_percentile_is_of_the_rank_above_where_it_falls_between_two() {
        let mut samples = Samples::default();
        [3, 1, 2].into_iter().for_each(|sample| samples.add(sample));
        assert_eq!(samples.take(500_000), Some(2));
    }
}
