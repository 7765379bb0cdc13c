//! Events that the mesh reports through `Env::emit`. The real backend shows them in the admin view and in logs. The
//! simulator's runner turns them into events of the Journal.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    BreakerLimit, CanaryPhase, Detector, GrpcStatus, RequestId, ResponseFlags, Side, Time,
};

/// An event of the mesh, seen on the host that emits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshEvent {
    /// A proxy finished a request, including all its attempts.
    Request(RequestEvent),
    /// An outbound proxy finished one attempt.
    Attempt(AttemptEvent),
    /// A proxy applied a configuration. `version` counts the control plane's pushes.
    ConfigInForce { version: u64 },
    /// A proxy refused a resource and keeps the last good one.
    ConfigRefused {
        /// The resource's type, in short (`Cluster`).
        kind: &'static str,
        resource: Arc<str>,
        /// The reason, in words.
        reason: Arc<str>,
    },
    /// The control plane produced a new version of the configuration.
    ConfigChanged {
        /// The number of the push that carries it.
        version: u64,
    },
    /// A canary changed its phase or its weight.
    Canary {
        /// The service that is rolled out, by the name in its `Canary` document.
        name: Arc<str>,
        phase: CanaryPhase,
        /// The new version's share of the traffic, in whole percent.
        weight_percent: u32,
        /// The version that is rolled out. Empty if no rollout is in progress.
        version: Arc<str>,
        /// The reason, in words, with the numbers that decided.
        reason: Arc<str>,
    },
    /// The weights of a service that are in force: every proxy has acknowledged them.
    Weights {
        name: Arc<str>,
        /// Each version with its share in whole percent.
        percent: Arc<[(String, u32)]>,
    },
    /// A proxy's outlier detection ejected a host from its cluster.
    Ejected {
        cluster: Arc<str>,
        host: SocketAddr,
        /// The detector that ejected the host.
        by: Detector,
    },
    /// A proxy chose the cluster of an outgoing request and has not yet sent it. Emitted only for requests that carry
    /// the header which the proxy is configured to report. Source: Envoy, `flush_access_log_on_new_request` with
    /// `%REQ(NAME)%`.
    Routed {
        /// The header's value.
        header: Arc<str>,
        cluster: Arc<str>,
    },
    /// Outlier detection could not eject a host because the cluster's maximum ejection percentage was reached. Source:
    /// Envoy, `outlier_detection.ejections_overflow`.
    EjectionOverflow {
        cluster: Arc<str>,
        host: SocketAddr,
        /// The detector that would have ejected the host.
        by: Detector,
    },
    /// An ejected host receives traffic again.
    Returned { cluster: Arc<str>, host: SocketAddr },
    /// A circuit breaker reached its limit, or fell below it again.
    Breaker {
        cluster: Arc<str>,
        /// The limit that was reached or left.
        limit: BreakerLimit,
        /// True if the limit is reached, false if the count is below it again.
        open: bool,
    },
    /// The control plane refused a document.
    DocumentRefused {
        /// Kind and name, as in `DestinationRule/bad`.
        document: Arc<str>,
        /// The reason, in words.
        reason: Arc<str>,
    },
}

/// A request that a proxy has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEvent {
    /// The side of the proxy that handled the request.
    pub side: Side,
    /// The request's `x-request-id`; `None` if the header is missing or malformed.
    pub id: Option<RequestId>,
    /// The cluster chosen, empty if no route matched.
    pub cluster: Arc<str>,
    /// The time at which the request's headers had been read.
    pub started: Time,
    /// The response's HTTP status; 0 if the client had disconnected.
    pub status: u16,
    /// Envoy's response flags.
    pub flags: ResponseFlags,
    /// The gRPC status in the response's headers or trailers; `None` if the client does not speak gRPC or the response
    /// has none.
    pub grpc: Option<GrpcStatus>,
    /// Number of attempts; 0 if the proxy sent a local reply without one.
    pub attempts: u32,
    /// Time during which no attempt had a connection, and only the proxy worked on the request.
    pub own: Duration,
    /// Envoy's response code details: `via_upstream`, or the reason of a local reply.
    pub details: Cow<'static, str>,
}

/// An attempt at an upstream that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// The request's `x-request-id`; `None` if the header is missing or malformed.
    pub id: Option<RequestId>,
    pub cluster: Arc<str>,
    /// The address of the endpoint.
    pub upstream: SocketAddr,
    /// The time at which a connection was requested from the pool.
    pub started: Time,
    /// Number of the attempt, from 1.
    pub number: u32,
    /// True if another attempt was in progress when this one was sent.
    pub hedge: bool,
    /// The upstream's HTTP status; 0 without a response.
    pub status: u16,
    /// The gRPC status in the response's headers or trailers; `None` if the client does not speak gRPC or the response
    /// has none.
    pub grpc: Option<GrpcStatus>,
    /// Envoy's response flags.
    pub flags: ResponseFlags,
    /// True if the connection did not use TLS.
    pub plaintext: bool,
}
