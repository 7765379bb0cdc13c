//! The results document: written by `--json`, and read by reports and comparisons.
//!
//! All numbers are integers. The document of a simulated run contains no wall clock, no host name, and no
//! path except the scenario's as typed, so that the same run gives the same bytes. Its size grows with the
//! number of loads, edges, services and events, not with the length of the run.

mod load;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Measured, Series};
pub use load::{
    Asked, Bytes, Connections, FailureCount, Generator, LOAD_ROWS_MAX, Latency, Load, RealLoad,
    Second, StatusCount, Throughput,
};

/// Version of the document's format.
pub const SCHEMA: u32 = 4;

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
