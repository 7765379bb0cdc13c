//! The options of a load.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shakedown_scenarios::Edits;
use shakedown_scenarios::scenario::Arrivals;
use shakedown_scenarios::value::Rate;

use super::target::TargetOverride;

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
