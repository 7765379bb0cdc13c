//! The progress and the outcome of a load.

use std::io;
use std::time::Duration;

use shakedown_loadgen::live::RequestTemplateError;
use shakedown_results::Document;
use shakedown_scenarios::LoadError;
use shakedown_wire::CertificateRefusal;

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
