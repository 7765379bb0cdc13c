//! The inbound policies of a workload.

use serde::Serialize;
use shakedown_xds::table::{AdaptiveConcurrency, RateLimit, Shed};

use super::units::millis;
use super::upstream::LimitsView;

/// An inbound policy with the workloads that apply it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboundView {
    /// The workloads, such as `reviews-v2`.
    pub workloads: Vec<String>,
    /// The rate limit of each proxy.
    pub rate_limit: Option<RateLimitView>,
    /// The concurrency limit derived from measured latency.
    pub adaptive_concurrency: Option<AdaptiveConcurrencyView>,
    /// The concurrency limit with a bounded queue.
    pub shed: Option<LoadSheddingView>,
    /// The limits of the connections from proxy to application. `None`: unlimited.
    pub limits: Option<LimitsView>,
}

impl InboundView {
    /// Returns true if no policy is set.
    pub(in super::super) fn is_nothing(&self) -> bool {
        self.rate_limit.is_none()
            && self.adaptive_concurrency.is_none()
            && self.shed.is_none()
            && self.limits.is_none()
    }

    /// Returns true if both have the same policy, regardless of their workloads.
    pub(in super::super) fn does_as(&self, other: &InboundView) -> bool {
        self.rate_limit == other.rate_limit
            && self.adaptive_concurrency == other.adaptive_concurrency
            && self.shed == other.shed
            && self.limits == other.limits
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimitView {
    /// The number of requests per interval. `None`: unlimited.
    pub requests: Option<u32>,
    /// The interval, in milliseconds.
    pub per_ms: Option<u64>,
    /// The maximum burst, in requests.
    pub burst: Option<u32>,
    /// True if each connection has a limit of its own.
    pub per_connection: bool,
    /// The status of rejected requests.
    pub status: u16,
}

impl RateLimitView {
    pub(in super::super) fn new(limit: &RateLimit) -> RateLimitView {
        let bucket = limit.bucket.as_ref();
        RateLimitView {
            requests: bucket.map(|bucket| bucket.per_fill),
            per_ms: bucket.map(|bucket| millis(bucket.interval)),
            burst: bucket.map(|bucket| bucket.max),
            per_connection: limit.per_connection,
            status: limit.status,
        }
    }
}

/// A concurrency limit derived from measured latency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdaptiveConcurrencyView {
    /// The upper bound of the limit.
    pub max: u32,
    /// The lower bound of the limit.
    pub min: u32,
    /// The interval between updates of the limit, in milliseconds.
    pub interval_ms: u64,
    /// The interval between measurements of the minimum round-trip time, in milliseconds.
    pub measure_every_ms: u64,
    /// The tolerated excess over the minimum round-trip time before requests count as queued, in parts per million of
    /// the minimum.
    pub buffer_ppm: u32,
    /// The status of rejected requests.
    pub status: u16,
}

impl AdaptiveConcurrencyView {
    pub(in super::super) fn new(adaptive: &AdaptiveConcurrency) -> AdaptiveConcurrencyView {
        AdaptiveConcurrencyView {
            max: adaptive.limit_max,
            min: adaptive.limit_min,
            interval_ms: millis(adaptive.update_interval),
            measure_every_ms: millis(adaptive.min_rtt_interval),
            buffer_ppm: adaptive.buffer_ppm,
            status: adaptive.status,
        }
    }
}

/// A queue in front of the application that sheds requests that have waited too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadSheddingView {
    /// The maximum number of requests at the application at once.
    pub concurrency: u32,
    /// The maximum queue length.
    pub queue: u32,
    /// The maximum wait while the queue is congested, in milliseconds.
    pub target_ms: u64,
    /// The maximum wait otherwise, and the time without an empty queue after which it counts as congested, in
    /// milliseconds.
    pub interval_ms: u64,
}

impl LoadSheddingView {
    pub(in super::super) fn new(shed: &Shed) -> LoadSheddingView {
        LoadSheddingView {
            concurrency: shed.concurrency,
            queue: shed.queue_max,
            target_ms: millis(shed.target),
            interval_ms: millis(shed.interval),
        }
    }
}
