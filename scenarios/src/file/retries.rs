//! Retries, hedges and pools of calls and loads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_yaml::Raw;

use super::schema;
use super::values::{Budget, Count, Limit, Span, Wait};

/// Retries by the app, in addition to those of the mesh.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Retries*", rename_all = "kebab-case")]
#[schemars(rename = "Retries", transform = schema::ShortForm("times"))]
pub(crate) struct RetryKeys {
    /// The maximum number of retries
    pub(crate) times: Count,
    /// The failures that are retried: one or a list of `5xx`, `reset` and `timeout`. The default is all
    #[serde(default)]
    #[schemars(schema_with = "schema::one_or_many::<RetriedFailure>")]
    pub(crate) on: Option<Raw>,
    /// The wait before the first retry; it doubles with each
    #[serde(default = "at_once")]
    pub(crate) backoff: Span,
    /// The longest wait. The default is ten times `backoff`
    pub(crate) max_backoff: Option<Span>,
    /// `full`: each wait is drawn from 0s to the backoff; `none`: each wait is the backoff
    #[serde(default = "full_jitter")]
    pub(crate) jitter: Jitter,
    /// A limit of retries, as a share of first attempts, or `none`
    #[serde(default = "no_budget")]
    pub(crate) budget: Budget,
}

const fn at_once() -> Span {
    Span::seconds(0)
}

const fn full_jitter() -> Jitter {
    Jitter::Full
}

const fn no_budget() -> Budget {
    Budget(None)
}

/// A kind of failure that is retried.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RetriedFailure {
    #[serde(rename = "5xx")]
    Status,
    Reset,
    Timeout,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Jitter {
    Full,
    None,
}

/// Hedging: a further attempt if a call has not been answered.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Hedge*", rename_all = "kebab-case")]
#[schemars(rename = "Hedge", transform = schema::ShortForm("after"))]
pub(crate) struct HedgeKeys {
    /// The wait before each further attempt
    pub(crate) after: Span,
    /// The maximum number of further attempts
    #[serde(default = "once")]
    pub(crate) times: Count,
}

const fn once() -> Count {
    Count(1)
}

/// A limit of concurrent calls to one callee.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Pool*", rename_all = "kebab-case")]
#[schemars(rename = "Pool", transform = schema::ShortForm("size"))]
pub(crate) struct PoolKeys {
    /// The maximum number of concurrent calls
    pub(crate) size: Limit,
    /// The longest wait of a call for its turn
    #[serde(default = "no_bound")]
    pub(crate) wait: Wait,
}

const fn no_bound() -> Wait {
    Wait(None)
}
