//! What a cluster does to requests.

use serde::Serialize;
use shakedown_xds::table::OutlierDetection;

use super::millis;

/// What holds for a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterPolicies {
    /// How an endpoint is chosen.
    pub balancer: String,
    /// What of a request is hashed for it: `header x`, `cookie x`, `source IP`, `query parameter x`.
    pub hash_by: Vec<String>,
    /// What its connections speak: `HTTP/1.1`, `HTTP/2`, or `downstream`, which is what the request came over.
    pub protocol: &'static str,
    /// Most streams at a time on one HTTP/2 connection; `None` for HTTP/1.1.
    pub max_concurrent_streams: Option<u32>,
    /// Ramp of a new endpoint's share.
    pub slow_start: Option<SlowStartTold>,
    /// Locality load balancing that has an effect for this caller: `distribute`, by shares of localities, or `failover`,
    /// nearer endpoints first.
    pub locality: Option<&'static str>,
    /// Percentage of healthy endpoints below which all endpoints are used; 0: never.
    pub min_health_percent: u32,
    /// How long a connection may take to come up.
    pub connect_timeout_ms: u64,
    /// Time after which a connection without requests is closed; `None`: never.
    pub idle_timeout_ms: Option<u64>,
    /// Age at which a connection is closed once it has no request; `None`: never.
    pub max_connection_duration_ms: Option<u64>,
    /// Requests after which a connection is closed; `None`: never.
    pub max_requests_per_connection: Option<u32>,
    /// How much may be in hand at once, in each proxy; `None`: anything.
    pub limits: Option<LimitsTold>,
    /// The bound on retries that grows with the requests in hand.
    pub retry_budget: Option<BudgetTold>,
    /// When an endpoint is taken out; `None`: never.
    pub outlier_detection: Option<OutlierTold>,
    /// When a request is sent a second time before the first try has failed.
    pub hedge: Option<HedgeTold>,
    /// How requests are held back as the cluster refuses them.
    pub adaptive_throttle: Option<ThrottleTold>,
}

/// Ramp of a new endpoint's share. The two factors are decimal numbers, in text so that no digit is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlowStartTold {
    /// Duration of the ramp.
    pub window_ms: u64,
    /// Exponent of the ramp; 1 is linear.
    pub aggression: String,
    /// Share at the start, in percent.
    pub min_weight_percent: String,
}

/// Limits of a cluster; `None`: no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsTold {
    /// Connections.
    pub connections: Option<u32>,
    /// Requests that wait for a connection.
    pub pending: Option<u32>,
    /// Requests in hand.
    pub requests: Option<u32>,
    /// Retries.
    pub retries: Option<u32>,
}

/// A bound on retries that grows with the requests in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetTold {
    /// The share of the requests in hand, parts per million.
    pub share_ppm: u32,
    /// So many in any case.
    pub min_concurrency: u32,
}

/// When an endpoint is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlierTold {
    /// So many 5xx in a row; `None`: they do not count.
    pub consecutive_5xx: Option<u32>,
    /// So many of 502, 503 and 504 in a row; `None`: they do not count.
    pub consecutive_gateway_errors: Option<u32>,
    /// Whether failures to reach an endpoint are counted apart from its answers.
    pub split_local_origin: bool,
    /// Consecutive failures to reach it; `None`: they do not count by themselves.
    pub consecutive_local_origin_failures: Option<u32>,
    /// The time from one look at all endpoints to the next.
    pub interval_ms: u64,
    /// How long one is out at the first time.
    pub base_ejection_time_ms: u64,
    /// The most endpoints that may be out, in percent.
    pub max_ejection_percent: u32,
}

impl OutlierTold {
    pub(in super::super) fn of(outlier: &OutlierDetection) -> OutlierTold {
        let counted = |limit: u32, enforcing: u32| (enforcing > 0).then_some(limit);
        let enforcing = &outlier.enforcing;
        OutlierTold {
            consecutive_5xx: counted(outlier.consecutive_5xx, enforcing.consecutive_5xx),
            consecutive_gateway_errors: counted(
                outlier.consecutive_gateway_failure,
                enforcing.consecutive_gateway_failure,
            ),
            split_local_origin: outlier.split_local_origin,
            consecutive_local_origin_failures: counted(
                outlier.consecutive_local_origin_failure,
                enforcing.consecutive_local_origin_failure,
            )
            .filter(|_| outlier.split_local_origin),
            interval_ms: millis(outlier.interval),
            base_ejection_time_ms: millis(outlier.base_ejection_time),
            max_ejection_percent: outlier.max_ejection_percent,
        }
    }
}

/// When a request is sent a second time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HedgeTold {
    /// Whether when a try meets its per-try timeout.
    pub on_per_try_timeout: bool,
    /// When none has answered for so long.
    pub after_ms: Option<u64>,
    /// The most that are sent because of that.
    pub times: u32,
    /// The most of them as a share of requests, parts per million.
    pub budget_ppm: Option<u32>,
}

/// How requests are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThrottleTold {
    /// So many are sent for each that is accepted, in thousandths.
    pub k_milli: u32,
    /// How far back it looks.
    pub window_ms: u64,
}
