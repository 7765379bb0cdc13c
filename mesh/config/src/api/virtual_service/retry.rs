//! When a request is tried again.

use serde::Deserialize;
use shakedown_yaml::Spanned;

use crate::api::duration::GoDuration;

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
