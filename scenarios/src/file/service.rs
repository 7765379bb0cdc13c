//! The keys of a service and of its versions.

use http::HeaderName;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shakedown_yaml::Raw;

use super::schema;
use super::steps::FailKeys;
use super::values::{Count, HeaderNames, Limit, PortNumber, Span, Text, TextPairs};
use crate::scenario::{Abandoned, CpuScheduling, Order, Protocol};

/// The key of a service that its versions do not have.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Versions", rename_all = "kebab-case", default)]
pub(crate) struct VersionKeys {
    /// Name -> {**replicas**, any key of this table}; the first is the stable version. The default is {v1: 1}
    #[schemars(schema_with = "schema::versions")]
    pub(crate) versions: Option<IgnoredAny>,
}

/// The key of a version that its service does not have.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Replicas*", rename_all = "kebab-case", default)]
#[schemars(rename = "Replicas")]
pub(crate) struct ReplicaKeys {
    /// The number of pods
    pub(crate) replicas: Count,
}

impl Default for ReplicaKeys {
    fn default() -> Self {
        ReplicaKeys { replicas: Count(1) }
    }
}

/// Keys of a service and of each of its versions. All values are per replica.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Service", rename_all = "kebab-case", default)]
pub(crate) struct ServiceKeys {
    /// Replicas are assigned to these zones round-robin. The default is all zones
    #[schemars(with = "Option<Vec<Text>>")]
    pub(crate) zones: Option<IgnoredAny>,
    /// Added to the labels `app` and `version`
    pub(crate) labels: TextPairs,
    /// The namespace
    pub(crate) namespace: Text,
    /// The service account. The default is the name of the service
    pub(crate) account: Option<Text>,
    /// The port of the app
    pub(crate) port: PortNumber,
    /// `http`, `http2` or `grpc`
    pub(crate) protocol: Protocol,
    /// Requests processed at once: a worker is occupied from the start of a request to its response, including calls and
    /// sleeps
    pub(crate) workers: Limit,
    /// `work` steps that run at once
    pub(crate) cores: Limit,
    /// `ps` (processor sharing) shares the cores evenly, `fifo` serves in order
    pub(crate) cpu: CpuScheduling,
    /// {**limit** of waiting requests, order: `fifo` or `lifo`, full: `503` or `reset`}
    pub(crate) queue: QueueKeys,
    /// A queued request whose caller has disconnected: `finish` processes it, `drop` discards it when a worker is free
    pub(crate) abandoned: Abandoned,
    /// {**rate**, with: 500}: this share of requests fails before the first step
    #[schemars(with = "Option<FailKeys>")]
    pub(crate) fail: Option<IgnoredAny>,
    /// Service, or `any` -> `timeout`, `deadline`, `retries`, `hedge`, `headers`, `on-error` of calls to it, and `pool`:
    /// {**size**, wait: unlimited}, a limit of concurrent calls to it
    #[schemars(schema_with = "schema::calls")]
    pub(crate) calls: Option<IgnoredAny>,
    /// {**idle**, requests}: idle time and number of requests after which the app closes a connection
    pub(crate) keep_alive: KeepAliveKeys,
    /// {**time**} until a new pod is ready
    pub(crate) boot: BootKeys,
    /// {**cost**}: the proxy uses no CPU time, and no other cost than 0s is supported yet; `none`: no proxy, plain text
    #[schemars(schema_with = "schema::sidecar")]
    pub(crate) sidecar: Option<IgnoredAny>,
    /// Request headers that are copied to calls; the request id always is
    pub(crate) forward: HeaderNames,
    /// `METHOD /path` -> steps; any other path is answered with 404
    #[schemars(schema_with = "schema::endpoints")]
    pub(crate) endpoints: Option<IgnoredAny>,
}

impl Default for ServiceKeys {
    fn default() -> Self {
        ServiceKeys {
            zones: None,
            labels: TextPairs::default(),
            namespace: "default".into(),
            account: None,
            port: PortNumber(8080),
            protocol: Protocol::Http,
            workers: Limit(None),
            cores: Limit(None),
            cpu: CpuScheduling::Ps,
            queue: QueueKeys::default(),
            abandoned: Abandoned::Finish,
            fail: None,
            calls: None,
            keep_alive: KeepAliveKeys::default(),
            boot: BootKeys::default(),
            sidecar: None,
            forward: HeaderNames(
                ["end-user", "cookie", "authorization"]
                    .map(HeaderName::from_static)
                    .to_vec(),
            ),
            endpoints: None,
        }
    }
}

/// The key `queue`.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename = "Queue*", rename_all = "kebab-case", default)]
#[schemars(rename = "Queue", transform = schema::ShortForm("limit"))]
pub(crate) struct QueueKeys {
    /// The maximum number of waiting requests
    pub(crate) limit: Limit,
    /// `fifo` or `lifo`
    pub(crate) order: Order,
    /// The response to a request when the queue is full: `503` or `reset`, of gRPC `UNAVAILABLE`, `RESOURCE_EXHAUSTED`
    /// or `reset`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text>")]
    pub(crate) full: Option<Raw>,
}

impl Default for QueueKeys {
    fn default() -> Self {
        QueueKeys {
            limit: Limit(Some(1_000)),
            order: Order::Fifo,
            full: None,
        }
    }
}

/// The key `keep-alive`.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename = "KeepAlive*", rename_all = "kebab-case", default)]
#[schemars(rename = "KeepAlive", transform = schema::ShortForm("idle"))]
pub(crate) struct KeepAliveKeys {
    /// The time after which the app closes an idle connection
    pub(crate) idle: Span,
    /// The number of requests after which the app closes a connection
    pub(crate) requests: Limit,
}

impl Default for KeepAliveKeys {
    fn default() -> Self {
        KeepAliveKeys {
            idle: Span::seconds(60),
            requests: Limit(None),
        }
    }
}

/// The key `boot`.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename = "Boot*", rename_all = "kebab-case", default)]
#[schemars(rename = "Boot", transform = schema::ShortForm("time"))]
pub(crate) struct BootKeys {
    /// The time until a new pod is ready
    pub(crate) time: Span,
}

impl Default for BootKeys {
    fn default() -> Self {
        BootKeys {
            time: Span::seconds(1),
        }
    }
}

/// The key `sidecar`, unless it is `none`.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename = "Sidecar*", rename_all = "kebab-case", default)]
#[schemars(rename = "Sidecar", transform = schema::ShortForm("cost"))]
pub(crate) struct SidecarKeys {
    /// The CPU time of the proxy per request
    pub(crate) cost: Span,
}

impl Default for SidecarKeys {
    fn default() -> Self {
        SidecarKeys {
            cost: Span::seconds(0),
        }
    }
}
