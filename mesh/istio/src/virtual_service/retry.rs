//! Retry policies.

use serde::Deserialize;
use shakedown_xds::table::RetryOn;
use shakedown_yaml::Spanned;

use crate::duration::GoDuration;

/// The retry policy of a route. Source: Istio, `HTTPRetry`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRetry {
    /// Maximum number of retries. 0 disables them.
    pub attempts: u32,
    /// Timeout of each attempt, including the first. `None`: the route's timeout.
    pub per_try_timeout: Option<Spanned<GoDuration>>,
    /// Retry conditions and statuses, comma separated. `None`: Istio's default.
    pub retry_on: Option<Spanned<String>>,
    /// Allows retries in other localities.
    pub retry_remote_localities: Option<Spanned<bool>>,
    /// Makes retries prefer hosts that have not been tried. `None`: true.
    pub retry_ignore_previous_hosts: Option<Spanned<bool>>,
    /// Base interval of the exponential backoff. `None`: 25 ms.
    pub backoff: Option<Spanned<GoDuration>>,
}

/// Parses `retryOn` into conditions and statuses. A status adds the condition `retriable-status-codes`, without which it
/// would have no effect.
pub fn parse_retry_on(text: &str) -> (Vec<String>, Vec<u32>) {
    const CODES: &str = "retriable-status-codes";
    let (mut names, mut codes) = (Vec::new(), Vec::new());
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match part.parse::<u32>() {
            Ok(code) => codes.push(code),
            Err(_) => names.push(part.to_owned()),
        }
    }
    if !codes.is_empty() && !names.iter().any(|name| name == CODES) {
        names.push(CODES.into());
    }
    (names, codes)
}

/// The conditions that `retryOn` may name.
pub fn retry_on_names() -> impl Iterator<Item = &'static str> + Clone {
    RetryOn::ALL.iter().map(|(name, _)| *name)
}
