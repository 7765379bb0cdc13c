//! The counters of a version's pods, kept for the longest window of its canary's metrics.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use shakedown_env::Time;

/// The bound of the last bucket, `+Inf`.
pub(super) const UNBOUNDED: u64 = u64::MAX;
/// The maximum number of samples kept per pod, enough for one scrape per second for an hour. The oldest are dropped.
const SAMPLES_MAX: usize = 3_600;
/// The resolution of bucket bounds, in parts per millisecond.
const PARTS: u128 = 1_000_000;

/// The counters of one pod since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodCounts {
    pub(super) requests: u64,
    /// Requests answered with a 5xx.
    pub(super) errors: u64,
    /// The number of requests by the upper bound of their duration, in millionths of a millisecond. Cumulative, as in
    /// Prometheus.
    pub(super) buckets: BTreeMap<u64, u64>,
}

impl PodCounts {
    /// The increase since `earlier`. A counter that is lower than before was reset, and counts from zero.
    fn since(&self, earlier: &PodCounts) -> PodCounts {
        if self.requests < earlier.requests || self.errors < earlier.errors {
            return self.clone();
        }
        let before = |bound: &u64| earlier.buckets.get(bound).copied().unwrap_or(0);
        let bucket = |(bound, count): (&u64, &u64)| (*bound, count.saturating_sub(before(bound)));
        PodCounts {
            requests: self.requests - earlier.requests,
            errors: self.errors - earlier.errors,
            buckets: self.buckets.iter().map(bucket).collect(),
        }
    }

    fn add(&mut self, other: &PodCounts) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (bound, count) in &other.buckets {
            *self.buckets.entry(*bound).or_default() += count;
        }
    }
}

/// The sum over all pods in a time window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WindowCounts {
    pub(super) counts: PodCounts,
    /// The time from the first to the last sample used.
    pub(super) covered: Duration,
}

/// A quantile, in millionths of a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantile {
    /// A value interpolated within its bucket.
    At(u64),
    /// A value in the last bucket, above this highest finite bound.
    Above(u64),
}

impl WindowCounts {
    /// The 99th percentile of durations; `None` without requests. Source: Prometheus, `histogram_quantile`: linear
    /// within a bucket, and the first bucket starts at 0.
    pub(super) fn p99(&self) -> Option<Quantile> {
        let total = u128::from(*self.counts.buckets.get(&UNBOUNDED)?);
        if total == 0 {
            return None;
        }
        // In hundredths of a request.
        let rank = total * 99;
        let (mut lower, mut before) = (0, 0);
        for (bound, count) in &self.counts.buckets {
            let count = u128::from(*count);
            if count * 100 >= rank {
                if *bound == UNBOUNDED {
                    break;
                }
                let (inside, width) = (count - before, u128::from(bound - lower));
                let part = width * (rank - before * 100) / (inside * 100).max(1);
                let part = u64::try_from(part).expect("a part is at most as wide as its bucket");
                return Some(Quantile::At(lower + part));
            }
            (lower, before) = (*bound, count);
        }
        Some(Quantile::Above(lower))
    }
}

/// The samples of each pod, in the order of time.
#[derive(Debug, Default)]
pub(super) struct History {
    pods: BTreeMap<IpAddr, VecDeque<(Time, PodCounts)>>,
}

impl History {
    /// Adds the counters of a pod at `at`, and drops samples that are not needed for `keep`.
    pub(super) fn add(&mut self, pod: IpAddr, at: Time, counts: PodCounts, keep: Duration) {
        let samples = self.pods.entry(pod).or_default();
        samples.push_back((at, counts));
        // The youngest of the expired samples is kept: a window starts with it.
        while samples.len() > SAMPLES_MAX
            || samples.get(1).is_some_and(|(time, _)| *time + keep <= at)
        {
            samples.pop_front();
        }
    }

    /// The increase within the last `span`, as far as samples exist. A pod counts from its first sample on.
    pub(super) fn window(&self, now: Time, span: Duration) -> WindowCounts {
        let mut window = WindowCounts::default();
        for samples in self.pods.values() {
            let begin = samples.partition_point(|(time, _)| *time + span <= now);
            let used = samples.iter().skip(begin.saturating_sub(1));
            for ((_, earlier), (_, later)) in used.clone().zip(used.clone().skip(1)) {
                window.counts.add(&later.since(earlier));
            }
            if let (Some((first, _)), Some((last, _))) = (used.clone().next(), used.last()) {
                window.covered = window.covered.max(last.since(*first));
            }
        }
        window
    }
}

/// Formats a duration in millionths of a millisecond: `812 ms`, `0.7 ms`.
pub(super) fn millis(parts: u64) -> String {
    let tenths = u128::from(parts) * 10 / PARTS;
    if tenths < 100 && !tenths.is_multiple_of(10) {
        return format!("{}.{} ms", tenths / 10, tenths % 10);
    }
    format!("{} ms", tenths / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 1, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 1, 0, 2));

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn counts(requests: u64, errors: u64) -> PodCounts {
        PodCounts {
            requests,
            errors,
            buckets: BTreeMap::new(),
        }
    }

    fn history(samples: &[(IpAddr, u64, u64, u64)]) -> History {
        let mut history = History::default();
        for (pod, at, requests, errors) in samples {
            history.add(*pod, Time::ZERO + s(*at), counts(*requests, *errors), s(60));
        }
        history
    }

    fn window(history: &History, now: u64) -> (u64, u64, u64) {
        let window = history.window(Time::ZERO + s(now), s(60));
        let counts = window.counts;
        (counts.requests, counts.errors, window.covered.as_secs())
    }

    #[test]
    fn a_window_is_the_difference_of_its_ends() {
        let history = history(&[(POD, 0, 5, 1), (POD, 30, 20, 2), (POD, 60, 50, 2)]);
        assert_eq!(window(&history, 60), (45, 1, 60));
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let history = history(&[(POD, 0, 0, 0), (POD, 30, 90, 90), (POD, 90, 100, 91)]);
        assert_eq!(window(&history, 90), (10, 1, 60));
    }

    #[test]
    fn a_counter_that_begins_anew_counts_from_nothing() {
        let history = history(&[
            (POD, 0, 100, 0),
            (POD, 15, 110, 0),
            (POD, 30, 4, 1),
            (POD, 45, 6, 1),
        ]);
        assert_eq!(window(&history, 45), (16, 1, 45));
    }

    #[test]
    fn pods_are_summed_and_each_counts_from_its_first_sample() {
        let history = history(&[
            (POD, 0, 0, 0),
            (POD, 30, 10, 1),
            (OTHER, 15, 500, 500),
            (OTHER, 30, 505, 501),
        ]);
        assert_eq!(window(&history, 30), (15, 2, 30));
    }

    #[test]
    fn old_samples_are_dropped_except_the_one_at_the_window_start() {
        let mut kept = history(&[(POD, 0, 0, 0)]);
        for at in 1..1_000 {
            kept.add(POD, Time::ZERO + s(at), counts(at, 0), s(60));
        }
        assert_eq!(kept.pods[&POD].len(), 61);
        assert_eq!(window(&kept, 999), (60, 0, 60));
    }

    fn quantile(buckets: &[(u64, u64)]) -> Option<Quantile> {
        let parts = |(bound, count): &(u64, u64)| match *bound {
            UNBOUNDED => (UNBOUNDED, *count),
            ms => (ms * 1_000_000, *count),
        };
        let counts = PodCounts {
            buckets: buckets.iter().map(parts).collect(),
            ..PodCounts::default()
        };
        WindowCounts {
            counts,
            covered: s(60),
        }
        .p99()
    }

    #[test]
    fn the_p99_is_interpolated_within_its_bucket() {
        // Rank 198 of 200 is 8 tenths into the bucket from 100 to 250 ms, which has the 191st to the 200th.
        let buckets = [(50, 100), (100, 190), (250, 200), (UNBOUNDED, 200)];
        assert_eq!(quantile(&buckets), Some(Quantile::At(220_000_000)));
        // The first bucket starts at 0.
        let first = [(100, 10), (UNBOUNDED, 10)];
        assert_eq!(quantile(&first), Some(Quantile::At(99_000_000)));
    }

    #[test]
    fn a_p99_in_the_last_bucket_is_above_the_highest_bound() {
        let buckets = [(100, 90), (UNBOUNDED, 100)];
        assert_eq!(quantile(&buckets), Some(Quantile::Above(100_000_000)));
    }

    #[test]
    fn no_requests_have_no_p99() {
        assert_eq!(quantile(&[(100, 0), (UNBOUNDED, 0)]), None);
        assert_eq!(quantile(&[]), None);
    }
}
