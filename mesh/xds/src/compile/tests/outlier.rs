//! Tests of each default of outlier detection, and of the mapping of fields to the table.

use super::*;
use crate::table::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};

fn compiled(outlier: cluster::OutlierDetection) -> OutlierDetection {
    let mut message = eds();
    message.outlier_detection = Some(outlier);
    *compile_cluster(&message).unwrap().outlier.unwrap()
}

fn millis(millis: i64) -> Option<protobuf::Duration> {
    Some(protobuf::Duration {
        seconds: millis / 1000,
        nanos: (millis % 1000) as i32 * 1_000_000,
    })
}

#[test]
fn every_default_of_outlier_detection_is_envoys_number() {
    let found = compiled(cluster::OutlierDetection::default());
    assert_eq!(
        (found.consecutive_5xx, found.enforcing.consecutive_5xx),
        (5, 100)
    );
    assert_eq!(
        (
            found.consecutive_gateway_failure,
            found.enforcing.consecutive_gateway_failure
        ),
        (5, 0)
    );
    assert_eq!(
        (
            found.consecutive_local_origin_failure,
            found.enforcing.consecutive_local_origin_failure,
            found.split_local_origin
        ),
        (5, 100, false)
    );
    let times = [
        found.interval,
        found.base_ejection_time,
        found.max_ejection_time,
        found.max_ejection_time_jitter,
    ];
    assert_eq!(
        times.map(|time| time.as_millis()),
        [10_000, 30_000, 300_000, 0]
    );
    assert_eq!(
        (found.max_ejection_percent, found.always_eject_one_host),
        (10, false)
    );
    let rate = found.success_rate;
    assert_eq!(
        (
            rate.minimum_hosts,
            rate.request_volume,
            rate.stdev_factor_thousandths,
            found.enforcing.success_rate,
            found.enforcing.success_rate_local_origin
        ),
        (5, 100, 1900, 100, 100)
    );
    let share = found.failure_percentage;
    assert_eq!(
        (
            share.threshold,
            share.minimum_hosts,
            share.request_volume,
            found.enforcing.failure_percentage,
            found.enforcing.failure_percentage_local_origin
        ),
        (85, 5, 50, 0, 0)
    );
}

#[test]
fn max_ejection_time_defaults_to_300_s_or_a_longer_base_time() {
    let longest = |base: i64| {
        let outlier = cluster::OutlierDetection {
            base_ejection_time: millis(base),
            ..Default::default()
        };
        compiled(outlier).max_ejection_time.as_millis()
    };
    assert_eq!(longest(299_999), 300_000);
    assert_eq!(longest(300_001), 300_001);
    assert_eq!(longest(400_000), 400_000);
}

#[test]
fn every_field_of_outlier_detection_reaches_its_own_place() {
    let flag = |value| Some(protobuf::BoolValue { value });
    let found = compiled(cluster::OutlierDetection {
        consecutive_5xx: number(1),
        consecutive_gateway_failure: number(2),
        consecutive_local_origin_failure: number(3),
        split_external_local_origin_errors: true,
        interval: millis(4_001),
        base_ejection_time: millis(5_001),
        max_ejection_time: millis(6_001),
        max_ejection_time_jitter: millis(7_001),
        max_ejection_percent: number(8),
        always_eject_one_host: flag(true),
        success_rate_minimum_hosts: number(9),
        success_rate_request_volume: number(10),
        success_rate_stdev_factor: number(11),
        failure_percentage_threshold: number(12),
        failure_percentage_minimum_hosts: number(13),
        failure_percentage_request_volume: number(14),
        enforcing_consecutive_5xx: number(15),
        enforcing_consecutive_gateway_failure: number(16),
        enforcing_consecutive_local_origin_failure: number(17),
        enforcing_success_rate: number(18),
        enforcing_local_origin_success_rate: number(19),
        enforcing_failure_percentage: number(20),
        enforcing_failure_percentage_local_origin: number(21),
        ..Default::default()
    });
    let expected = OutlierDetection {
        consecutive_5xx: 1,
        consecutive_gateway_failure: 2,
        consecutive_local_origin_failure: 3,
        split_local_origin: true,
        interval: std::time::Duration::from_millis(4_001),
        base_ejection_time: std::time::Duration::from_millis(5_001),
        max_ejection_time: std::time::Duration::from_millis(6_001),
        max_ejection_time_jitter: std::time::Duration::from_millis(7_001),
        max_ejection_percent: 8,
        always_eject_one_host: true,
        success_rate: SuccessRate {
            minimum_hosts: 9,
            request_volume: 10,
            stdev_factor_thousandths: 11,
        },
        failure_percentage: FailurePercentage {
            threshold: 12,
            minimum_hosts: 13,
            request_volume: 14,
        },
        enforcing: Enforcing {
            consecutive_5xx: 15,
            consecutive_gateway_failure: 16,
            consecutive_local_origin_failure: 17,
            success_rate: 18,
            success_rate_local_origin: 19,
            failure_percentage: 20,
            failure_percentage_local_origin: 21,
        },
    };
    assert_eq!(found, expected);
}

#[test]
fn breakers_without_a_word_are_1024_1024_1024_and_3() {
    let limits = compile_cluster(&limits_of(vec![Default::default()]))
        .unwrap()
        .limits
        .default;
    assert_eq!(
        (
            limits.connections,
            limits.pending,
            limits.requests,
            limits.retries
        ),
        (1024, 1024, 1024, 3)
    );
    assert_eq!(limits.retry_budget, None);
}
