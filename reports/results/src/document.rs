//! The results document: written by `--json`, and read by reports and comparisons.
//!
//! All numbers are integers. The document of a simulated run contains no wall clock, no host name, and no
//! path except the scenario's as typed, so that the same run gives the same bytes. Its size grows with the
//! number of loads, edges, services and events, not with the length of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Histogram, Measured, Series};

/// Version of the document's format.
pub const SCHEMA: u32 = 4;

/// Maximum number of rows of [`Load::seconds`] during load and chaos. In a longer run each row covers several
/// seconds. The rows of the drain are added to it.
pub const LOAD_ROWS_MAX: u64 = 7_200;

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the format: [`SCHEMA`].
    pub schema: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Description of the scenario, from its file.
    pub story: String,
    /// Name of the variant; `base` without one.
    pub variant: String,
    /// The `--set` edits, in order.
    pub set: Vec<String>,
    /// Execution mode: simulated or real.
    pub mode: Mode,
    /// Seed of all random draws.
    pub seed: u64,
    /// Backend of the run.
    pub engine: Engine,
    /// Package version and journal number: `0.1.0+journal.1`.
    pub version: String,
    /// Identity of the run. Equal digests mean equal runs.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Command that repeats the run.
    pub replay: String,
    /// Result of the run.
    pub verdict: Verdict,
    /// Reasons why the run is invalid; empty if it is valid.
    pub invalid: Vec<String>,
    /// Results of the checks, in the file's order.
    pub checks: Vec<CheckResult>,
    /// Time from 0 s to the end of the drain, ns; simulated time in a simulated run.
    pub elapsed_ns: i64,
    /// Time at which the user stopped the run, ns from 0 s; absent if it was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_ns: Option<i64>,
    /// Calls in flight when the run was stopped, including those of loads. They count neither as successes
    /// nor as failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_at_cut: Option<u64>,
    /// Parts of the mesh's configuration that are not modelled and were ignored.
    pub not_modelled: Vec<NotModelled>,
    /// End of the warm-up, ns from 0 s.
    pub warm_up_ns: i64,
    /// End of load and chaos, ns from 0 s.
    pub duration_ns: i64,
    /// The loads, in the order of the scenario.
    pub loads: Vec<Load>,
    /// Pairs of caller and callee with at least one call.
    pub edges: Vec<Edge>,
    /// Outlier detections that could not eject a pod, one row per pair of caller and service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejection_overflows: Vec<EjectionOverflow>,
    /// Service versions, in the order of the scenario.
    pub services: Vec<Service>,
    /// Faults, crashes, configuration changes and other events, in order of time.
    pub events: Vec<EventRow>,
    /// Values over time, for charts.
    pub series: Series,
}

/// Returns the JSON Schema of a [`Document`], which is stored in `docs/results.schema.json`.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Document)
}

/// A document of the mesh, or a field of one, that is not modelled and was ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotModelled {
    /// `KIND/NAME`, or `KIND/NAME.NAMESPACE` outside of the namespace `default`.
    pub document: String,
    /// Path of the field; absent if the whole document was ignored.
    pub field: Option<String>,
    /// File and line: `authz.yaml:3`. The file is named without its folder.
    pub at: String,
    /// Effect on the results, in words; absent if there is none.
    pub effect: Option<String>,
}

/// Backend of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Shakedown's simulator.
    #[default]
    Native,
    /// Turmoil's simulator, which verifies the native one.
    Turmoil,
    /// Loopback sockets in real time, or a real deployment. Its runs are not repeatable.
    Real,
}

impl Engine {
    /// Returns the execution mode of this backend.
    pub const fn mode(self) -> Mode {
        match self {
            Engine::Native | Engine::Turmoil => Mode::Simulated,
            Engine::Real => Mode::Real,
        }
    }

    /// Returns the name in documents, journals and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Native => "native",
            Engine::Turmoil => "turmoil",
            Engine::Real => "real",
        }
    }
}

/// Execution mode of a run, which follows from its [`Engine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The run was simulated.
    Simulated,
    /// The run used loopback sockets, or a real deployment.
    Real,
}

/// Result of a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All checks passed.
    Pass,
    /// All checks are over seeds, which a single run does not judge.
    NotJudged,
    /// At least one check failed.
    Fail,
    /// The results cannot be relied on. [`Document::invalid`] has the reasons.
    Invalid,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Name of the check; its text if it has none.
    pub name: String,
    /// Text of the check, as written.
    pub check: String,
    /// Result of the check; `null` if it was not judged, for the reason given in `observed`.
    pub pass: Option<bool>,
    /// True if the check is over seeds and only judged by `sweep`.
    pub over_seeds: bool,
    /// Observed value, in words with units.
    pub observed: String,
    /// Observed value as a number; absent for states and for checks that were not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Values that would have passed, in words with units.
    pub expected: String,
}

/// Figures of a load, over the requests that were due after the warm-up, including the drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Name of the load.
    pub name: String,
    /// Requests that were due: scheduled = sent + unsent + dropped = ok + errors + timeouts + dropped.
    pub scheduled: u64,
    /// Requests that left the client; on a real server those whose head was written.
    pub sent: u64,
    /// Requests that ended before they were written, because no connection was free in time or none could be
    /// opened. Only on a real server.
    pub unsent: u64,
    /// Requests that were never sent, because the load was at its in-flight limit.
    pub dropped: u64,
    /// Requests that succeeded.
    pub ok: u64,
    /// Requests that failed, except for timeouts.
    pub errors: u64,
    /// Requests without a complete response before their timeout.
    pub timeouts: u64,
    /// Responses by HTTP status, in order of status. A response that broke off after its head counts under
    /// its status.
    pub statuses: Vec<StatusCount>,
    /// Latency from the intended send time, of all requests except dropped ones.
    pub latency_ns: Latency,
    /// Latency from the intended send time, of successes only.
    pub ok_latency_ns: Latency,
    /// Latency from the intended send time, of errors and timeouts only.
    pub failed_latency_ns: Latency,
    /// Latency from the actual send time, of requests that were sent: the result of a closed loop.
    pub uncorrected_ns: Latency,
    /// Actual minus intended send time, of requests that were sent.
    pub send_lag_ns: Latency,
    /// Additional figures of a load on a real server; absent in scenario runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<RealLoad>,
    /// Length of each row of `seconds`, in whole seconds: 1, or more in runs of over two hours.
    pub seconds_each: u64,
    /// Rows of `seconds_each` over the whole run, in order of time. Rows without any event are left out.
    pub seconds: Vec<Second>,
}

/// Number of responses with one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusCount {
    /// HTTP status code.
    pub status: u16,
    /// Number of responses.
    pub count: u64,
}

/// Figures of a load on a real server: its requests, failures and resources, and the overhead of the
/// generator. Requests count if they were due after the warm-up. Connections and bytes are those of the whole
/// load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RealLoad {
    /// Requests of the load, one row per entry of its mix. Secrets are masked.
    pub requests: Vec<Asked>,
    /// Address of the server.
    pub address: String,
    /// Protocol: `HTTP/1.1` or `HTTP/2`.
    pub protocol: String,
    /// True if the load used TLS.
    pub tls: bool,
    /// Errors and timeouts, ordered by phase, then by cause.
    pub failures: Vec<FailureCount>,
    /// Unsent requests that timed out while they waited for a connection.
    pub timed_out_unsent: u64,
    /// Connections over the whole load.
    pub connections: Connections,
    /// Bytes of HTTP, including heads, without TLS overhead.
    pub bytes: Bytes,
    /// Rates of responses, between warm-up and the end of the load.
    pub throughput: Throughput,
    /// Latency added by the generator itself.
    pub generator: Generator,
}

/// The request of one entry of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// HTTP method.
    pub method: String,
    /// Target URL.
    pub url: String,
}

/// Requests that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureCount {
    /// Phase of the failure: `queue` (waiting for a connection), `connect`, `send`, `head` (waiting for the
    /// response's head), `body`.
    pub phase: String,
    /// `timeout`, `refused`, `unreachable`, `exhausted` (file descriptors or ports of this machine),
    /// `handshake` (TLS), `closed` (FIN), `reset` (RST), `stream-reset`, `stream-refused`, `malformed`,
    /// `other`.
    pub cause: String,
    /// Details in words; may be empty.
    pub detail: String,
    /// Number of requests.
    pub count: u64,
}

/// Number of connections of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Connections opened in total.
    pub opened: u64,
    /// Maximum number of connections open at the same time.
    pub open_max: u64,
}

/// Bytes over all connections of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
}

/// Rates of responses and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// Successes, in thousandths per second.
    pub ok_milli_per_s: u64,
    /// Responses of any status, in thousandths per second.
    pub answered_milli_per_s: u64,
    /// Bytes read per second, over the whole load.
    pub received_bytes_per_s: u64,
}

/// Latency added by the generator itself. The run is invalid if it dominates the measured latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// From a request's intended send time to the start of its processing.
    pub late_ns: Latency,
    /// Time for which a response was readable in its socket before it was processed, measured by a timer of
    /// the same event loop.
    pub handling_ns: Latency,
    /// Total time that the generator added to each request's latency.
    pub own_ns: Latency,
    /// Lateness of a timer of the event loop, sampled every millisecond.
    pub loop_lag_ns: Latency,
    /// CPU time of the generator's thread, as a share of one core, in parts per million.
    pub cpu_ppm: u64,
}

/// A second of a load, or several in a long run (`seconds_each`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Start of the row, in whole seconds from 0 s.
    pub from_s: u64,
    /// Requests that were due.
    pub offered: u64,
    /// Attempts that the first app admitted, neither refused by a full queue nor shed.
    pub admitted: u64,
    /// Requests that ended with success.
    pub ok: u64,
    /// Requests that ended with an error, timeout or drop.
    pub failed: u64,
    /// Median latency of the requests that ended, ns; 0 if none did. If the row covers several seconds, the
    /// highest of theirs.
    pub p50_ns: i64,
    /// 99th percentile of the same latencies, ns; 0 if no request ended. If the row covers several seconds,
    /// the highest of theirs.
    pub p99_ns: i64,
}

/// A latency distribution, in nanoseconds. Percentiles are those of the histogram, to three digits. All
/// values are 0 if `count` is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Exact mean.
    pub mean: i64,
    /// Exact minimum.
    pub min: i64,
    /// Exact maximum.
    pub max: i64,
    /// Median (50th percentile).
    pub p50: i64,
    /// 90th percentile.
    pub p90: i64,
    /// 95th percentile.
    pub p95: i64,
    /// 99th percentile.
    pub p99: i64,
    /// 99.9th percentile.
    pub p999: i64,
    /// Number of values.
    pub count: u64,
    /// Complete distribution: HDR V2 compressed, base64.
    #[schemars(with = "String")]
    pub histogram: Histogram,
}

impl Latency {
    /// Computes the figures of a histogram.
    pub fn from_histogram(histogram: Histogram) -> Latency {
        let at = |ppm| histogram.percentile_ns(ppm).unwrap_or(0);
        Latency {
            mean: histogram.mean_ns().unwrap_or(0),
            min: histogram.min_ns().unwrap_or(0),
            max: histogram.max_ns().unwrap_or(0),
            p50: at(500_000),
            p90: at(900_000),
            p95: at(950_000),
            p99: at(990_000),
            p999: at(999_000),
            count: histogram.count(),
            histogram,
        }
    }
}

/// Calls from one participant to another that started after the warm-up, including the drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The caller: a service or a load.
    pub source: String,
    /// The service to which the calls were sent. If routes send calls to another service than the one called,
    /// this is the other one.
    pub destination: String,
    /// Hosts that the calls named, if they differ from the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedHost>,
    /// Number of calls.
    pub requests: u64,
    /// Attempts, by app or mesh.
    pub attempts: u64,
    /// Calls among [`requests`](Self::requests) that are a load's own retries.
    pub retried: u64,
    /// Calls that failed.
    pub errors: u64,
    /// From hand-over by the caller to the last byte of the response.
    pub latency_ns: Latency,
}

/// Calls that named a host other than the service to which they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedHost {
    /// Name of the host.
    pub host: String,
    /// Calls that named this host.
    pub requests: u64,
}

/// Outlier detections at a caller's proxies that could not eject a pod of a service, because
/// `maxEjectionPercent` was reached: Envoy's `outlier_detection.ejections_overflow`, over the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EjectionOverflow {
    /// The caller: a service or a load.
    pub source: String,
    /// The service whose pods were detected.
    pub destination: String,
    /// Detections that overflowed.
    pub count: u64,
    /// Number of distinct pods that were detected.
    pub pods: u64,
    /// Time of the first overflow, ns from 0 s.
    pub from_ns: i64,
    /// Time of the last overflow, ns from 0 s.
    pub to_ns: i64,
}

/// Figures of one version of a service, over the attempts that arrived after the warm-up, including the
/// drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name of the service.
    pub name: String,
    /// Name of the version.
    pub version: String,
    /// Attempts that reached the version.
    pub served: u64,
    /// Attempts that it did not answer with 200..399.
    pub errors: u64,
    /// Time spent waiting for a worker or core.
    pub queue_wait_ns: Latency,
    /// Utilisation of workers (or cores) between warm-up and duration, in parts per million, mean over
    /// replicas; 0 if neither is limited.
    pub busy_ppm: u64,
}

/// An event of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRow {
    /// Time of the event, ns from 0 s.
    pub at_ns: i64,
    /// `fault-started`, `fault-ended`, `crashed`, `ready`, `config-changed`, `config-in-force`, `config-refused`,
    /// `canary`, `weight`, `scaled`, `stopped`, ...
    pub kind: String,
    /// The object of the event: a pod, service, fault or document.
    pub subject: String,
    /// Details in words.
    pub detail: String,
}
