//! Outlier detection settings. Every default is Envoy's. Source: Envoy, `OutlierDetection` (cluster v3).

use std::time::Duration;

/// The conditions under which a host is ejected from its cluster, and the ejection time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// The number of consecutive 5xx responses.
    pub consecutive_5xx: u32,
    /// The number of consecutive 502, 503 and 504 responses.
    pub consecutive_gateway_failure: u32,
    /// The number of consecutive local-origin failures (the host could not be reached), if they are counted
    /// separately.
    pub consecutive_local_origin_failure: u32,
    /// True if local-origin failures are counted separately from the responses of a host.
    pub split_local_origin: bool,
    /// The time between two evaluations of all hosts. More than 0.
    pub interval: Duration,
    /// The ejection time of a first ejection. It is multiplied by the number of recent ejections of the host.
    pub base_ejection_time: Duration,
    /// The maximum ejection time without jitter. At least `base_ejection_time`.
    pub max_ejection_time: Duration,
    /// The maximum random addition to the ejection time, in whole milliseconds.
    pub max_ejection_time_jitter: Duration,
    /// The maximum share of ejected hosts, in percent. At most 100.
    pub max_ejection_percent: u32,
    /// True if one host may be ejected regardless of `max_ejection_percent`.
    pub always_eject_one_host: bool,
    /// Ejection by a success rate below that of the other hosts.
    pub success_rate: SuccessRate,
    /// Ejection by a fixed share of failures.
    pub failure_percentage: FailurePercentage,
    /// The probability that a detection leads to an ejection.
    pub enforcing: Enforcing,
}

/// Returns true if no endpoint can ever be ejected, because a single endpoint already exceeds `max_ejection_percent`.
/// Source: Envoy, `DetectorImpl::ejectHost`.
pub fn never_ejects(max_ejection_percent: u32, endpoints: usize) -> bool {
    endpoints > 0 && 100 > max_ejection_percent as usize * endpoints
}

/// Detects hosts whose success rate is far below the mean of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// The minimum number of hosts with enough requests.
    pub minimum_hosts: u32,
    /// The number of requests per interval from which on a host is considered.
    pub request_volume: u32,
    /// The number of standard deviations below the mean, in thousandths.
    pub stdev_factor_thousandths: u32,
}

/// Detects hosts whose share of failures exceeds a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// The threshold in percent, inclusive.
    pub threshold: u32,
    /// The minimum number of hosts with enough requests.
    pub minimum_hosts: u32,
    /// The number of requests per interval from which on a host is considered.
    pub request_volume: u32,
}

/// The probability that a detection leads to an ejection, in percent, for each kind of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforcing {
    /// For [`OutlierDetection::consecutive_5xx`].
    pub consecutive_5xx: u32,
    /// For [`OutlierDetection::consecutive_gateway_failure`].
    pub consecutive_gateway_failure: u32,
    /// For [`OutlierDetection::consecutive_local_origin_failure`].
    pub consecutive_local_origin_failure: u32,
    /// For the success rate of responses.
    pub success_rate: u32,
    /// For the success rate of reaching the host.
    pub success_rate_local_origin: u32,
    /// For the share of failures among responses.
    pub failure_percentage: u32,
    /// For the share of failures to reach the host.
    pub failure_percentage_local_origin: u32,
}

impl OutlierDetection {
    /// Envoy's default `max_ejection_time`, unless the base time is longer.
    pub const MAX_EJECTION_TIME: Duration = Duration::from_secs(300);
}

impl Default for OutlierDetection {
    /// Envoy's defaults for an empty message.
    fn default() -> Self {
        OutlierDetection {
            consecutive_5xx: 5,
            consecutive_gateway_failure: 5,
            consecutive_local_origin_failure: 5,
            split_local_origin: false,
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: OutlierDetection::MAX_EJECTION_TIME,
            max_ejection_time_jitter: Duration::ZERO,
            max_ejection_percent: 10,
            always_eject_one_host: false,
            success_rate: SuccessRate {
                minimum_hosts: 5,
                request_volume: 100,
                stdev_factor_thousandths: 1900,
            },
            failure_percentage: FailurePercentage {
                threshold: 85,
                minimum_hosts: 5,
                request_volume: 50,
            },
            enforcing: Enforcing {
                consecutive_5xx: 100,
                consecutive_gateway_failure: 0,
                consecutive_local_origin_failure: 100,
                success_rate: 100,
                success_rate_local_origin: 100,
                failure_percentage: 0,
                failure_percentage_local_origin: 0,
            },
        }
    }
}
