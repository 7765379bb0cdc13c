//! Policies that refuse or delay requests.

use proptest::prelude::*;
use shakedown_env::Time;
use shakedown_xds::table::{AdaptiveConcurrency, AdaptiveThrottle, Bucket, Shed as ShedSettings};

use super::{number, ppm, scenario, some_span, span};
use crate::adaptive::Adaptive;
use crate::limit::TokenBucket;
use crate::shed::{ShedAdmission, ShedQueue, ShedTurn};
use crate::tests::constant_rng::ConstantRng;
use crate::throttle::Throttle;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

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
                    let sent = throttle.admit(now, &mut ConstantRng(number));
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
