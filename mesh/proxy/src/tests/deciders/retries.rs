//! Retries, their circuit breaker and budgets, and hedging.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use shakedown_env::{Time, UnixTime};
use shakedown_xds::table::{
    HedgePolicy, Limits, RateLimitedBackOff, RequestView, ResetFormat, ResetHeader, RetryBudget,
    RetryOn, RetryPolicy,
};

use super::{number, ppm, scenario, span};
use crate::breaker::CircuitBreaker;
use crate::budget::{HedgeBudget, retries_allowed};
use crate::hedge::Hedges;
use crate::respond::ResetReason;
use crate::retry::{AttemptFailure, RetryChance, RetryState};

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
}
