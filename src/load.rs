//! `shakedown load`: sends an open-loop load to a real server and judges it with the scenario language.
//!
//! A load given by options is written out as a scenario, so that rates, windows and checks mean the same as in every
//! file. A scenario's loads are used as they are. The schedule is the simulator's, the records are judged by the same
//! judge, and the results are written into the same document.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shakedown_loadgen::live::RequestTemplateError;
use shakedown_results::Document;
use shakedown_scenarios::scenario::Arrivals;
use shakedown_scenarios::value::Rate;
use shakedown_scenarios::{Edits, LoadError};
use shakedown_wire::CertificateRefusal;

mod job;
mod real;
mod scenario;
mod text;
mod trust;
mod views;

use job::LoadJob;
pub use scenario::TargetOverride;
pub use text::imply_subject;

/// The options of a load that is given on the command line.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The target: `http://host:port/path`, or `https://`.
    pub url: String,
    /// The method of each request.
    pub method: String,
    /// The request headers, each as `name: value`.
    pub headers: Vec<String>,
    /// Size of each request's body, in bytes.
    pub body_bytes: u64,
    /// The rate over time, never empty. The last stage's rate continues after its end.
    pub stages: Vec<LoadStage>,
    /// The time during which requests are sent.
    pub duration: Duration,
    /// The initial time that figures and checks exclude.
    pub warm_up: Duration,
    /// The spacing of arrivals.
    pub arrivals: Arrivals,
    /// The seed of a Poisson load's arrivals.
    pub seed: u64,
    /// The time from a request's scheduled start after which it counts as a timeout.
    pub timeout: Duration,
    /// True to use HTTP/2: with prior knowledge, or by ALPN over https.
    pub http2: bool,
    /// The number of connections, opened before the first request. `None` opens one when a request finds none free.
    pub connections: Option<NonZeroU32>,
    /// The maximum number of requests in flight. Further ones are dropped and counted.
    pub in_flight: u64,
    /// The checks. A metric without a subject applies to the load. If empty, the check is `success >= 99%`.
    pub expect: Vec<String>,
    /// The certificates accepted over https.
    pub trust: TrustOption,
    /// The command that repeats the load.
    pub replay: String,
    /// Ends the load early once set. Requests in flight complete, and the results cover the requests sent.
    pub stop: Option<Arc<AtomicBool>>,
}

/// The options of a scenario's loads that are sent to real servers.
#[derive(Clone, Debug)]
pub struct ScenarioLoadOptions {
    /// A path, or a name of the catalogue.
    pub scenario: String,
    /// The variant and the `--set` edits.
    pub edits: Edits,
    /// The targets of loads. A target given here overrides the file's own.
    pub targets: Vec<TargetOverride>,
    /// The seed of the arrivals; `None` is the scenario's seed.
    pub seed: Option<u64>,
    /// True to use HTTP/2: with prior knowledge, or by ALPN over https.
    pub http2: bool,
    /// The number of connections of each load, opened before the first request. `None` opens one when a request finds
    /// none free.
    pub connections: Option<NonZeroU32>,
    /// The certificates accepted over https.
    pub trust: TrustOption,
    /// The command that repeats the load.
    pub replay: String,
    /// Ends the load early once set. Requests in flight complete, and the results cover the requests sent.
    pub stop: Option<Arc<AtomicBool>>,
}

/// The certificates that a load accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustOption {
    /// Certificates of the authorities that this machine trusts.
    #[default]
    System,
    /// Certificates of the authorities in this PEM file, and no others.
    File(PathBuf),
    /// Any certificate, without verification.
    Anyone,
}

/// A stage of a load's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadStage {
    /// The stage's length. `None` extends it to the end of the load.
    pub length: Option<Duration>,
    /// The rate, or the rate at the end of a ramp.
    pub rate: Rate,
    /// True if the rate changes linearly from that of the previous stage.
    pub ramp: bool,
}

/// The progress of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// The time since the load's start, in ns.
    pub now_ns: i64,
    /// The time during which requests are sent.
    pub duration: Duration,
    /// Number of requests started so far.
    pub started: u64,
    /// Number of requests that succeeded.
    pub ok: u64,
    /// Number of requests that failed: errors, timeouts and drops.
    pub failed: u64,
    /// Number of requests in flight.
    pub in_flight: u64,
}

/// The outcome of a load.
#[derive(Debug)]
pub struct LoadOutcome {
    /// The results document, as `--json` writes it.
    pub document: Document,
    /// The parts of a scenario that were left out, a line each with the reason.
    pub skipped: Vec<String>,
}

/// A load that could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadRunError {
    /// The URL, method or headers are invalid.
    #[error(transparent)]
    Aim(#[from] RequestTemplateError),
    /// A rate, a duration, a check or a target is invalid. The text has one line per error.
    #[error("{0}")]
    Story(String),
    /// The scenario is invalid. Contains all errors with their source locations.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The server's name has no address.
    #[error("failed to resolve `{0}`")]
    Resolve(String, #[source] io::Error),
    /// The certificate authorities could not be read. Contains a description.
    #[error("{0}")]
    Trust(String),
    /// The server's certificate is not accepted.
    #[error(
        "the certificate of `{host}` is not trusted: {refusal}; pass its authority with `--cacert FILE`, or accept any certificate with `--insecure`"
    )]
    Certificate {
        /// The host name of the server.
        host: String,
        /// The reason given by the verifier.
        refusal: CertificateRefusal,
    },
    /// The server does not speak HTTP/2 over TLS.
    #[error("`{host}` does not support HTTP/2: it did not negotiate `h2` by ALPN; omit --http2")]
    NoHttp2 {
        /// The host name of the server.
        host: String,
    },
    /// The operating system refused a resource.
    #[error("failed to start the load")]
    Runtime(#[from] io::Error),
}

/// Sends a load and judges it. `progress` is called periodically.
///
/// # Errors
/// Fails if the options are invalid, if the server has no address, or if its certificate is not accepted. Failed
/// requests are not errors.
pub fn fire(
    options: &LoadOptions,
    progress: impl FnMut(LoadProgress) + 'static,
) -> Result<LoadOutcome, LoadRunError> {
    LoadJob::of_options(options)?.run(progress)
}

/// Sends the loads of a scenario to real servers, and judges the checks that depend on the loads alone.
///
/// # Errors
/// Fails like [`fire`], and if the scenario is invalid or a load has no target.
pub fn fire_scenario(
    options: &ScenarioLoadOptions,
    progress: impl FnMut(LoadProgress) + 'static,
) -> Result<LoadOutcome, LoadRunError> {
    scenario::job(options)?.run(progress)
}
