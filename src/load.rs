//! `shakedown load`: open-loop load on a real server, judged in the language of scenarios.
//!
//! A load that is asked for by options is written out as a scenario of its own, so that rates, windows and checks mean what
//! they mean in every file; one that a scenario has is taken from there. Its schedule is the simulator's, its records go
//! through the same judge, and its results into the same document.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shakedown_loadgen::live::AimError;
use shakedown_results::Document;
use shakedown_scenarios::story::Arrivals;
use shakedown_scenarios::value::Rate;
use shakedown_scenarios::{Edits, LoadError};
use shakedown_wire::Refusal;

mod job;
mod real;
mod scenario;
mod text;
mod trust;
mod views;

use job::Job;
pub use scenario::Target;
pub use text::imply_subject;

/// A load, as it is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://host:port/path`, or `https://`.
    pub url: String,
    /// The method.
    pub method: String,
    /// `name: value` each.
    pub headers: Vec<String>,
    /// Bytes of each request's body.
    pub body_bytes: u64,
    /// The rate over time, never empty; after the last stage its level holds.
    pub stages: Vec<Stage>,
    /// How long it is sent.
    pub duration: Duration,
    /// Left out of figures and checks.
    pub warm_up: Duration,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Draws the arrivals of a Poisson load.
    pub seed: u64,
    /// From when a request is due to when it is given up.
    pub timeout: Duration,
    /// Speaks HTTP/2: with prior knowledge, or by ALPN over https.
    pub http2: bool,
    /// So many connections, opened before the first request; `None`: as many as it takes.
    pub connections: Option<NonZeroU32>,
    /// Past so many in flight a request is dropped.
    pub in_flight: u64,
    /// Checks; a metric without a subject is one of the load. Where none, `success >= 99%` decides.
    pub expect: Vec<String>,
    /// Whose certificates are taken, over https.
    pub trust: Trust,
    /// The command that does it again.
    pub replay: String,
    /// Ends the load early once it is set: what is in flight comes to its end, and the results are of what was sent.
    pub stop: Option<Arc<AtomicBool>>,
}

/// The loads of a scenario, as they are asked for.
#[derive(Clone, Debug)]
pub struct ScenarioOptions {
    /// A path, or a name of the catalogue.
    pub scenario: String,
    /// The variant, and what is changed.
    pub edits: Edits,
    /// Where loads go; one that is named here wins over the file's own.
    pub targets: Vec<Target>,
    /// Draws the arrivals; the scenario's where none.
    pub seed: Option<u64>,
    /// Speaks HTTP/2: with prior knowledge, or by ALPN over https.
    pub http2: bool,
    /// So many connections of each load, opened before the first request; `None`: as many as it takes.
    pub connections: Option<NonZeroU32>,
    /// Whose certificates are taken, over https.
    pub trust: Trust,
    /// The command that does it again.
    pub replay: String,
    /// Ends the load early once it is set: what is in flight comes to its end, and the results are of what was sent.
    pub stop: Option<Arc<AtomicBool>>,
}

/// Whose certificates are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that this machine knows.
    #[default]
    System,
    /// Those of the authorities in this PEM file alone.
    File(PathBuf),
    /// Anyone's.
    Anyone,
}

/// A stretch of a load's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How long; the last one's level holds after it.
    pub length: Option<Duration>,
    /// The rate, or at a ramp's end.
    pub rate: Rate,
    /// Linear from the level before.
    pub ramp: bool,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// From 0 s, ns.
    pub now_ns: i64,
    /// How long the load is sent.
    pub duration: Duration,
    /// Taken in hand so far.
    pub started: u64,
    /// Ended in success.
    pub ok: u64,
    /// Ended otherwise: errors, timeouts and drops.
    pub failed: u64,
    /// Under way.
    pub in_flight: u64,
}

/// What came of a load.
#[derive(Debug)]
pub struct Outcome {
    /// The results document.
    pub document: Document,
    /// What of a scenario was left out, a line each, and why.
    pub skipped: Vec<String>,
}

/// A load that could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is wrong.
    #[error(transparent)]
    Aim(#[from] AimError),
    /// A rate, a span, a check or a target is wrong: in words, a line each.
    #[error("{0}")]
    Story(String),
    /// The scenario is wrong; all errors, each with its place.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The server's name has no address.
    #[error("find the address of `{0}`")]
    Resolve(String, #[source] io::Error),
    /// The authorities cannot be had: in words.
    #[error("{0}")]
    Trust(String),
    /// The server's certificate is not taken.
    #[error(
        "the certificate of `{host}` is not to be trusted: {refusal}; name its authority by `--cacert FILE`, or take any by `--insecure`"
    )]
    Certificate {
        /// Whose.
        host: String,
        /// Why.
        refusal: Refusal,
    },
    /// The server does not speak HTTP/2 over TLS.
    #[error("`{host}` does not speak HTTP/2: it did not agree on `h2` by ALPN; leave out --http2")]
    NoHttp2 {
        /// Which server.
        host: String,
    },
    /// This machine lacks something.
    #[error("start the load")]
    Runtime(#[from] io::Error),
}

/// Sends a load and judges it. `progress` is told now and then how far it is.
///
/// # Errors
/// What was asked for is wrong, or the server has no address, or a certificate that is not taken. Requests that fail are no
/// errors.
pub fn fire(options: &Options, progress: impl FnMut(Progress) + 'static) -> Result<Outcome, Error> {
    Job::of_options(options)?.run(progress)
}

/// Sends the loads of a scenario to real servers, and judges the checks that are about them alone.
///
/// # Errors
/// As [`fire`]; and the scenario is wrong, or a load has no target.
pub fn fire_scenario(
    options: &ScenarioOptions,
    progress: impl FnMut(Progress) + 'static,
) -> Result<Outcome, Error> {
    scenario::job(options)?.run(progress)
}
