//! The results document: what `--json` writes, and what reports and comparisons read. Whole numbers only; in a simulated
//! run nothing of the wall clock or the host, and no path but the scenario's as it was typed, so that the same run gives the
//! same bytes. Its size grows with the number of loads, edges, services and events, not with the length of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Histogram, Measured, Series};

/// The document's own version.
pub const SCHEMA: u32 = 4;

/// Rows of [`Load::seconds`] for the time of the load and chaos, at most: in a longer run a row covers several seconds. Those of
/// the drain come on top.
pub const LOAD_ROWS_MAX: u64 = 7_200;

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Its story, in words.
    pub story: String,
    /// `base`, or the variant's name.
    pub variant: String,
    /// The `--set` edits, in order.
    pub set: Vec<String>,
    /// Simulated or real.
    pub mode: Mode,
    /// The seed.
    pub seed: u64,
    /// `native`, `real`, ...
    pub engine: String,
    /// Package version and journal number: `0.1.0+journal.1`.
    pub version: String,
    /// The run's identity.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// The command that runs it again.
    pub replay: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it is invalid, in words; empty otherwise.
    pub invalid: Vec<String>,
    /// The checks in the file's order.
    pub checks: Vec<CheckResult>,
    /// From 0 s to the end of the drain, ns: of simulated time where the run was simulated.
    pub elapsed_ns: i64,
    /// When the user cut the run short, from 0 s, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_ns: Option<i64>,
    /// Calls in flight when the run was cut short, those of loads included: neither successes nor failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_at_cut: Option<u64>,
    /// What of the mesh's configuration is not modelled and was passed over: the run is without it.
    pub not_modelled: Vec<NotModelled>,
    /// End of the warm-up, ns.
    pub warm_up_ns: i64,
    /// End of load and chaos, ns.
    pub duration_ns: i64,
    /// One row a load.
    pub loads: Vec<Load>,
    /// One row a pair of caller and callee that met.
    pub edges: Vec<Edge>,
    /// Outlier detections that could not eject a pod, one row a pair of caller and service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejection_overflows: Vec<EjectionOverflow>,
    /// One row a service version.
    pub services: Vec<Service>,
    /// What happened, in order: faults, crashes, configuration.
    pub events: Vec<EventRow>,
    /// What changed over time.
    pub series: Series,
}

/// The JSON Schema of a [`Document`], as `docs/results.schema.json` holds it.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Document)
}

/// A document, or a field of one, that is not modelled and was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotModelled {
    /// `KIND/NAME`, outside the namespace `default` `KIND/NAME.NAMESPACE`.
    pub document: String,
    /// The field; none: all of the document.
    pub field: Option<String>,
    /// File and line: `authz.yaml:3`. The file without its folder.
    pub at: String,
    /// What that means for the results, in words; none: nothing.
    pub effect: Option<String>,
}

/// In which world a run took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// In the simulator.
    Simulated,
    /// On loopback sockets, or against a deployment.
    Real,
}

/// How a run ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check holds.
    Pass,
    /// Every check is over seeds: a single run judges none of them.
    NotJudged,
    /// A check is false.
    Fail,
    /// The run says nothing: see [`Document::invalid`].
    Invalid,
}

/// One check, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Its name; the check itself where it has none.
    pub name: String,
    /// As written.
    pub check: String,
    /// True, false, or not judged (`null`): see `observed` for why.
    pub pass: Option<bool>,
    /// A check over seeds, left to `sweep`.
    pub over_seeds: bool,
    /// What was seen, in words with units.
    pub observed: String,
    /// The same as a number, where it is one: states, and checks that could not be judged, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// What would have been accepted, in words with units.
    pub expected: String,
}

/// A load's figures: requests whose clock started from the warm-up's end on, the drain taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Its name.
    pub name: String,
    /// scheduled = sent + unsent + dropped = ok + errors + timeouts + dropped.
    pub scheduled: u64,
    /// Left the client: on a real server those whose head was written.
    pub sent: u64,
    /// Ended before they were written: no connection was free in time, or none could be opened. Only on a real server.
    pub unsent: u64,
    /// Over the in-flight cap: never tried.
    pub dropped: u64,
    /// Successes.
    pub ok: u64,
    /// Failures.
    pub errors: u64,
    /// Unanswered in time.
    pub timeouts: u64,
    /// Answers by HTTP status, in order; an answer that broke off after its head counts as its status.
    pub statuses: Vec<StatusCount>,
    /// From the intended send time, of all that were not dropped.
    pub latency_ns: Latency,
    /// The same of successes alone.
    pub ok_latency_ns: Latency,
    /// The same of errors and timeouts alone.
    pub failed_latency_ns: Latency,
    /// From the actual send time, of those that were sent: what a closed loop would have shown.
    pub uncorrected_ns: Latency,
    /// Actual minus intended send time, of those that were sent.
    pub send_lag_ns: Latency,
    /// What only a load on a real server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<RealLoad>,
    /// How many whole seconds each row of `seconds` covers: 1, and more in runs of over two hours.
    pub seconds_each: u64,
    /// Over the whole run, in order of time: a row for each stretch of `seconds_each` in which something happened.
    pub seconds: Vec<Second>,
}

/// How often a status was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusCount {
    /// The HTTP status.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// A load on a real server: what it asked for, why requests failed, what it took, and the generator's own part. Requests count
/// that were due from the warm-up's end on; connections and bytes are those of the whole load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RealLoad {
    /// What it asked for, one row an entry of its mix; secrets are masked.
    pub requests: Vec<Asked>,
    /// The address that was loaded.
    pub address: String,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: String,
    /// Over TLS.
    pub tls: bool,
    /// Errors and timeouts by phase and cause, in that order.
    pub failures: Vec<FailureCount>,
    /// Unsent requests that timed out while they waited for a connection.
    pub timed_out_unsent: u64,
    /// Its connections.
    pub connections: Connections,
    /// Bytes of HTTP, heads included, without those of TLS.
    pub bytes: Bytes,
    /// What came back over time, between warm-up and the end of the load.
    pub throughput: Throughput,
    /// What the generator itself added to what it measured.
    pub generator: Generator,
}

/// What an entry of a load asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
}

/// Requests that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureCount {
    /// How far they had come: `queue` (waiting for a connection), `connect`, `send`, `head` (waiting for the answer's head),
    /// `body`.
    pub phase: String,
    /// `timeout`, `refused`, `unreachable`, `exhausted` (file descriptors or ports of this machine), `handshake` (TLS),
    /// `closed` (FIN), `reset` (RST), `stream-reset`, `stream-refused`, `malformed`, `other`.
    pub cause: String,
    /// More, in words; may be empty.
    pub detail: String,
    /// How many.
    pub count: u64,
}

/// The connections of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Opened in all.
    pub opened: u64,
    /// The most at once.
    pub open_max: u64,
}

/// Bytes over a load's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Written.
    pub sent: u64,
    /// Read.
    pub received: u64,
}

/// What came back over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// Successes, thousandths of one per second.
    pub ok_milli_per_s: u64,
    /// Answers of any status, thousandths of one per second.
    pub answered_milli_per_s: u64,
    /// Bytes read per second, over the whole load.
    pub received_bytes_per_s: u64,
}

/// What the generator itself added to what it measured. A run whose latencies it makes up is invalid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// From a request's intended time to when it was taken up.
    pub late_ns: Latency,
    /// How long an answer lay readable in its socket before it was handled, by a timer of the same event loop.
    pub handling_ns: Latency,
    /// All that was the generator's own in each request's latency.
    pub own_ns: Latency,
    /// How late a timer of the event loop was, every millisecond.
    pub loop_lag_ns: Latency,
    /// Processor time of the generator's thread, of one core, parts per million.
    pub cpu_ppm: u64,
}

/// One second of a load, or several in a long run (`seconds_each`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Its beginning, in whole seconds from 0 s.
    pub from_s: u64,
    /// Clocks started in this second.
    pub offered: u64,
    /// Tries that the first app took up in it: neither refused at a full queue nor shed.
    pub admitted: u64,
    /// Successes that ended in it.
    pub ok: u64,
    /// Errors, timeouts and drops that ended in it.
    pub failed: u64,
    /// Median latency of those that ended in it, ns; 0 when none did; of several seconds the highest.
    pub p50_ns: i64,
    /// 99th percentile of those, ns; 0 when none did; of several seconds the highest.
    pub p99_ns: i64,
}

/// A latency distribution, in nanoseconds; percentiles are those of the histogram, to three digits. All zero when `count` is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Exact.
    pub mean: i64,
    /// Exact.
    pub min: i64,
    /// Exact.
    pub max: i64,
    /// Median.
    pub p50: i64,
    /// 90th percentile.
    pub p90: i64,
    /// 95th percentile.
    pub p95: i64,
    /// 99th percentile.
    pub p99: i64,
    /// 99.9th percentile.
    pub p999: i64,
    /// How many.
    pub count: u64,
    /// All of it: HDR V2 compressed, base64.
    #[schemars(with = "String")]
    pub histogram: Histogram,
}

impl Latency {
    /// The figures of a histogram.
    pub fn of(histogram: Histogram) -> Latency {
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

/// Calls from one party to another that started from the warm-up's end on, the drain taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The caller: a service or a load.
    pub source: String,
    /// The service to which its calls went: where routes lead to another service than the one asked for, that other one.
    pub destination: String,
    /// Hosts that its calls asked for, if others than the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedHost>,
    /// Calls.
    pub requests: u64,
    /// Tries, by app or mesh.
    pub attempts: u64,
    /// Calls among [`requests`](Self::requests) that are a load's own tries after the first.
    pub retried: u64,
    /// Calls that failed.
    pub errors: u64,
    /// From hand-over to the last byte back.
    pub latency_ns: Latency,
}

/// Calls that asked for another host than the service to which they went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedHost {
    /// The host.
    pub host: String,
    /// Calls that asked for it.
    pub requests: u64,
}

/// Outlier detections at a caller's proxies that could not eject a pod of a service, because `maxEjectionPercent` was
/// reached: Envoy's `outlier_detection.ejections_overflow`, over all of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EjectionOverflow {
    /// The caller: a service or a load.
    pub source: String,
    /// The service.
    pub destination: String,
    /// Detections that overflowed.
    pub count: u64,
    /// Different pods that were detected.
    pub pods: u64,
    /// Time of the first, ns.
    pub from_ns: i64,
    /// Time of the last, ns.
    pub to_ns: i64,
}

/// What one version of a service did with attempts that arrived from the warm-up's end on, the drain taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The service.
    pub name: String,
    /// The version.
    pub version: String,
    /// Attempts that reached it.
    pub served: u64,
    /// Those that it did not answer with 200..399.
    pub errors: u64,
    /// Waiting for a worker, or for a core.
    pub queue_wait_ns: Latency,
    /// Worker (or core) time in use over time, parts per million, mean over replicas, between warm-up and
    /// duration; 0 where neither is limited.
    pub busy_ppm: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRow {
    /// When.
    pub at_ns: i64,
    /// `fault-started`, `fault-ended`, `crashed`, `ready`, `config-changed`, `config-in-force`, `config-refused`,
    /// `canary`, `weight`, `scaled`, `stopped`, ...
    pub kind: String,
    /// Of what or whom.
    pub subject: String,
    /// More, in words.
    pub detail: String,
}
