//! Events that the mesh reports through `Env::emit`: the real world shows them in the admin view and logs, the simulator's
//! stage turns them into events of the Journal.

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
        /// The phase.
        phase: CanaryPhase,
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
        /// The limit.
        limit: BreakerLimit,
        /// True if the limit is reached, false if the count is below it again.
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

/// A request that a proxy has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEvent {
    /// Which side of the proxy.
    pub side: Side,
    /// The request's `x-request-id`, where it parses.
    pub id: Option<RequestId>,
    /// The cluster chosen, empty where none was.
    pub cluster: Arc<str>,
    /// The time at which the request's headers had been read.
    pub started: Time,
    /// The status answered; 0 when the caller had gone.
    pub status: u16,
    /// Envoy's response flags.
    pub flags: ResponseFlags,
    /// gRPC's status in the answer's headers or trailers, where the caller speaks gRPC and there was one.
    pub grpc: Option<GrpcStatus>,
    /// Number of attempts; 0 if the proxy answered without one.
    pub attempts: u32,
    /// Time during which no attempt had a connection, and only the proxy worked on the request.
    pub own: Duration,
    /// Envoy's response code details: `via_upstream`, or why the proxy answered by itself.
    pub details: Cow<'static, str>,
}

/// An attempt at an upstream that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// The request's `x-request-id`, where it parses.
    pub id: Option<RequestId>,
    /// The cluster.
    pub cluster: Arc<str>,
    /// The endpoint's address.
    pub upstream: SocketAddr,
    /// The time at which a connection was requested from the pool.
    pub started: Time,
    /// Number of the attempt, from 1.
    pub number: u32,
    /// True if another attempt was in progress when this one was sent.
    pub hedge: bool,
    /// The upstream's HTTP status; 0 without a response.
    pub status: u16,
    /// gRPC's status in its headers or trailers, where the caller speaks gRPC and there was one.
    pub grpc: Option<GrpcStatus>,
    /// Envoy's response flags.
    pub flags: ResponseFlags,
    /// True without TLS.
    pub plaintext: bool,
}
