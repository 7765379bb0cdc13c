//! The steps of endpoints, and the settings of calls.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::Raw;

use super::retries::{HedgeKeys, PoolKeys, RetryKeys};
use super::schema;
use super::values::{AttemptTimeout, Bytes, Counts, HeaderPairs, Percentage, Span, Spans, Text};
use crate::scenario::{Drawn, OnError};
use crate::value::{Distribution, Share};

/// A step: a map with one key.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Step", rename_all = "kebab-case")]
pub(crate) enum StepKeys {
    /// {**time**, draw: attempt}: uses a core for this time; with `draw: request`, all attempts of one call draw the same
    /// time
    Work(#[schemars(with = "TimedKeys")] Raw),
    /// {**time**, draw: attempt}: waits without using a core
    Sleep(#[schemars(with = "TimedKeys")] Raw),
    /// {**to**, probability: 100%, times: 1, fan-out: 1, headers, size: 0B, timeout, deadline, retries, hedge, on-error:
    /// fail}: `times` calls one after another, `fan-out` calls at once; `timeout` bounds one attempt, `deadline` all
    /// attempts together
    Call(#[schemars(schema_with = "schema::call")] Raw),
    /// Branches that run concurrently, each a step or a list of steps
    Parallel(#[schemars(schema_with = "schema::branches")] Raw),
    /// Steps that run in order
    Sequence(#[schemars(with = "Vec<StepKeys>")] Raw),
    /// {**rate**, with: 500}: this share of requests ends here, with a status, a `reset`, or a `hang`
    Fail(#[schemars(with = "FailKeys")] Raw),
    /// {**status**, size: 0B, headers}: ends with this response
    Respond(#[schemars(with = "RespondKeys")] Raw),
}

/// A step `work` or `sleep`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Timed*", rename_all = "kebab-case")]
#[schemars(rename = "Timed", transform = schema::ShortForm("time"))]
pub(crate) struct TimedKeys {
    /// A duration, or a distribution of durations
    pub(crate) time: Spans,
    /// `attempt`: each attempt draws a time; `request`: all attempts of a call have the same time
    #[serde(default = "each_attempt")]
    pub(crate) draw: Drawn,
}

const fn each_attempt() -> Drawn {
    Drawn::Attempt
}

/// Keys of a step `call`, in addition to those of its client settings.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Call*", rename_all = "kebab-case")]
#[schemars(rename = "Call")]
pub(crate) struct CallKeys {
    /// The endpoint: `payment POST /charge`
    #[schemars(with = "Text")]
    pub(crate) to: Raw,
    /// The probability that the step calls at all
    #[serde(default = "always")]
    pub(crate) probability: Percentage,
    /// Calls one after another
    #[serde(default = "once")]
    pub(crate) times: Counts,
    /// Calls at once
    #[serde(default = "once")]
    pub(crate) fan_out: Counts,
    /// The size of the request body
    #[serde(default = "empty")]
    pub(crate) size: Bytes,
}

const fn always() -> Percentage {
    Percentage(Share::ALL)
}

fn once() -> Counts {
    Counts(Distribution::constant_count(1))
}

const fn empty() -> Bytes {
    Bytes(0)
}

/// Client settings of a call. Those of a step apply before those of `calls`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "CallSettings", rename_all = "kebab-case", default)]
pub(crate) struct CallSettingKeys {
    /// The limit of one attempt, or `rest`: the rest of the caller's own deadline
    pub(crate) timeout: Option<AttemptTimeout>,
    /// The limit of all attempts together
    pub(crate) deadline: Option<Span>,
    /// Retries by the app
    #[schemars(with = "Option<RetryKeys>")]
    pub(crate) retries: Option<IgnoredAny>,
    /// A further attempt if a call has not been answered
    #[schemars(with = "Option<HedgeKeys>")]
    pub(crate) hedge: Option<IgnoredAny>,
    /// Headers of the request
    pub(crate) headers: HeaderPairs,
    /// A failed call ends the endpoint (`fail`), or the next step runs (`ignore`)
    pub(crate) on_error: OnError,
}

impl Default for CallSettingKeys {
    fn default() -> Self {
        CallSettingKeys {
            timeout: None,
            deadline: None,
            retries: None,
            hedge: None,
            headers: HeaderPairs::default(),
            on_error: OnError::Fail,
        }
    }
}

/// The key of `calls` that a step does not have.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "CallPool", rename_all = "kebab-case", default)]
pub(crate) struct CallPoolKeys {
    /// A limit of concurrent calls to the callee
    #[schemars(with = "Option<PoolKeys>")]
    pub(crate) pool: Option<IgnoredAny>,
}

/// A step `fail`, or the key `fail` of a service.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Fail*", rename_all = "kebab-case")]
#[schemars(rename = "Fail", transform = schema::ShortForm("rate"))]
pub(crate) struct FailKeys {
    /// The share of requests that fail
    pub(crate) rate: Percentage,
    /// A status, `reset` or `hang`. The default is 500, of gRPC UNKNOWN
    #[schemars(with = "Option<Text>")]
    pub(crate) with: Option<Raw>,
}

/// A step `respond`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Respond*", rename_all = "kebab-case")]
#[schemars(rename = "Respond", transform = schema::ShortForm("status"))]
pub(crate) struct RespondKeys {
    /// The status: a number, or a name of gRPC
    #[schemars(with = "Text")]
    pub(crate) status: Raw,
    /// The size of the body
    #[serde(default = "empty")]
    pub(crate) size: Bytes,
    /// Headers of the response
    #[serde(default)]
    pub(crate) headers: HeaderPairs,
}
