//! The results of a load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Histogram;

/// Maximum number of rows of [`Load::seconds`] during load and chaos. In a longer run each row covers several
/// seconds. The rows of the drain are added to it.
pub const LOAD_ROWS_MAX: u64 = 7_200;

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
