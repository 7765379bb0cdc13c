//! Policies for cross-origin requests.

use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::condition::StringMatch;
use crate::duration::GoDuration;

/// The cross-origin requests that are allowed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsPolicy {
    #[serde(default)]
    pub allow_origins: Vec<Spanned<StringMatch>>,
    /// Exact origins. Istio's older form of `allow_origins`, ignored if that is given.
    #[serde(default)]
    pub allow_origin: Vec<Spanned<String>>,
    /// The methods allowed in the response to a preflight.
    #[serde(default)]
    pub allow_methods: Vec<Spanned<String>>,
    /// The headers allowed in the response to a preflight.
    #[serde(default)]
    pub allow_headers: Vec<Spanned<String>>,
    /// The response headers that scripts may read.
    #[serde(default)]
    pub expose_headers: Vec<Spanned<String>>,
    /// The time for which a preflight's response may be cached, in whole seconds.
    pub max_age: Option<Spanned<GoDuration>>,
    /// True if requests may contain credentials.
    pub allow_credentials: Option<bool>,
    /// The treatment of preflights from other origins. `None`: forwarded.
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// The treatment of preflights from other origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum UnmatchedPreflights {
    /// Istio's default: `FORWARD`.
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// Forwarded to the upstream.
    #[serde(rename = "FORWARD")]
    Forward,
    /// Answered by the proxy, without the headers that allow the request.
    #[serde(rename = "IGNORE")]
    Ignore,
}
