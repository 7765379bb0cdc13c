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
        /// What it bounds.
        limit: BreakerLimit,
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
