//! What keeps a service from being asked more than it can do, beyond Envoy's limits: how callers hold back, and how much a
//! workload takes in.

use std::time::Duration;

use super::policy::HedgePolicy;

/// What a cluster's callers do that Envoy has no field for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamPolicy {
    /// When a request is sent again before the first try has failed, where its route does not say.
    pub hedge: Option<HedgePolicy>,
    /// How many requests are held back, as the cluster refuses them.
    pub throttle: Option<AdaptiveThrottle>,
}

/// How many requests are held back. Source: "Site Reliability Engineering", chapter 21, client-side throttling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveThrottle {
    /// How many requests may be sent for each that was accepted, in thousandths; the book's 2 is 2000. At least 1000.
    pub k_milli: u32,
    /// How far back it looks; the book's is two minutes. More than 0.
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

/// How many requests are taken at once, found from how long they take. The defaults are Envoy's.
/// Source: Envoy, `GradientControllerConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveConcurrency {
    /// The status of a request that is refused.
    pub status: u16,
    /// Which percentile of a window's round trips counts, parts per million.
    pub percentile_ppm: u32,
    /// The limit never grows past this.
    pub limit_max: u32,
    /// The limit is set anew this often; more than 0.
    pub update_interval: Duration,
    /// The minimum round trip is measured this often; more than 0.
    pub min_rtt_interval: Duration,
    /// Up to this share is added to that interval at random, parts per million.
    pub min_rtt_jitter_ppm: u32,
    /// The minimum round trip is taken from so many requests; 1 or more.
    pub min_rtt_requests: u32,
    /// The limit while it is measured, and the least ever; 1 or more.
    pub limit_min: u32,
    /// How far a round trip may be above the minimum without being held to queue, parts per million of it.
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

/// How many requests are taken at once, and how long others may wait. Target and interval are those of "Fail at Scale",
/// ACM Queue 13(8), 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// How many requests may be at the app at once; 1 or more.
    pub concurrency: u32,
    /// How many may wait; past it a request is refused at once.
    pub queue_max: u32,
    /// How long a request may wait in a standing queue.
    pub target: Duration,
    /// How long a request may wait otherwise, and how long a queue must stand.
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
