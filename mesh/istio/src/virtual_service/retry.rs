//! When a request is tried again.

use serde::Deserialize;
use shakedown_xds::table::RetryOn;
use shakedown_yaml::Spanned;

use crate::duration::GoDuration;

/// When and how often a request is tried again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRetry {
    /// Tries after the first; 0: none.
    pub attempts: u32,
    /// How long each try may take, the first, too; none: the route's timeout.
    pub per_try_timeout: Option<Spanned<GoDuration>>,
    /// Conditions and statuses, with commas between; none: Istio's default.
    pub retry_on: Option<Spanned<String>>,
    /// Whether a retry may go to another locality.
    pub retry_remote_localities: Option<Spanned<bool>>,
    /// Whether a retry looks for a host that has not been tried; none: yes.
    pub retry_ignore_previous_hosts: Option<Spanned<bool>>,
    /// The base of the waits between tries; none: 25 ms.
    pub backoff: Option<Spanned<GoDuration>>,
}

/// Takes `retryOn` apart: conditions, and numbers, which are statuses and add the condition that makes them count.
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
