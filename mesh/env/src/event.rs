//! Facts of the mesh, told to the world: the real one shows them in the admin view and logs, the simulator's stage turns
//! them into journal events.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_types::{GrpcStatus, ResponseFlags};

use crate::Time;

/// A fact of the mesh, seen on the host whose [`Env`](crate::Env) emits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A proxy finished a request, all its tries inside.
    Request(RequestEvent),
    /// An outbound proxy finished one try.
    Attempt(AttemptEvent),
    /// A proxy put a configuration in force. `version` counts the control plane's pushes.
    ConfigInForce {
        /// The push that it came with.
        version: u64,
    },
    /// A proxy refused a resource and keeps the last good one.
    ConfigRefused {
        /// The resource's type, in short (`Cluster`).
        kind: &'static str,
        /// The resource's name.
        resource: Arc<str>,
        /// Why, in words.
        reason: Arc<str>,
    },
    /// The control plane made a new version of the configuration.
    ConfigChanged {
        /// The push that carries it.
        version: u64,
    },
    /// A canary took a step.
    Canary {
        /// The service that it rolls out, as its `Canary` document is named.
        name: Arc<str>,
        /// Flagger's phase, as Flagger writes it: `Initialized`, `Progressing`, `Succeeded`, `Failed`, ...
        phase: &'static str,
        /// The new version's share, whole percent.
        weight_percent: u32,
        /// The version that is rolled out, empty while there is none.
        version: Arc<str>,
        /// Why, in words, with the numbers that decided.
        reason: Arc<str>,
    },
    /// The weights of a service that the control plane has in force (every proxy has acknowledged them).
    Weights {
        /// The service.
        name: Arc<str>,
        /// Version and whole percent.
        percent: Arc<[(String, u32)]>,
    },
    /// A proxy's outlier detection took a host out of its cluster.
    Ejected {
        /// The cluster.
        cluster: Arc<str>,
        /// The host.
        host: SocketAddr,
        /// Which detector it was.
        by: Detector,
    },
    /// A proxy chose the cluster of an outgoing request, before it is sent on. Only of requests with the header that the
    /// proxy is to report. Source: Envoy, `flush_access_log_on_new_request` with `%REQ(NAME)%`.
    Routed {
        /// The header's value.
        header: Arc<str>,
        /// The cluster.
        cluster: Arc<str>,
    },
    /// An outlier detection that could not eject its host, because the cluster's maximum ejection percentage was reached.
    /// Source: Envoy, `outlier_detection.ejections_overflow`.
    EjectionOverflow {
        /// The cluster.
        cluster: Arc<str>,
        /// The host.
        host: SocketAddr,
        /// The detector.
        by: Detector,
    },
    /// A host that was taken out of its cluster takes traffic again.
    Returned {
        /// The cluster.
        cluster: Arc<str>,
        /// The host.
        host: SocketAddr,
    },
    /// A circuit breaker came to its limit, or fell below it again.
    Breaker {
        /// The cluster.
        cluster: Arc<str>,
        /// What it bounds.
        limit: Limit,
        /// At its limit.
        open: bool,
    },
    /// The control plane refused a document that it was given.
    DocumentRefused {
        /// Kind and name, as in `DestinationRule/bad`.
        document: Arc<str>,
        /// Why, in words.
        reason: Arc<str>,
    },
}

/// What found a host to be an outlier. Source: Envoy, `OutlierEjectionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detector {
    /// So many 5xx answers (or none at all) in a row.
    Consecutive5xx,
    /// So many of 502, 503 and 504 in a row.
    ConsecutiveGatewayFailure,
    /// So many failures to reach it in a row.
    ConsecutiveLocalOriginFailure,
    /// Its success rate is far below that of its neighbours.
    SuccessRate,
    /// The same, of failures to reach it.
    SuccessRateLocalOrigin,
    /// Too large a share of its answers is 5xx.
    FailurePercentage,
    /// Too large a share of tries could not reach it.
    FailurePercentageLocalOrigin,
}

impl Detector {
    /// Envoy's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Detector::Consecutive5xx => "consecutive-5xx",
            Detector::ConsecutiveGatewayFailure => "consecutive-gateway-failure",
            Detector::ConsecutiveLocalOriginFailure => "consecutive-local-origin-failure",
            Detector::SuccessRate => "success-rate",
            Detector::SuccessRateLocalOrigin => "success-rate-local-origin",
            Detector::FailurePercentage => "failure-percentage",
            Detector::FailurePercentageLocalOrigin => "failure-percentage-local-origin",
        }
    }
}

/// What a circuit breaker bounds. Source: Envoy, `CircuitBreakers.Thresholds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Connections to the cluster.
    Connections,
    /// Requests that wait for a connection.
    Pending,
    /// Requests in hand.
    Requests,
    /// Retries in hand, those that wait for their backoff included.
    Retries,
}

impl Limit {
    /// What it bounds, in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::Pending => "pending",
            Limit::Requests => "requests",
            Limit::Retries => "retries",
        }
    }
}

/// Which side of a pod's proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// From the network to the app.
    Inbound,
    /// From the app to the network.
    Outbound,
}

/// A request that a proxy has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEvent {
    /// Which side of the proxy.
    pub side: Side,
    /// The request's `x-request-id`, where it parses.
    pub id: Option<RequestId>,
    /// The cluster chosen, empty where none was.
    pub cluster: Arc<str>,
    /// When its headers had been read.
    pub started: Time,
    /// The status answered; 0 when the caller had gone.
    pub status: u16,
    /// Envoy's response flags.
    pub flags: ResponseFlags,
    /// gRPC's status in the answer's headers or trailers, where the caller speaks gRPC and there was one.
    pub grpc: Option<GrpcStatus>,
    /// How many tries it took; 0 when it was answered here.
    pub attempts: u32,
    /// How long it was the proxy's alone: no try of it had a connection.
    pub own: Duration,
    /// Envoy's response code details: `via_upstream`, or why the proxy answered by itself.
    pub details: Cow<'static, str>,
}

/// One try at an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// The request's `x-request-id`, where it parses.
    pub id: Option<RequestId>,
    /// The cluster it went to.
    pub cluster: Arc<str>,
    /// The endpoint it went to.
    pub upstream: SocketAddr,
    /// When it was sent to the pool.
    pub started: Time,
    /// 1 for the first try.
    pub number: u32,
    /// Sent while another try was still open.
    pub hedge: bool,
    /// The upstream's status; 0 when it gave none.
    pub status: u16,
    /// gRPC's status in its headers or trailers, where the caller speaks gRPC and there was one.
    pub grpc: Option<GrpcStatus>,
    /// What went wrong, in Envoy's letters.
    pub flags: ResponseFlags,
    /// Without TLS.
    pub plaintext: bool,
}

/// An `x-request-id`: a UUID as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u128);

/// The digit that each byte stands for in hexadecimal; 255: none.
static DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        let text = b"0123456789abcdef"[digit as usize];
        table[text as usize] = digit;
        table[text.to_ascii_uppercase() as usize] = digit;
        digit += 1;
    }
    table
};

impl RequestId {
    /// Reads the hyphenated form, in either case. Anything else is not an id of ours.
    pub fn parse(text: &[u8]) -> Option<RequestId> {
        // Every proxy reads the id of every request: by a table, and without a branch a digit.
        let text: &[u8; 36] = text.try_into().ok()?;
        if [8, 13, 18, 23].iter().any(|at: &usize| text[*at] != b'-') {
            return None;
        }
        let (mut value, mut seen) = (0u128, 0u8);
        for (from, to) in [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)] {
            let mut group = 0u64;
            for byte in &text[from..to] {
                let digit = DIGITS[usize::from(*byte)];
                seen |= digit;
                group = (group << 4) | u64::from(digit & 0xf);
            }
            value = (value << (4 * (to - from))) | u128::from(group);
        }
        (seen < 16).then_some(RequestId(value))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id = RequestId(0x6f1b_7e5c_37d6_4b2a_9a3e_0d9a_6b1c_2d3e);
        let text = "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e";
        assert_eq!(id.to_string(), text);
        let read = |text: &str| RequestId::parse(text.as_bytes());
        assert_eq!(read(text), Some(id));
        assert_eq!(read(&text.to_ascii_uppercase()), Some(id));
        for other in [
            "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3",
            "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3g",
            "6f1b7e5c037d6-4b2a-9a3e-0d9a6b1c2d3e",
            "-f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
