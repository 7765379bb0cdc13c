//! The resolved scenario: short forms expanded, defaults merged, names resolved to indices. Read by the runner, the
//! load generator, the judge and the reports. Plain data that is valid by construction.

mod chaos;
mod draw;
mod ids;
mod path;
mod roles;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_istio::registry::DefaultExport;
use shakedown_istio::{Document, Omission};

use crate::check::Check;
use crate::value::{Distribution, Rate};

pub use chaos::{ChaosAction, ChaosItem, FireTimes, PodCount, PodSelector, PodTarget};
pub use draw::{Draw, DrawId};
pub use ids::{Callee, EndpointId, ExternalHostId, LoadId, ParticipantRole, ServiceId, VersionId};
pub(crate) use path::{find_endpoint, replicas};
pub use steps::{
    AppHedge, AppRetries, AttemptBound, Call, CallConcurrency, Drawn, OnError, Step, StepFailure,
    StepStatus, Success, Timed,
};

/// A resolved scenario in one of its variants.
#[derive(Clone, Debug)]
pub struct ResolvedScenario {
    /// The name, as used in commands.
    pub name: String,
    /// The description. A variant may have its own.
    pub story: String,
    pub variant: String,
    /// The seed of a single run.
    pub seed: u64,
    /// The first and last seed of a sweep, inclusive.
    pub seeds: (u64, u64),
    /// The length of load and chaos, from 0 s.
    pub duration: Duration,
    /// The initial time that windows leave out, unless they name an earlier time.
    pub warm_up: Duration,
    /// The time after `duration` in which requests in flight may finish.
    pub drain: Duration,
    /// The wall clock at 0 s, ns since 1970.
    pub epoch_unix_ns: u64,
    /// Zones in file order; never empty.
    pub zones: Vec<Zone>,
    /// Latency between pods, one way.
    pub latency: LatencyRules,
    /// Services in file order.
    pub services: Vec<ServiceSpec>,
    /// Hosts without a service that loads and calls request. Routes may redirect these requests.
    pub hosts: Vec<ExternalHost>,
    /// Mesh documents after all edits, in order.
    pub mesh: Vec<Document>,
    pub control: ControlPlane,
    /// Loads in file order.
    pub loads: Vec<LoadSpec>,
    /// Chaos items in file order.
    pub chaos: Vec<ChaosItem>,
    /// Checks in file order.
    pub checks: Vec<Check>,
    /// Names of the checks that must fail in this variant (`breaks`). `None` in `base` and in a variant that must pass.
    pub breaks: Option<Vec<String>>,
    /// The paths of all source locations that draw random values, indexed by [`DrawId`].
    pub draw_paths: Vec<String>,
    /// The whole scenario written out in the scenario language, with included files. The digest covers it and `show`
    /// prints it.
    pub expanded: String,
    /// Warnings, one line each, with places.
    pub warnings: Vec<String>,
    /// Ignored fields of mesh documents that are not modelled, in the order of reading.
    pub omissions: Vec<Omission>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    pub region: String,
    /// The subzone; empty if none is named.
    pub subzone: String,
}

/// Latencies in one direction, the most specific first.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRules {
    /// Between two zones (from, to), by index. The last rule for a pair is in force.
    pub zones: BTreeMap<(u16, u16), Distribution>,
    /// Between two services or loads (from, to), by name.
    pub participants: BTreeMap<(String, String), Distribution>,
    pub same_zone: Distribution,
    /// Between zones of one region.
    pub cross_zone: Distribution,
    pub cross_region: Distribution,
}

#[derive(Clone, Debug)]
pub struct ServiceSpec {
    pub name: String,
    pub namespace: String,
    /// The service account, which determines its identity.
    pub account: String,
    pub port: u16,
    pub protocol: Protocol,
    /// The endpoints of all versions, in file order.
    pub endpoints: Vec<Path>,
    /// The versions, the stable one first.
    pub versions: Vec<Version>,
}

/// A host without a service. Requests to it use HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalHost {
    pub name: String,
    /// The port of requests to it.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Http,
    /// HTTP/2 without TLS, with prior knowledge.
    Http2,
    /// gRPC over HTTP/2: paths are `/pkg.Service/Method`, failures are gRPC statuses.
    Grpc,
}

impl Protocol {
    /// Returns true if connections use HTTP/2.
    pub const fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc)
    }
}

/// A declared endpoint: a method and a path. A `:name` segment matches one segment, a final `*` the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub method: Method,
    /// The path as declared.
    pub path: String,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub name: String,
    /// The number of replicas at 0 s.
    pub replicas: u32,
    /// Zone indices, assigned to replicas in turn; never empty.
    pub zones: Vec<u16>,
    /// Pod labels, including `app` and `version`.
    pub labels: BTreeMap<String, String>,
    /// The maximum number of requests in process per replica; `None`: no limit.
    pub workers: Option<u32>,
    /// The maximum number of `work` steps in progress per replica; `None`: no limit.
    pub cores: Option<u32>,
    pub cpu: CpuScheduling,
    /// The queue for a worker (or a core).
    pub queue: QueueSpec,
    /// The treatment of a queued request whose caller has gone.
    pub abandoned: Abandoned,
    /// The time after which the app closes an idle connection.
    pub keep_alive_idle: Duration,
    /// The number of requests after which the app closes a connection; `None`: no limit.
    pub keep_alive_requests: Option<u32>,
    /// The time from a start during the run until the pod is ready.
    pub boot: Duration,
    /// True if its pods have a sidecar.
    pub sidecar: bool,
    /// Request headers that are copied to calls.
    pub forward: Vec<HeaderName>,
    /// The steps of each endpoint of the service (same index as [`ServiceSpec::endpoints`]). `None` answers 404.
    pub endpoints: Vec<Option<Vec<Step>>>,
}

/// The scheduling of work on the cores of a replica.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuScheduling {
    /// Processor sharing: cores are divided evenly.
    Ps,
    /// In order of arrival.
    Fifo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// The maximum length; `None`: no limit.
    pub limit: Option<u32>,
    pub order: Order,
    /// The response to a request when the queue is full.
    pub full: StepFailure,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// First in, first out.
    Fifo,
    /// Last in, first out.
    Lifo,
}

/// The treatment of a queued request whose caller has gone.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abandoned {
    Finish,
    /// Dropped when a worker takes it.
    Drop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// Index of the zone.
    pub zone: u16,
    /// True if proxies forward calls to hosts that the mesh does not know.
    pub outbound_allow_any: bool,
    /// The quiet time before a push. A push waits at most 100 times as long.
    pub debounce: Duration,
    /// The time until a proxy's workers apply an ejection.
    pub ejection_delay: Duration,
    /// True if the canary controller runs.
    pub canaries: bool,
    /// The interval at which a canary's metrics are read.
    pub telemetry: Duration,
    pub trust_domain: String,
    /// The namespace of mesh-wide documents.
    pub root_namespace: String,
    /// The default `exportTo` of DestinationRules.
    pub destination_rules_for: DefaultExport,
    /// The default `exportTo` of VirtualServices.
    pub virtual_services_for: DefaultExport,
}

/// A stream of requests.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    pub name: String,
    /// The requests to draw from; a single unnamed entry without `mix`.
    pub entries: Vec<MixEntry>,
    pub arrivals: Arrivals,
    /// The rate over time, never empty. After the last stage its final rate continues.
    pub stages: Vec<RateStage>,
    /// The timeout of one attempt.
    pub timeout: Duration,
    /// The client's own retries. All attempts count as one request in the statistics.
    pub retries: Option<AppRetries>,
    pub ok: Success,
    /// Time of the first arrival at the earliest, from 0 s.
    pub start: Duration,
    /// End of arrivals, from 0 s.
    pub stop: Duration,
    /// Zone indices, assigned to client hosts in turn.
    pub zones: Vec<u16>,
    pub clients: u32,
    /// True if clients have a sidecar.
    pub sidecar: bool,
    /// True if each request opens a new connection.
    pub new_connections: bool,
    /// The number of requests in flight above which a request is dropped.
    pub in_flight: u64,
    pub namespace: String,
    /// The service account, which determines its identity.
    pub account: String,
    /// The URL of the real server for `shakedown load`.
    pub target: Option<String>,
    /// The source location whose random streams draw arrivals and entries.
    pub draw_id: DrawId,
}

#[derive(Clone, Debug)]
pub struct MixEntry {
    /// The name; empty without `mix`.
    pub name: String,
    pub weight: u64,
    pub callee: Callee,
    /// The callee's endpoint. `None` if only a service that routes lead to declares the endpoint.
    pub endpoint: Option<EndpointId>,
    pub method: Method,
    pub path: String,
    /// Request headers, including those of the load. Cookies are merged into one header.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The size of the request body in bytes.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly spaced.
    Constant,
    Poisson,
}

/// A segment of a load's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStage {
    /// The length; `None`: to the end.
    pub length: Option<Duration>,
    /// The rate at the start.
    pub from: Rate,
    /// The rate at the end. The rate changes linearly in between.
    pub to: Rate,
}
