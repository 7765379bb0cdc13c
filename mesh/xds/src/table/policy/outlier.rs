//! What outlier detection acts on. Every default is Envoy's. Source: Envoy, `OutlierDetection` (cluster v3).

use std::time::Duration;

/// When a host is taken out of its cluster, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// So many 5xx in a row.
    pub consecutive_5xx: u32,
    /// So many of 502, 503 and 504 in a row.
    pub consecutive_gateway_failure: u32,
    /// So many failures to reach the host in a row, if these are counted apart.
    pub consecutive_local_origin_failure: u32,
    /// Whether failures to reach a host are counted apart from what it answers.
    pub split_local_origin: bool,
    /// The time from one look at all hosts to the next; more than 0.
    pub interval: Duration,
    /// How long a host is out at the first time; as many times longer as it has been out of late.
    pub base_ejection_time: Duration,
    /// The longest that a host is out, jitter aside; no less than `base_ejection_time`.
    pub max_ejection_time: Duration,
    /// The most that chance adds to it, in whole milliseconds.
    pub max_ejection_time_jitter: Duration,
    /// The most hosts that may be out, in percent, at most 100.
    pub max_ejection_percent: u32,
    /// Whether one host may be out whatever the percentage.
    pub always_eject_one_host: bool,
    /// When a host's success rate makes it an outlier.
    pub success_rate: SuccessRate,
    /// When a host's share of failures makes it one.
    pub failure_percentage: FailurePercentage,
    /// How often a detection leads to an ejection.
    pub enforcing: Enforcing,
}

/// Returns true if no endpoint can ever be ejected, because one endpoint alone exceeds `max_ejection_percent`.
/// Source: Envoy, `DetectorImpl::ejectHost`.
pub fn never_ejects(max_ejection_percent: u32, endpoints: usize) -> bool {
    endpoints > 0 && 100 > max_ejection_percent as usize * endpoints
}

/// Far below the mean of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// So many hosts must have had enough requests.
    pub minimum_hosts: u32,
    /// Enough requests in an interval.
    pub request_volume: u32,
    /// How many standard deviations below the mean, in thousandths.
    pub stdev_factor_thousandths: u32,
}

/// Above a fixed share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// So many percent of failures, or more.
    pub threshold: u32,
    /// So many hosts must have had enough requests.
    pub minimum_hosts: u32,
    /// Enough requests in an interval.
    pub request_volume: u32,
}

/// How often a detection leads to an ejection, in percent each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforcing {
    /// Of [`OutlierDetection::consecutive_5xx`].
    pub consecutive_5xx: u32,
    /// Of [`OutlierDetection::consecutive_gateway_failure`].
    pub consecutive_gateway_failure: u32,
    /// Of [`OutlierDetection::consecutive_local_origin_failure`].
    pub consecutive_local_origin_failure: u32,
    /// Of the success rate of what hosts answer.
    pub success_rate: u32,
    /// Of the success rate of reaching them.
    pub success_rate_local_origin: u32,
    /// Of the failures among what hosts answer.
    pub failure_percentage: u32,
    /// Of the failures to reach them.
    pub failure_percentage_local_origin: u32,
}

impl OutlierDetection {
    /// Envoy's `max_ejection_time` where that is not set, unless the base time is longer.
    pub const MAX_EJECTION_TIME: Duration = Duration::from_secs(300);
}

impl Default for OutlierDetection {
    /// Envoy's, for an empty message.
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
