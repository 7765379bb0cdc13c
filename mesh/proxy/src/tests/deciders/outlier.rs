//! Outlier detection, and the window in which updates of hosts are merged.

use proptest::prelude::*;
use shakedown_env::{Time, stream_seed};
use shakedown_xds::table::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};

use super::{number, percent, scenario, some_span, span};
use crate::outlier::{AttemptOutcome, MergeWindow, OutlierDetector, OutlierHostId};

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
}
