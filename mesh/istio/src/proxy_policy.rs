//! `ProxyPolicy`: settings for which Istio has no resource. shakedown.dev/v1, our own API group.
//!
//! A policy with a `host` applies in the proxies of that service's callers, as a DestinationRule does. A policy with a
//! `selector` applies to inbound requests in the proxies of the selected workloads.
//! [`validate`](crate::validate_documents) checks which fields may be combined with which of both.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use shakedown_yaml::Spanned;
use shakedown_yaml::decode::from_text;

use super::decimal::MetricBound;
use super::duration::GoDuration;

/// The treatment of requests to a service, either by its callers' proxies or by its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyPolicy {
    /// The short or full name of the called service. The policy applies in its callers' proxies.
    pub host: Option<Spanned<String>>,
    /// The called workloads. The policy applies to inbound requests in their own proxies.
    pub selector: Option<Spanned<WorkloadSelector>>,
    /// The load balancer. Requires `host`.
    pub balancer: Option<Spanned<PolicyBalancer>>,
    /// Hedging: further attempts before the first has failed. Requires `host`.
    pub hedge: Option<Spanned<Hedge>>,
    /// Client-side throttling of requests that the service would probably refuse. Requires `host`.
    pub adaptive_throttle: Option<Spanned<AdaptiveThrottle>>,
    /// The maximum rate of requests. Requires `selector`.
    pub rate_limit: Option<Spanned<RateLimit>>,
    /// The limit of concurrent requests, derived from their latency. Requires `selector`.
    pub adaptive_concurrency: Option<Spanned<AdaptiveConcurrency>>,
    /// A fixed limit of concurrent requests, with a bounded queue. Requires `selector`.
    pub shed: Option<Spanned<Shed>>,
}

/// A selection of workloads by labels.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// The labels that a workload must have, at least one in a policy.
    #[serde(default)]
    pub match_labels: IndexMap<String, String>,
}

/// A load balancer that Istio cannot configure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PolicyBalancer {
    /// Draws two hosts at random and picks the one with the lower product of recent latency and active requests.
    /// Source: Finagle.
    PeakEwma,
    /// Picks the host with the fewest active requests of all.
    LeastLoaded,
}

/// Further attempts of a request before the first has failed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hedge {
    /// The time without a response after which another attempt is sent.
    pub after: Spanned<GoDuration>,
    /// The maximum number of further attempts. `None`: 1.
    pub times: Option<Spanned<u32>>,
    /// The maximum share of requests that may be hedged. `None`: no limit.
    pub budget: Option<Spanned<Portion>>,
}

/// Client-side throttling: refuses a share of requests while the upstream refuses many.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptiveThrottle {
    /// The number of requests sent per accepted request, at least 1. `None`: 2.
    pub k: Option<Spanned<MetricBound>>,
    /// The time over which requests are counted. `None`: two minutes.
    pub window: Option<Spanned<GoDuration>>,
}

/// A rate limit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// The limit that each proxy applies on its own.
    pub local: Spanned<LocalRateLimit>,
}

/// A token bucket in each proxy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalRateLimit {
    /// The number of requests allowed per period `per`.
    pub requests: Spanned<u32>,
    pub per: Spanned<GoDuration>,
    /// The maximum number of requests at once after an idle time. `None`: `requests`.
    pub burst: Option<Spanned<u32>>,
    /// True if each connection has its own bucket.
    #[serde(default)]
    pub per_connection: bool,
}

/// A limit of concurrent requests, adapted so that requests do not queue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptiveConcurrency {
    /// The maximum limit. `None`: 1000.
    pub max: Option<Spanned<u32>>,
    /// The minimum limit. `None`: 3.
    pub min: Option<Spanned<u32>>,
    /// The time between two updates of the limit. `None`: 100 ms.
    pub interval: Option<Spanned<GoDuration>>,
    /// The time between two measurements of the latency without queueing. `None`: one minute.
    pub measure_every: Option<Spanned<GoDuration>>,
}

/// A queue before the app that refuses requests which have waited too long.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shed {
    /// The maximum number of concurrent requests at the app.
    pub concurrency: Spanned<u32>,
    /// The maximum number of queued requests. `None`: 1024.
    pub queue: Option<Spanned<u32>>,
    /// The maximum wait in a persistent queue, one that has not been empty for `interval`. `None`: 5 ms.
    pub target: Option<Spanned<GoDuration>>,
    /// The maximum wait in any other queue, and the time after which a queue that was never empty counts as persistent.
    /// `None`: 100 ms.
    pub interval: Option<Spanned<GoDuration>>,
}

/// A share in whole parts per million, written as `5%` or `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion {
    ppm: u32,
}

impl Portion {
    /// Returns the share in parts per million.
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid share `{text}`: expected 0% to 100%, as in `5%` or `0.5%`");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let percent: MetricBound = number.parse().map_err(|_| wrong())?;
        if percent.micros() > 100_000_000 || !percent.micros().is_multiple_of(100) {
            return Err(wrong());
        }
        let ppm = u32::try_from(percent.micros() / 100).map_err(|_| wrong())?;
        Ok(Portion { ppm })
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}%",
            MetricBound::from_micros(u64::from(self.ppm) * 100)
        )
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_exactly_and_written_as_it_was() {
        for (text, ppm) in [
            ("5%", 50_000),
            ("0.5%", 5_000),
            ("100%", 1_000_000),
            ("0.0001%", 1),
        ] {
            let read: Portion = text.parse().unwrap();
            assert_eq!((read.ppm(), read.to_string()), (ppm, text.to_owned()));
        }
        for text in ["5", "0.05", "101%", "-1%", "%", "0.00001%"] {
            assert!(text.parse::<Portion>().is_err(), "{text}");
        }
    }
}
