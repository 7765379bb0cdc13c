//! The keys of a load.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shakedown_yaml::Raw;

use super::retries::RetryKeys;
use super::schema;
use super::values::{Bytes, Count, EventRate, HeaderPairs, LargeCount, Span, Text, TextPairs};
use crate::scenario::Arrivals;

/// A stream of requests, sent by clients that are workloads of its name.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Load", rename_all = "kebab-case", default)]
pub(crate) struct LoadKeys {
    /// An endpoint: `checkout POST /order`. A load has `to` or `mix`
    #[schemars(with = "Option<Text>")]
    pub(crate) to: Option<IgnoredAny>,
    /// Name -> {weight, to, headers, cookies, size}, chosen at random by weight
    #[schemars(with = "Option<BTreeMap<String, MixEntryKeys>>")]
    pub(crate) mix: Option<IgnoredAny>,
    /// A constant rate. A load has `rate` or `stages`
    pub(crate) rate: Option<EventRate>,
    /// `[{for: 1m, rate: 100/s}, {for: 2m, to: 500/s}]`: `rate` is constant, `to` is a ramp from the rate at the end of
    /// the previous stage
    #[schemars(with = "Option<Vec<StageKeys>>")]
    pub(crate) stages: Option<IgnoredAny>,
    /// Evenly spaced, or `poisson`
    pub(crate) arrivals: Arrivals,
    /// Headers of each request
    pub(crate) headers: HeaderPairs,
    /// Cookies of each request
    pub(crate) cookies: TextPairs,
    /// The size of each request body
    pub(crate) size: Bytes,
    /// The limit of one attempt
    pub(crate) timeout: Span,
    /// The client's own retries, which metrics count as one request
    #[schemars(with = "Option<RetryKeys>")]
    pub(crate) retries: Option<IgnoredAny>,
    /// Statuses that count as a success: one, a range, or a list; gRPC statuses by name. The defaults are 200..399 and
    /// OK
    #[schemars(schema_with = "schema::one_or_many::<Text>")]
    pub(crate) ok: Option<IgnoredAny>,
    /// The earliest arrival
    pub(crate) start: Span,
    /// The end of arrivals. The default is `duration`
    pub(crate) stop: Option<Span>,
    /// Client hosts are assigned to these zones as replicas are. The default is all zones
    #[schemars(with = "Option<Vec<Text>>")]
    pub(crate) zones: Option<IgnoredAny>,
    /// The number of client hosts
    pub(crate) clients: Count,
    /// As of a service
    #[schemars(schema_with = "schema::sidecar")]
    pub(crate) sidecar: Option<IgnoredAny>,
    /// The namespace
    pub(crate) namespace: Text,
    /// The service account. The default is the name of the load
    pub(crate) account: Option<Text>,
    /// `new`: a new connection for each request
    pub(crate) connections: ConnectionUse,
    /// Limit of requests in flight; a request beyond it is dropped and counted, never delayed
    pub(crate) in_flight: LargeCount,
    /// The URL for `shakedown load --scenario`
    pub(crate) target: Option<Text>,
}

impl Default for LoadKeys {
    fn default() -> Self {
        LoadKeys {
            to: None,
            mix: None,
            rate: None,
            stages: None,
            arrivals: Arrivals::Constant,
            headers: HeaderPairs::default(),
            cookies: TextPairs::default(),
            size: Bytes(0),
            timeout: Span::seconds(30),
            retries: None,
            ok: None,
            start: Span::seconds(0),
            stop: None,
            zones: None,
            clients: Count(1),
            sidecar: None,
            namespace: "default".into(),
            account: None,
            connections: ConnectionUse::Reuse,
            in_flight: LargeCount(10_000),
            target: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ConnectionUse {
    Reuse,
    New,
}

/// An entry of a mix. Its headers and cookies replace those of the load with the same names.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "MixEntry", rename_all = "kebab-case")]
pub(crate) struct MixEntryKeys {
    /// The endpoint
    #[schemars(with = "Text")]
    pub(crate) to: Raw,
    /// The weight of the entry among those of the mix
    #[serde(default = "one")]
    pub(crate) weight: Count,
    /// Headers of the request
    #[serde(default)]
    pub(crate) headers: HeaderPairs,
    /// Cookies of the request
    #[serde(default)]
    pub(crate) cookies: TextPairs,
    /// The size of the request body. The default is that of the load
    pub(crate) size: Option<Bytes>,
}

const fn one() -> Count {
    Count(1)
}

/// A segment of a load's rate.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Stage", rename_all = "kebab-case", default)]
pub(crate) struct StageKeys {
    /// The length; only a last stage with `rate` may do without
    pub(crate) r#for: Option<Span>,
    /// A constant rate
    pub(crate) rate: Option<EventRate>,
    /// A ramp from the rate at the end of the previous stage
    pub(crate) to: Option<EventRate>,
}
