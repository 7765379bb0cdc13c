//! Tests that no policy panics for any sequence of inputs: time advances by zero or by centuries, settings take the
//! extremes that a configuration allows, and responses contain implausible headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use shakedown_env::{Time, UnixTime, stream_seed};
use shakedown_xds::table::{
    AdaptiveConcurrency, AdaptiveThrottle, Bucket, Enforcing, FailurePercentage, HedgePolicy,
    Limits, OutlierDetection, RateLimitedBackOff, RequestView, ResetFormat, ResetHeader,
    RetryBudget, RetryOn, RetryPolicy, Shed as ShedSettings, SuccessRate,
};

use crate::adaptive::Adaptive;
use crate::breaker::CircuitBreaker;
use crate::budget::{HedgeBudget, retries_allowed};
use crate::hedge::Hedges;
use crate::limit::TokenBucket;
use crate::outlier::{AttemptOutcome, MergeWindow, OutlierDetector, OutlierHostId};
use crate::respond::ResetReason;
use crate::retry::{AttemptFailure, RetryChance, RetryState};
use crate::shed::{ShedAdmission, ShedQueue, ShedTurn};
use crate::throttle::Throttle;

/// A time span: zero, short, long or maximal.
fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        2 => Just(Duration::ZERO),
        2 => Just(Duration::from_nanos(1)),
        8 => (0..20_000u64).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(100 * 365 * 86_400)),
        1 => Just(Duration::MAX),
    ]
}

/// A non-zero time span, as settings require.
fn some_span() -> impl Strategy<Value = Duration> {
    span().prop_map(|span| span.max(Duration::from_millis(1)))
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..4u32, 2 => 0..200u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn ppm() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1_000_000), 0..=1_000_000u32]
}

fn percent() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(100), 0..=100u32]
}

/// An event: its kind, the host, the time since the previous event, and a number for its details.
type Happening = (u8, usize, Duration, u64);

fn scenario() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec((any::<u8>(), 0..8usize, span(), any::<u64>()), 0..120)
}

fn outlier() -> impl Strategy<Value = OutlierDetection> {
    let counts = (number(), number(), number(), any::<bool>(), any::<bool>());
    let times = (some_span(), some_span(), some_span(), span());
    let rates = (
        number(),
        number(),
        number(),
        percent(),
        number(),
        number(),
        percent(),
    );
    let shares = prop::collection::vec(percent(), 7);
    (counts, times, rates, shares).prop_map(|(counts, times, rates, shares)| OutlierDetection {
        consecutive_5xx: counts.0,
        consecutive_gateway_failure: counts.1,
        consecutive_local_origin_failure: counts.2,
        split_local_origin: counts.3,
        always_eject_one_host: counts.4,
        interval: times.0,
        base_ejection_time: times.1,
        max_ejection_time: times.1.max(times.2),
        max_ejection_time_jitter: times.3,
        max_ejection_percent: rates.6,
        success_rate: SuccessRate {
            minimum_hosts: rates.0,
            request_volume: rates.1,
            stdev_factor_thousandths: rates.2,
        },
        failure_percentage: FailurePercentage {
            threshold: rates.3,
            minimum_hosts: rates.4,
            request_volume: rates.5,
        },
        enforcing: Enforcing {
            consecutive_5xx: shares[0],
            consecutive_gateway_failure: shares[1],
            consecutive_local_origin_failure: shares[2],
            success_rate: shares[3],
            success_rate_local_origin: shares[4],
            failure_percentage: shares[5],
            failure_percentage_local_origin: shares[6],
        },
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let budget = prop::option::of((ppm(), number()));
    (number(), budget).prop_map(|(retries, budget)| Limits {
        retries,
        retry_budget: budget.map(|(share_ppm, min_concurrency)| RetryBudget {
            share_ppm,
            min_concurrency,
        }),
        ..Limits::ENVOY
    })
}

fn retry_policy() -> impl Strategy<Value = RetryPolicy> {
    let on = prop::collection::vec(any::<bool>(), RetryOn::ALL.len());
    let reset = (any::<bool>(), span());
    (on, number(), span(), span(), reset).prop_map(|(on, times, base, max, reset)| {
        let all = RetryOn::ALL.iter().zip(on).filter(|(_, on)| *on);
        let format = if reset.0 {
            ResetFormat::Seconds
        } else {
            ResetFormat::UnixTimestamp
        };
        RetryPolicy {
            on: all.fold(RetryOn::NONE, |all, ((_, one), _)| all.with(*one)),
            codes: vec![425, 429],
            times,
            base_interval: base,
            max_interval: max,
            rate_limited: Some(RateLimitedBackOff {
                headers: vec![ResetHeader {
                    name: http::header::RETRY_AFTER,
                    format,
                }],
                max_interval: reset.1,
            }),
            ..RetryPolicy::default()
        }
    })
}

/// A cluster that sometimes admits a retry.
struct Room(u64);

impl RetryChance for Room {
    fn admit(&mut self) -> bool {
        !self.0.is_multiple_of(5)
    }

    fn random(&mut self) -> u64 {
        self.0
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_nanos(self.0)
    }
}

/// Response headers with plausible or implausible values.
fn answer(number: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &'static str, value: String| {
        let value = HeaderValue::from_str(&value).expect("digits");
        headers.insert(HeaderName::from_static(name), value);
    };
    match number % 4 {
        0 => insert("retry-after", number.to_string()),
        1 => insert("retry-after", "-1e99".into()),
        2 => insert("x-envoy-ratelimited", String::new()),
        _ => insert("grpc-status", (number % 20).to_string()),
    }
    headers
}

const REASONS: [ResetReason; 8] = [
    ResetReason::ConnectionRefused,
    ResetReason::RemoteConnectionFailure,
    ResetReason::ConnectionTimeout,
    ResetReason::ConnectionTermination,
    ResetReason::ProtocolError,
    ResetReason::Overflow,
    ResetReason::RemoteReset,
    ResetReason::RemoteRefusedStreamReset,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_makes_outlier_detection_panic(
        settings in outlier(),
        others in outlier(),
        scenario in scenario(),
    ) {
        let mut outliers = OutlierDetector::new(settings);
        let mut random = stream_seed(1, "test", "outlier");
        let mut ids: Vec<OutlierHostId> = Vec::new();
        let mut now = Time::ZERO;
        for (what, whom, later, number) in scenario {
            now += later;
            let id = ids.get(whom).copied();
            let mut observe = |outcome| {
                if let Some(id) = id {
                    outliers.observe(id, outcome, now, &mut random);
                }
            };
            match what % 16 {
                0..=2 => ids.push(outliers.add(([10, 0, 0, 1], whom as u16).into())),
                3..=6 => observe(AttemptOutcome::Status(500 + (number % 5) as u16)),
                7 => observe(AttemptOutcome::Status((number % 1000) as u16)),
                8 => observe(AttemptOutcome::TimedOut),
                9 => observe(AttemptOutcome::Failed),
                10 => observe(AttemptOutcome::Connected),
                // Results of a removed host are ignored.
                11 => if let Some(id) = id {
                    outliers.remove(id);
                },
                12 => outliers.set_settings(others.clone()),
                _ => {
                    outliers.tick(now, &mut random);
                }
            }
            prop_assert!(outliers.ejected() as usize <= outliers.len());
        }
    }

    #[test]
    fn nothing_makes_the_merge_window_panic(window in span(), scenario in scenario()) {
        let mut merge = MergeWindow::default();
        let mut now = Time::ZERO;
        for (what, _, later, _) in scenario {
            now += later;
            match what % 3 {
                0 => merge.taken_in(now),
                _ => { merge.changed(now, window); }
            }
        }
    }

    #[test]
    fn nothing_makes_a_breaker_panic(first in limits(), second in limits(), scenario in scenario()) {
        let breaker = CircuitBreaker::new(first);
        breaker.on_change(|_, _| ());
        let mut permits = Vec::new();
        for (what, whom, _, _) in scenario {
            match what % 4 {
                0 | 1 => permits.extend(breaker.retry()),
                2 => if whom < permits.len() {
                    permits.swap_remove(whom);
                },
                _ => breaker.set_limits(if whom % 2 == 0 { second } else { first }),
            }
            prop_assert_eq!(breaker.retries() as usize, permits.len());
        }
    }

    #[test]
    fn nothing_makes_a_budget_panic(
        limits in limits(),
        requests in prop_oneof![any::<u64>(), Just(u64::MAX), 0..100u64],
        share in prop::option::of(number()),
        scenario in scenario(),
    ) {
        let allowed = retries_allowed(&limits, requests);
        if let Some(budget) = limits.retry_budget {
            prop_assert!(allowed >= u64::from(budget.min_concurrency));
            prop_assert!(allowed <= requests.max(u64::from(budget.min_concurrency)));
        }
        let mut budget = HedgeBudget::default();
        let mut now = Time::ZERO;
        for (what, _, later, _) in scenario {
            now += later;
            match what % 2 {
                0 => budget.request(now),
                _ => { budget.hedge(now, share); }
            }
        }
    }

    #[test]
    fn nothing_makes_retries_panic(policy in retry_policy(), scenario in scenario()) {
        let none = HeaderMap::new();
        let request = RequestView {
            method: "GET",
            path: "/",
            authority: "a",
            scheme: "http",
            headers: &none,
        };
        let mut retries = RetryState::new(&policy, || request);
        for (what, whom, _, number) in scenario {
            let headers = answer(number);
            let status = (number % 700) as u16;
            let failure = match what % 4 {
                0 => AttemptFailure::PerTryTimeout,
                1 => AttemptFailure::Reset { reason: REASONS[whom], on_wire: number % 2 == 0 },
                _ => AttemptFailure::Response { status, headers: &headers },
            };
            let before = retries.may_follow();
            if what < 32 {
                retries.judge_hedge(&mut Room(number));
            } else {
                retries.judge(failure, &mut Room(number));
            }
            prop_assert!(before || !retries.may_follow(), "what is used up stays so");
        }
    }

    #[test]
    fn nothing_makes_hedges_panic(
        after in prop::option::of(span()),
        times in number(),
        scenario in scenario(),
    ) {
        let policy = HedgePolicy { after, times, ..HedgePolicy::default() };
        let mut hedges = Hedges::new(policy);
        let mut now = Time::ZERO;
        for (what, _, later, _) in scenario {
            now += later;
            match what % 8 {
                0..=3 => hedges.try_begun(now),
                4..=6 => hedges.begin(),
                _ => hedges.stop(),
            }
            prop_assert!(hedges.due().is_none_or(|_| hedges.may_follow()));
        }
    }

    #[test]
    fn nothing_makes_a_token_bucket_panic(
        max in number(),
        per_fill in number(),
        interval in some_span(),
        scenario in scenario(),
    ) {
        let mut now = Time::ZERO;
        let mut bucket = TokenBucket::new(Bucket { max, per_fill, interval }, now);
        for (what, _, later, _) in scenario {
            now += later;
            let before = bucket.state(now).remaining;
            prop_assert!(before <= max);
            if what % 2 == 0 {
                prop_assert_eq!(bucket.take(now), before > 0);
            }
        }
    }

    #[test]
    fn nothing_makes_adaptive_concurrency_panic(
        spans in (some_span(), some_span()),
        shares in (ppm(), ppm(), number()),
        bounds in (number(), number(), number()),
        scenario in scenario(),
    ) {
        let settings = AdaptiveConcurrency {
            status: 503,
            percentile_ppm: shares.0,
            min_rtt_jitter_ppm: shares.1,
            buffer_ppm: shares.2,
            limit_max: bounds.0,
            limit_min: bounds.1.max(1),
            min_rtt_requests: bounds.2.max(1),
            update_interval: spans.0,
            min_rtt_interval: spans.1,
        };
        let mut now = Time::ZERO;
        let mut adaptive = Adaptive::new(settings, now);
        let mut in_hand: Vec<Time> = Vec::new();
        for (what, whom, later, number) in scenario {
            now += later;
            match what % 8 {
                0..=3 => if adaptive.admit(now) {
                    prop_assert!(in_hand.len() < adaptive.limit() as usize);
                    in_hand.push(now);
                },
                4..=6 => if whom < in_hand.len() {
                    let started = in_hand.swap_remove(whom);
                    adaptive.finished(started, now, || number);
                },
                _ => if in_hand.pop().is_some() {
                    adaptive.cancelled();
                },
            }
            prop_assert!(adaptive.limit() >= settings.limit_min);
        }
    }

    #[test]
    fn nothing_makes_a_throttle_panic(
        k_milli in prop_oneof![Just(1000), Just(u32::MAX), 1000..5000u32],
        window in some_span(),
        scenario in scenario(),
    ) {
        let mut throttle = Throttle::new(AdaptiveThrottle { k_milli, window });
        let mut now = Time::ZERO;
        let mut requested = false;
        for (what, _, later, number) in scenario {
            now += later;
            match what % 3 {
                0 => throttle.accepted(now),
                _ => {
                    let sent = throttle.admit(now, number);
                    prop_assert!(requested || sent, "the first is never held back");
                    requested = true;
                }
            }
        }
    }

    #[test]
    fn nothing_makes_shedding_panic(
        concurrency in number(),
        queue_max in number(),
        target in span(),
        interval in span(),
        scenario in scenario(),
    ) {
        let concurrency = concurrency.max(1);
        let settings = ShedSettings { concurrency, queue_max, target, interval };
        let mut now = Time::ZERO;
        let mut shed = ShedQueue::new(settings, now);
        let (mut running, mut waiting) = (0_u32, Vec::new());
        for (what, whom, later, _) in scenario {
            now += later;
            match what % 8 {
                0..=3 => match shed.arrive(now) {
                    ShedAdmission::Run => running += 1,
                    ShedAdmission::Wait(ticket) => waiting.push(ticket),
                    ShedAdmission::Refuse => prop_assert!(waiting.len() >= queue_max as usize),
                },
                4 | 5 => if running > 0 {
                    running -= 1;
                    shed.finished();
                },
                6 => if whom < waiting.len() {
                    prop_assert!(shed.leave(waiting.swap_remove(whom)));
                },
                _ => while let Some(turn) = shed.next(now) {
                    let (ShedTurn::Run(ticket) | ShedTurn::Refuse(ticket)) = turn;
                    running += u32::from(matches!(turn, ShedTurn::Run(_)));
                    waiting.retain(|known| *known != ticket);
                },
            }
            prop_assert!(running <= concurrency);
            prop_assert_eq!(shed.waiting(), waiting.len());
            prop_assert_eq!(shed.wake_at(now).is_some(), !waiting.is_empty());
        }
    }
}
