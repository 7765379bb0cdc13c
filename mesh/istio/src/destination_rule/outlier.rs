//! `outlierDetection` and `retryBudget`: when a host is taken out, and how many retries there may be. Source: Istio,
//! networking/v1.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use shakedown_yaml::Spanned;
use shakedown_yaml::decode::from_text;

use crate::GoDuration;

/// When a host is taken out of its cluster, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Whether failures to reach a host are counted apart from its own.
    #[serde(default)]
    pub split_external_local_origin_errors: bool,
    /// So many failures in a row to reach it; only if they are counted apart.
    pub consecutive_local_origin_failures: Option<Spanned<u32>>,
    /// So many of 502, 503 and 504 in a row; none or 0: these do not count by themselves.
    pub consecutive_gateway_errors: Option<u32>,
    /// So many 5xx in a row; none: 5; 0: they do not count.
    #[serde(rename = "consecutive5xxErrors")]
    pub consecutive_5xx_errors: Option<u32>,
    /// The time from one look at all hosts to the next; none: 10 s.
    pub interval: Option<GoDuration>,
    /// How long a host is out at the first time; none: 30 s.
    pub base_ejection_time: Option<GoDuration>,
    /// The most hosts that may be out, in percent; none or 0: 10.
    pub max_ejection_percent: Option<Spanned<u32>>,
    /// Below so many percent of healthy hosts, all are used; none: 0, never.
    pub min_health_percent: Option<Spanned<u32>>,
}

/// How many retries there may be at once.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBudget {
    /// The share of the requests in hand, in percent. None: 0.2, which is what Istio sends, though its reference says 20.
    pub percent: Option<Spanned<Percent>>,
    /// So many are allowed in any case; none or 0: 3.
    pub min_retry_concurrency: Option<u32>,
}

/// A percentage, in millionths of the whole: `20` and `0.5` are 200,000 and 5,000. At most six digits follow the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("`{text}` is no percentage: expected 0 to 100, as in `20` or `0.5`");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || !digits(whole) || !digits(fraction) {
            return Err(refused());
        }
        let whole: u32 = whole.parse().map_err(|_| refused())?;
        // Four digits make a millionth of the whole; what is finer is cut off.
        let tenthousandths: u32 = format!("{fraction:0<4}")[..4]
            .parse()
            .map_err(|_| refused())?;
        Some(whole * 10_000 + tenthousandths)
            .filter(|millionths| *millionths <= 1_000_000)
            .map(Percent)
            .ok_or_else(refused)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_without_floats() {
        for (text, millionths) in [
            ("20", 200_000),
            ("0.2", 2_000),
            ("100", 1_000_000),
            ("0", 0),
            ("12.34567", 123_456),
        ] {
            assert_eq!(text.parse(), Ok(Percent(millionths)), "{text}");
        }
        for text in ["", "-1", "101", "100.1", "a", "1e2", "1.x", ".5"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
