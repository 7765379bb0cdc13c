//! `ProxyPolicy`: what Istio has no resource for. shakedown.dev/v1, our own.
//!
//! One that names a `host` holds in its callers' proxies, as a DestinationRule does; one with a `selector` holds in the
//! proxies of the workloads selected, for what comes in. Which field goes with which is checked by
//! [`validate`](crate::validate_documents).

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use shakedown_yaml::Spanned;
use shakedown_yaml::decode::from_text;

use super::decimal::Decimal;
use super::duration::GoDuration;

/// How proxies treat a service, on the way to it or before it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyPolicy {
    /// The service that is called: a short or a full name. It holds in its callers' proxies.
    pub host: Option<Spanned<String>>,
    /// The workloads that are called. It holds in their own proxies, for what comes in.
    pub selector: Option<Spanned<WorkloadSelector>>,
    /// How an endpoint is chosen. By host.
    pub balancer: Option<Spanned<PolicyBalancer>>,
    /// When a request is sent a second time before the first has failed. By host.
    pub hedge: Option<Spanned<Hedge>>,
    /// How many requests are not sent, as the service refuses them. By host.
    pub adaptive_throttle: Option<Spanned<AdaptiveThrottle>>,
    /// How many requests are taken in a time. By selector.
    pub rate_limit: Option<Spanned<RateLimit>>,
    /// How many requests are taken at once, found from how long they take. By selector.
    pub adaptive_concurrency: Option<Spanned<AdaptiveConcurrency>>,
    /// How many requests are taken at once, and how long others may wait. By selector.
    pub shed: Option<Spanned<Shed>>,
}

/// Workloads by their labels.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// All of these; a policy names at least one.
    #[serde(default)]
    pub match_labels: IndexMap<String, String>,
}

/// A balancer that Istio has no name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PolicyBalancer {
    /// Of two drawn at random the one whose recent latency, times what it has in hand, is least. Source: Finagle.
    PeakEwma,
    /// Of all endpoints the one with the fewest requests in hand.
    LeastLoaded,
}

/// A second try before the first has failed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hedge {
    /// If there is no answer by then.
    pub after: Spanned<GoDuration>,
    /// How many more tries at the most; none: 1.
    pub times: Option<Spanned<u32>>,
    /// At most this share of requests is sent again; none: no bound.
    pub budget: Option<Spanned<Portion>>,
}

/// A share of requests that is not sent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptiveThrottle {
    /// How many are sent for each that is accepted; none: 2. At least 1.
    pub k: Option<Spanned<Decimal>>,
    /// How far back it looks; none: two minutes.
    pub window: Option<Spanned<GoDuration>>,
}

/// So many requests in a time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Counted by each proxy alone.
    pub local: Spanned<LocalRateLimit>,
}

/// A token bucket in each proxy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalRateLimit {
    /// So many requests.
    pub requests: Spanned<u32>,
    /// In this time.
    pub per: Spanned<GoDuration>,
    /// So many at once, after a rest; none: as many as `requests`.
    pub burst: Option<Spanned<u32>>,
    /// Whether each connection has a bucket of its own.
    #[serde(default)]
    pub per_connection: bool,
}

/// So many at once as do not wait for each other.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptiveConcurrency {
    /// Never more; none: 1000.
    pub max: Option<Spanned<u32>>,
    /// Never fewer; none: 3.
    pub min: Option<Spanned<u32>>,
    /// How often the limit is set; none: 100 ms.
    pub interval: Option<Spanned<GoDuration>>,
    /// How often the time of a request that waits for nobody is measured; none: a minute.
    pub measure_every: Option<Spanned<GoDuration>>,
}

/// A queue before the app that gives up in time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shed {
    /// How many requests may be at the app at once.
    pub concurrency: Spanned<u32>,
    /// How many may wait; none: 1024.
    pub queue: Option<Spanned<u32>>,
    /// How long one may wait in a queue that stands; none: 5 ms.
    pub target: Option<Spanned<GoDuration>>,
    /// How long one may wait otherwise, and how long a queue must stand; none: 100 ms.
    pub interval: Option<Spanned<GoDuration>>,
}

/// A share, written `5%` or `0.5%`: whole parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion {
    ppm: u32,
}

impl Portion {
    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share: write `5%` or `0.5%`, 0% to 100%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let percent: Decimal = number.parse().map_err(|_| wrong())?;
        if percent.micros() > 100_000_000 || !percent.micros().is_multiple_of(100) {
            return Err(wrong());
        }
        let ppm = u32::try_from(percent.micros() / 100).map_err(|_| wrong())?;
        Ok(Portion { ppm })
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", Decimal::from_micros(u64::from(self.ppm) * 100))
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
