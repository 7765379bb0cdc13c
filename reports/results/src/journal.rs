//! The Journal: the ordered events of one run. Histograms, checks, verdict, charts and digest are views of
//! it.

use serde::{Deserialize, Serialize};
use shakedown_types::{BreakerLimit, CanaryPhase, Detector, ResponseFlags};

use crate::{Outcome, ParticipantId, Pod, PodId};

/// Number of the Journal's semantics, raised by hand if events change their meaning or their form. Part of a run's version
/// and digest.
///
/// 8: a journal names `participants` where it had `cast`, `parties` and `party`; random draws are those of the
/// crate `rand`, so that a seed draws other values.
///
/// 7: outlier detections that overflow are events; calls belong to the service to which routes sent them.
///
/// 6: a pause suspends `work`; faults that outlast the load end in the drain; each of several overlapping
/// `fail` items draws; the closing line has a checksum of the header.
pub const JOURNAL_VERSION: u32 = 8;

/// An event and its time, in ns from 0 s; negative while the mesh is starting. Records are in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Time at which the event became known. For an activity with a start and an end, this is the end.
    pub at_ns: i64,
    /// The event itself.
    pub event: Event,
}

/// The request of a load that an event descends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// The load that sent the request.
    pub load: ParticipantId,
    /// Index of the request's entry in the load's mix.
    pub entry: u16,
    /// Number of the request in the load, from 0, in order of intended time.
    pub seq: u64,
}

/// Fate of a request at an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Served to its end, with any status.
    Done,
    /// Refused because the queue was full.
    Refused,
    /// Dropped when it was taken from the queue, because it was shed or its caller had disconnected.
    Shed,
    /// The caller disconnected before the response.
    Abandoned,
    /// The pod died during the request.
    Crashed,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A load sent the first attempt of a request.
    Sent {
        /// The request that was sent.
        root: Root,
    },
    /// A scheduled request of a load ended. Every scheduled request has exactly one of these.
    Finished {
        /// The request that ended.
        root: Root,
        /// The client's pod.
        pod: PodId,
        /// Intended send time, from which latency is measured.
        intended_ns: i64,
        /// Actual send time; `None` if the request was dropped.
        sent_ns: Option<i64>,
        /// Outcome of the request.
        outcome: Outcome,
        /// Attempts by the client, including the first.
        tries: u16,
    },
    /// An app (or a load's client) handed a call to its sidecar or socket.
    CallStarted {
        /// The load's request that this call descends from.
        root: Option<Root>,
        /// The calling pod.
        from: PodId,
        /// The service that is called.
        to: ParticipantId,
    },
    /// The caller's proxy routed a call in flight to another service.
    CallRouted {
        /// The load's request that this call descends from.
        root: Option<Root>,
        /// The calling pod.
        from: PodId,
        /// The service to which the call was in flight until now.
        left: ParticipantId,
        /// The service to which the call is in flight from now on.
        to: ParticipantId,
    },
    /// A call ended.
    CallEnded {
        /// The load's request that this call descends from.
        root: Option<Root>,
        /// The calling pod.
        from: PodId,
        /// The service to which the call was routed last; without routing, the called service.
        to: ParticipantId,
        /// The called service, if it differs from `to`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<ParticipantId>,
        /// Index into the callee's endpoints; `u16::MAX` for an undeclared path, and if another service was
        /// called.
        endpoint: u16,
        /// Time at which the call was handed over.
        start_ns: i64,
        /// Outcome of the call.
        outcome: Outcome,
        /// Attempts by the app itself, including the first; 0 if none was sent because the call got no permit
        /// of its pool.
        tries: u16,
        /// Attempts among `tries` that the app sent while another was in flight.
        #[serde(default, skip_serializing_if = "is_zero")]
        hedges: u16,
        /// Time for which the call waited for a permit of its pool (`pool`) before it was handed over.
        #[serde(default, skip_serializing_if = "is_zero_ns")]
        pool_wait_ns: i64,
    },
    /// A caller's proxy finished a request. This event carries Envoy's response flags.
    Proxied {
        /// The load's request that this one descends from.
        root: Option<Root>,
        /// The caller's pod.
        from: PodId,
        /// The callee; `None` if no cluster was chosen.
        to: Option<ParticipantId>,
        /// Time at which the proxy had received the request's headers.
        start_ns: i64,
        /// Status and result (ok = 200..399).
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// Attempts by the proxy; 0 for a local reply.
        tries: u16,
        /// Time during which no attempt of the request had a connection.
        #[serde(default, skip_serializing_if = "is_zero_ns")]
        proxy_ns: i64,
    },
    /// A callee's proxy finished a request with at least one of Envoy's response flags.
    Flagged {
        /// The load's request that this one descends from.
        root: Option<Root>,
        /// The proxy's pod.
        pod: PodId,
        /// Time at which the proxy had received the request's headers.
        start_ns: i64,
        /// Status and result (ok = 200..399).
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// True if the request never reached the app.
        turned_away: bool,
    },
    /// An attempt on the wire: by a caller's proxy, or by the app if it has no proxy.
    Attempt {
        /// The load's request that this attempt descends from.
        root: Option<Root>,
        /// The pod that sent it.
        from: PodId,
        /// The replica that received it; `None` if no replica was reached.
        to: Option<PodId>,
        /// The intended service.
        to_participant: ParticipantId,
        /// Start of the attempt.
        start_ns: i64,
        /// Outcome of the attempt.
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// Number of the attempt within its request, from 1.
        number: u16,
        /// True if another attempt was in flight when it was sent.
        hedge: bool,
        /// True if it was sent without TLS.
        plaintext: bool,
    },
    /// An attempt reached an app behind its sidecar.
    Arrived {
        /// The load's request that this attempt descends from.
        root: Option<Root>,
        /// The app's pod.
        pod: PodId,
        /// Index into the service's endpoints; `u16::MAX` for an undeclared path.
        endpoint: u16,
        /// The pod that sent it, if its headers name one.
        from: Option<PodId>,
        /// True if it waits in the queue for a worker. Otherwise it was started or refused at once.
        queued: bool,
        /// True for a mirrored copy of a request, whose response is ignored.
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
    },
    /// A request in progress entered the queue for a core. Only for services with cores that serve in order,
    /// and without workers.
    Queued {
        /// The app's pod.
        pod: PodId,
        /// Index into the service's endpoints.
        endpoint: u16,
    },
    /// A queued request left the queue.
    Dequeued {
        /// The app's pod.
        pod: PodId,
        /// Index into the service's endpoints.
        endpoint: u16,
    },
    /// An app finished an attempt. Every `Arrived` has exactly one of these.
    Served {
        /// The load's request that this attempt descends from.
        root: Option<Root>,
        /// The app's pod.
        pod: PodId,
        /// Index into the service's endpoints; `u16::MAX` for an undeclared path.
        endpoint: u16,
        /// The pod that sent it, if its headers name one.
        from: Option<PodId>,
        /// Time of its arrival.
        arrived_ns: i64,
        /// Queueing time: for a worker or, without workers, for cores, summed over all work steps.
        queue_wait_ns: i64,
        /// Status (0 if no response left the app) and result (ok = 200..399).
        outcome: Outcome,
        /// Fate of the attempt.
        fate: Fate,
        /// True for a mirrored copy, as in `Arrived`.
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
    },
    /// A core did work. Only for services with cores and without workers.
    Worked {
        /// The app's pod.
        pod: PodId,
        /// Start of the interval that ends now.
        since_ns: i64,
        /// Core time used in the interval, ns.
        core_ns: i64,
    },
    /// A chaos item began.
    FaultStarted {
        /// Index into [`Participants::faults`](crate::Participants::faults).
        fault: u16,
        /// Pods that it hit.
        pods: Vec<PodId>,
    },
    /// A chaos item ended, or the run did. Every `FaultStarted` has exactly one of these.
    FaultEnded {
        /// Index into [`Participants::faults`](crate::Participants::faults).
        fault: u16,
        /// Number of packets, requests, connections or pods that it affected.
        hits: u64,
    },
    /// A pod was added during the run. Its id is the next free one.
    PodAdded {
        /// Description of the pod.
        pod: Pod,
    },
    /// A pod crashed.
    Crashed {
        /// The pod that crashed.
        pod: PodId,
    },
    /// A pod is ready (again): its app listens, and its proxy has an accepted configuration.
    Ready {
        /// The pod that became ready.
        pod: PodId,
    },
    /// The control plane created a new configuration.
    ConfigChanged {
        /// Version number of the configuration.
        version: u64,
    },
    /// A proxy applied a configuration.
    ConfigInForce {
        /// The proxy's pod.
        pod: PodId,
        /// Version number of the configuration.
        version: u64,
    },
    /// A proxy refused a resource and keeps its last good version.
    ConfigRefused {
        /// The proxy's pod.
        pod: PodId,
        /// Type and name: `Cluster outbound|8080||api`.
        resource: String,
        /// Reason of the refusal, in words.
        reason: String,
    },
    /// A canary made a step.
    Canary {
        /// The canary's service.
        service: ParticipantId,
        /// Phase after the step.
        phase: CanaryPhase,
        /// Share of the new version, in parts per million.
        weight_ppm: u32,
        /// Index of the version that is rolled out; `None` outside of a rollout.
        version: Option<u16>,
        /// Reason in words, with the numbers that decided.
        reason: String,
    },
    /// The share of a version changed, after every proxy has acknowledged the configuration.
    Weight {
        /// The service of the version.
        service: ParticipantId,
        /// Index of the version.
        version: u16,
        /// New share, in parts per million.
        ppm: u32,
    },
    /// The number of replicas of a version was set, by a chaos item or by a canary.
    Scaled {
        /// The service of the version.
        service: ParticipantId,
        /// Index of the version.
        version: u16,
        /// Desired number of replicas.
        replicas: u32,
    },
    /// A pod was removed: drained and stopped.
    Stopped {
        /// The pod that stopped.
        pod: PodId,
    },
    /// A proxy's outlier detection ejected a pod.
    Ejected {
        /// The proxy's pod.
        at: PodId,
        /// The ejected pod.
        pod: PodId,
        /// Detector that ejected it.
        by: Detector,
    },
    /// A proxy's outlier detection could not eject a pod, because `maxEjectionPercent` was reached. Envoy
    /// counts these as `outlier_detection.ejections_overflow`.
    EjectionOverflow {
        /// The proxy's pod.
        at: PodId,
        /// The pod that was not ejected.
        pod: PodId,
        /// Detector that fired.
        by: Detector,
    },
    /// A proxy uses an ejected pod again.
    Returned {
        /// The proxy's pod.
        at: PodId,
        /// The pod that returned.
        pod: PodId,
    },
    /// A circuit breaker reached its limit, or fell below it again.
    Breaker {
        /// The proxy's pod.
        at: PodId,
        /// The destination service.
        to: ParticipantId,
        /// Kind of the limit.
        limit: BreakerLimit,
        /// True if the limit was reached, false after usage has fallen below it again.
        open: bool,
    },
    /// The control plane refused a document.
    DocumentRefused {
        /// Kind and name of the document.
        document: String,
        /// Reason of the refusal, in words.
        reason: String,
    },
    /// The run became invalid, for example by a starved generator or a planted divergence.
    Invalid {
        /// Reason in words.
        reason: String,
    },
}

/// Serde passes a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires this signature"
)]
fn is_zero(count: &u16) -> bool {
    *count == 0
}

/// Serde passes a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires this signature"
)]
fn is_zero_ns(nanos: &i64) -> bool {
    *nanos == 0
}

/// Serde passes a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires this signature"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
