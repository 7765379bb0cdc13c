//! The backoff before a retry, in whole milliseconds like Envoy's timers.

use std::time::Duration;

use http::HeaderMap;
use shakedown_env::UnixTime;
use shakedown_xds::table::{RateLimitedBackOff, ResetFormat, RetryPolicy};

/// The backoffs of one request: uniform below a bound that starts at the base interval and doubles up to the maximum.
///
/// Envoy's documentation gives (2^N - 1) times the base as the bound before retry N, but its code and behaviour use
/// 2^(N-1) times.
/// Source: Envoy, `JitteredExponentialBackOffStrategy`; measured with Envoy 1.40: 25, 50, 100, 200, 250 ms.
#[derive(Clone, Copy, Debug)]
pub struct RetryBackoff {
    next: u64,
    most: u64,
}

impl RetryBackoff {
    /// Creates the backoff of a policy.
    pub fn new(policy: &RetryPolicy) -> RetryBackoff {
        let base = millis(policy.base_interval).max(1);
        RetryBackoff {
            next: base,
            most: millis(policy.max_interval).max(base),
        }
    }

    /// Returns the backoff before the next retry.
    pub fn next(&mut self, random: u64) -> Duration {
        let bound = self.next;
        self.next = if bound < self.most / 2 {
            bound * 2
        } else {
            self.most
        };
        Duration::from_millis(random % bound)
    }
}

/// Returns the backoff named by a response: the first valid value in the policy's headers that is at most the policy's
/// maximum. `None` if it is at most 1 ms.
/// Source: Envoy, `RetryStateImpl::parseResetInterval`.
pub fn rate_limited(
    policy: &RateLimitedBackOff,
    headers: &HeaderMap,
    now: UnixTime,
) -> Option<Duration> {
    let named = policy.headers.iter().find_map(|header| {
        let text = headers.get(&header.name)?.to_str().ok()?;
        let number: u64 = text.trim().parse().ok()?;
        let seconds = match header.format {
            ResetFormat::Seconds => number,
            ResetFormat::UnixTimestamp => number.checked_sub(now.as_nanos() / 1_000_000_000)?,
        };
        Some(Duration::from_secs(seconds)).filter(|span| *span <= policy.max_interval)
    });
    named.filter(|span| *span > Duration::from_millis(1))
}

/// Draws from a duration to one and a half of it. Source: Envoy, `JitteredLowerBoundBackOffStrategy`.
pub(super) fn jittered(span: Duration, random: u64) -> Duration {
    let span = millis(span);
    let half = (span / 2).max(1);
    Duration::from_millis(span.saturating_add(random % half))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use shakedown_xds::table::ResetHeader;

    use super::*;

    fn longest(base: u64, max: u64) -> Vec<u64> {
        let policy = RetryPolicy {
            base_interval: Duration::from_millis(base),
            max_interval: Duration::from_millis(max),
            ..RetryPolicy::default()
        };
        let most = |retry: usize| {
            let wait = |random| {
                let mut backoff = RetryBackoff::new(&policy);
                let waits = (0..=retry).map(|_| backoff.next(random));
                waits.last().unwrap().as_millis() as u64
            };
            (0..5000).map(wait).max().unwrap()
        };
        (0..6).map(most).collect()
    }

    #[test]
    fn the_bound_of_the_wait_doubles_up_to_ten_times_the_base() {
        assert_eq!(longest(25, 250), [24, 49, 99, 199, 249, 249]);
    }

    #[test]
    fn a_bound_that_doubling_would_lift_above_the_maximum_becomes_the_maximum() {
        assert_eq!(longest(100, 150), [99, 149, 149, 149, 149, 149]);
        assert_eq!(longest(100, 100), [99; 6]);
        assert_eq!(longest(100, 50), [99; 6], "the base is the least");
        assert_eq!(
            longest(50, 101),
            [49, 100, 100, 100, 100, 100],
            "half of it, rounded down, is not below half of it"
        );
    }

    #[test]
    fn no_policy_makes_the_wait_panic() {
        let policy = RetryPolicy {
            base_interval: Duration::ZERO,
            max_interval: Duration::MAX,
            ..RetryPolicy::default()
        };
        let mut backoff = RetryBackoff::new(&policy);
        for _ in 0..200 {
            backoff.next(u64::MAX);
        }
    }

    fn named(
        headers: &[(&'static str, &'static str)],
        wanted: &[(&'static str, ResetFormat)],
    ) -> Option<u64> {
        let policy = RateLimitedBackOff {
            headers: wanted
                .iter()
                .map(|(name, format)| ResetHeader {
                    name: HeaderName::from_static(name),
                    format: *format,
                })
                .collect(),
            max_interval: Duration::from_secs(300),
        };
        let map = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let now = UnixTime::from_nanos(1_000_500_000_000);
        rate_limited(&policy, &map, now).map(|span| span.as_secs())
    }

    #[test]
    fn an_answer_names_its_wait_in_seconds_or_as_a_time() {
        const AFTER: (&str, ResetFormat) = ("retry-after", ResetFormat::Seconds);
        const RESET: (&str, ResetFormat) = ("x-ratelimit-reset", ResetFormat::UnixTimestamp);
        assert_eq!(named(&[("retry-after", "7")], &[AFTER]), Some(7));
        assert_eq!(named(&[("x-ratelimit-reset", "1009")], &[RESET]), Some(9));
        assert_eq!(
            named(&[("x-ratelimit-reset", "999")], &[RESET]),
            None,
            "over already"
        );
        assert_eq!(
            named(&[("retry-after", "301")], &[AFTER]),
            None,
            "too long to believe"
        );
        assert_eq!(
            named(&[("retry-after", "300")], &[AFTER]),
            Some(300),
            "just believed"
        );
        assert_eq!(
            named(&[("retry-after", " 7 ")], &[AFTER]),
            Some(7),
            "blanks around a number are none of it"
        );
        assert_eq!(named(&[("retry-after", "0")], &[AFTER]), None);
        assert_eq!(named(&[("retry-after", "soon")], &[AFTER]), None);
        let both = [("retry-after", "301"), ("x-ratelimit-reset", "1009")];
        assert_eq!(
            named(&both, &[AFTER, RESET]),
            Some(9),
            "the first that is believed"
        );
    }

    #[test]
    fn a_named_wait_is_never_shortened_and_grows_by_less_than_half() {
        let waits: Vec<_> = (0..5000)
            .map(|random| jittered(Duration::from_secs(2), random).as_millis())
            .collect();
        assert_eq!(waits.iter().min(), Some(&2000));
        assert_eq!(waits.iter().max(), Some(&2999));
    }
}
