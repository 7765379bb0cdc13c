//! `outlierDetection` and `retryBudget`: ejection of hosts, and limits on retries. Source: Istio, networking/v1.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use shakedown_yaml::Spanned;
use shakedown_yaml::decode::from_text;

use crate::GoDuration;

/// The conditions under which a host is ejected from its cluster, and the duration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// True if failures to reach a host are counted separately from its error responses.
    #[serde(default)]
    pub split_external_local_origin_errors: bool,
    /// The number of consecutive failures to reach a host that eject it. Requires `split_external_local_origin_errors`.
    pub consecutive_local_origin_failures: Option<Spanned<u32>>,
    /// The number of consecutive 502, 503 and 504 responses that eject a host. `None` or 0: disabled.
    pub consecutive_gateway_errors: Option<u32>,
    /// The number of consecutive 5xx responses that eject a host. `None`: 5. 0: disabled.
    #[serde(rename = "consecutive5xxErrors")]
    pub consecutive_5xx_errors: Option<u32>,
    /// The interval between evaluations of all hosts. `None`: 10 s.
    pub interval: Option<GoDuration>,
    /// The duration of a host's first ejection. `None`: 30 s.
    pub base_ejection_time: Option<GoDuration>,
    /// The maximum share of ejected hosts, in percent. `None` or 0: 10.
    pub max_ejection_percent: Option<Spanned<u32>>,
    /// The share of healthy hosts, in percent, below which all hosts are used. `None`: 0, never.
    pub min_health_percent: Option<Spanned<u32>>,
}

/// A limit on concurrent retries.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBudget {
    /// The share of active requests, in percent. `None`: 0.2, which is the value that Istio sends, although its
    /// reference says 20.
    pub percent: Option<Spanned<Percent>>,
    /// The number of retries that are always allowed. `None` or 0: 3.
    pub min_retry_concurrency: Option<u32>,
}

/// A percentage, in millionths of the whole: `20` and `0.5` are 200,000 and 5,000. Digits after the fourth decimal
/// place are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("invalid percentage `{text}`: expected 0 to 100, as in `20` or `0.5`");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || !digits(whole) || !digits(fraction) {
            return Err(refused());
        }
        let whole: u32 = whole.parse().map_err(|_| refused())?;
        // Four decimal places are a millionth of the whole.
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
