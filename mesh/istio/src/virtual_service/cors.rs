//! Which cross-origin requests are allowed.

use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::condition::StringMatch;
use crate::duration::GoDuration;

/// Which cross-origin requests are allowed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsPolicy {
    /// The origins.
    #[serde(default)]
    pub allow_origins: Vec<Spanned<StringMatch>>,
    /// The origins as they are; Istio's older form, which counts only without the other.
    #[serde(default)]
    pub allow_origin: Vec<Spanned<String>>,
    /// The methods told to a preflight.
    #[serde(default)]
    pub allow_methods: Vec<Spanned<String>>,
    /// The headers told to a preflight.
    #[serde(default)]
    pub allow_headers: Vec<Spanned<String>>,
    /// The headers that a page may read.
    #[serde(default)]
    pub expose_headers: Vec<Spanned<String>>,
    /// How long a preflight's answer holds, in whole seconds.
    pub max_age: Option<Spanned<GoDuration>>,
    /// Whether credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// What becomes of preflights from other origins; none: they are sent on.
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// What becomes of preflights from other origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum UnmatchedPreflights {
    /// As Istio has it when nothing is said: `FORWARD`.
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// They are sent on.
    #[serde(rename = "FORWARD")]
    Forward,
    /// They are answered, without leave.
    #[serde(rename = "IGNORE")]
    Ignore,
}
