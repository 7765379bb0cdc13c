//! Overload protection beyond Envoy's limits: hedging and throttling by callers, and admission by workloads.

use std::time::Duration;

use super::policy::HedgePolicy;

/// The caller policies of a cluster that have no Envoy field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamPolicy {
    /// Hedging, unless the route sets its own.
    pub hedge: Option<HedgePolicy>,
    pub throttle: Option<AdaptiveThrottle>,
}

/// Adaptive client-side throttling, which drops requests locally as the cluster rejects them. Source: "Site
/// Reliability Engineering", chapter 21, client-side throttling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveThrottle {
    /// The number of requests that may be sent per accepted request, in thousandths. The book's value of 2 is 2000.
    /// At least 1000.
    pub k_milli: u32,
    /// The length of the window of past requests. The book uses two minutes. More than 0.
    pub window: Duration,
}

impl Default for AdaptiveThrottle {
    fn default() -> AdaptiveThrottle {
        AdaptiveThrottle {
            k_milli: 2000,
            window: Duration::from_secs(120),
        }
    }
}

/// A concurrency limit derived from measured latency. The defaults are Envoy's. Source: Envoy,
/// `GradientControllerConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveConcurrency {
    /// The HTTP status of rejected requests.
    pub status: u16,
    /// The percentile of a window's round-trip times that is used as its sample, in parts per million.
    pub percentile_ppm: u32,
    /// The upper bound of the limit.
    pub limit_max: u32,
    /// The interval between updates of the limit. More than 0.
    pub update_interval: Duration,
    /// The interval between measurements of the minimum round-trip time. More than 0.
    pub min_rtt_interval: Duration,
    /// The maximum random addition to that interval, in parts per million of it.
    pub min_rtt_jitter_ppm: u32,
    /// The number of requests per measurement of the minimum round-trip time. At least 1.
    pub min_rtt_requests: u32,
    /// The limit during a measurement, and its lower bound at any time. At least 1.
    pub limit_min: u32,
    /// The tolerated excess over the minimum round-trip time before requests count as queued, in parts per million of
    /// the minimum.
    pub buffer_ppm: u32,
}

impl Default for AdaptiveConcurrency {
    fn default() -> AdaptiveConcurrency {
        AdaptiveConcurrency {
            status: 503,
            percentile_ppm: 500_000,
            limit_max: 1000,
            update_interval: Duration::from_millis(100),
            min_rtt_interval: Duration::from_secs(60),
            min_rtt_jitter_ppm: 150_000,
            min_rtt_requests: 50,
            limit_min: 3,
            buffer_ppm: 250_000,
        }
    }
}

/// A concurrency limit with a bounded queue (CoDel). The target and interval are those of "Fail at Scale", ACM Queue
/// 13(8), 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// The maximum number of requests at the application at once. At least 1.
    pub concurrency: u32,
    /// The maximum queue length. Further requests are rejected at once.
    pub queue_max: u32,
    /// The maximum wait while the queue is congested.
    pub target: Duration,
    /// The maximum wait otherwise, and the time without an empty queue after which the queue counts as congested.
    pub interval: Duration,
}

impl Default for Shed {
    fn default() -> Shed {
        Shed {
            concurrency: 100,
            queue_max: 1024,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }
}
