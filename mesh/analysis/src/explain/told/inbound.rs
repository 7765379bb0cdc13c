//! What the proxy of a workload does before its app.

use serde::Serialize;
use shakedown_xds::table::{AdaptiveConcurrency, RateLimit, Shed};

use super::{LimitsTold, millis};

/// What the proxies of some workloads do before their app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboundTold {
    /// The workloads: `reviews-v2`.
    pub workloads: Vec<String>,
    /// How many requests each of their proxies takes in a time.
    pub rate_limit: Option<RateLimitTold>,
    /// How many it takes at once, found from how long they take.
    pub adaptive_concurrency: Option<AdaptiveTold>,
    /// How many it takes at once, and how long others may wait.
    pub shed: Option<ShedTold>,
    /// How much may be in hand at once between proxy and app; `None`: anything.
    pub limits: Option<LimitsTold>,
}

impl InboundTold {
    /// Whether nothing is done.
    pub(in super::super) fn is_nothing(&self) -> bool {
        self.rate_limit.is_none()
            && self.adaptive_concurrency.is_none()
            && self.shed.is_none()
            && self.limits.is_none()
    }

    /// Whether two do the same, to whatever workloads.
    pub(in super::super) fn does_as(&self, other: &InboundTold) -> bool {
        self.rate_limit == other.rate_limit
            && self.adaptive_concurrency == other.adaptive_concurrency
            && self.shed == other.shed
            && self.limits == other.limits
    }
}

/// So many requests in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimitTold {
    /// So many requests; `None`: no bound.
    pub requests: Option<u32>,
    /// In this time.
    pub per_ms: Option<u64>,
    /// So many at once, after a rest.
    pub burst: Option<u32>,
    /// Whether each connection has as many.
    pub per_connection: bool,
    /// The status of a request that is too many.
    pub status: u16,
}

impl RateLimitTold {
    pub(in super::super) fn of(limit: &RateLimit) -> RateLimitTold {
        let bucket = limit.bucket.as_ref();
        RateLimitTold {
            requests: bucket.map(|bucket| bucket.per_fill),
            per_ms: bucket.map(|bucket| millis(bucket.interval)),
            burst: bucket.map(|bucket| bucket.max),
            per_connection: limit.per_connection,
            status: limit.status,
        }
    }
}

/// So many requests at once as do not wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdaptiveTold {
    /// Never more.
    pub max: u32,
    /// Never fewer.
    pub min: u32,
    /// How often the limit is set.
    pub interval_ms: u64,
    /// How often the time of a request that waits for nobody is measured.
    pub measure_every_ms: u64,
    /// How far above that time one may be without being held to wait, parts per million of it.
    pub buffer_ppm: u32,
    /// The status of a request that is too many.
    pub status: u16,
}

impl AdaptiveTold {
    pub(in super::super) fn of(adaptive: &AdaptiveConcurrency) -> AdaptiveTold {
        AdaptiveTold {
            max: adaptive.limit_max,
            min: adaptive.limit_min,
            interval_ms: millis(adaptive.update_interval),
            measure_every_ms: millis(adaptive.min_rtt_interval),
            buffer_ppm: adaptive.buffer_ppm,
            status: adaptive.status,
        }
    }
}

/// A queue before the app that gives up in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShedTold {
    /// How many requests may be at the app at once.
    pub concurrency: u32,
    /// How many may wait.
    pub queue: u32,
    /// How long one may wait in a queue that stands.
    pub target_ms: u64,
    /// How long one may wait otherwise, and how long a queue must stand.
    pub interval_ms: u64,
}

impl ShedTold {
    pub(in super::super) fn of(shed: &Shed) -> ShedTold {
        ShedTold {
            concurrency: shed.concurrency,
            queue: shed.queue_max,
            target_ms: millis(shed.target),
            interval_ms: millis(shed.interval),
        }
    }
}
