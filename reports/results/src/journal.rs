//! The Journal: the ordered facts of one run. Histograms, checks, verdict, charts and digest are views of it.

use serde::{Deserialize, Serialize};
use shakedown_types::{BreakerLimit, CanaryPhase, Detector, ResponseFlags};

use crate::{Outcome, PartyId, Pod, PodId};

/// Raised by hand when events change meaning; part of a run's version and digest.
///
/// 7: outlier detections that overflow are events; calls belong to the service to which routes led them.
///
/// 6: a pause suspends `work`; faults that outlast the load end in the drain; of overlapping `fail` items each draws; the
/// closing line has a checksum of the header.
pub const JOURNAL_VERSION: u32 = 7;

/// One fact and its time, in ns from 0 s; negative while the mesh still starts. Records come in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it became known: for what has a beginning and an end, the end.
    pub at_ns: i64,
    /// What.
    pub event: Event,
}

/// The request of a load that something descends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// The load.
    pub load: PartyId,
    /// Which entry of its mix.
    pub entry: u16,
    /// Its number in the load, from 0, in order of intended time.
    pub seq: u64,
}

/// What became of a request at an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Served to its end (whatever the status).
    Done,
    /// The queue was full.
    Refused,
    /// Taken from the queue and not served (shed, or its caller had gone).
    Shed,
    /// The caller had gone before the answer.
    Abandoned,
    /// The pod died with it in hand.
    Crashed,
}

/// A fact of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A load's request was sent (its first try).
    Sent {
        /// Which request.
        root: Root,
    },
    /// A scheduled request of a load came to its end. Every scheduled request has exactly one of these.
    Finished {
        /// Which request.
        root: Root,
        /// The client host.
        pod: PodId,
        /// When it should have been sent: latency counts from here.
        intended_ns: i64,
        /// When it was sent; `None` when dropped.
        sent_ns: Option<i64>,
        /// How it came out.
        outcome: Outcome,
        /// Tries by the client, the first included.
        tries: u16,
    },
    /// An app (or a load's client) handed a call to its sidecar or socket.
    CallStarted {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Who calls.
        from: PodId,
        /// The service that it asks for.
        to: PartyId,
    },
    /// The caller's proxy routed a call in flight to another service.
    CallRouted {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Who calls.
        from: PodId,
        /// The service to which it was in flight so far.
        left: PartyId,
        /// The service to which it is in flight from now on.
        to: PartyId,
    },
    /// A call came to its end.
    CallEnded {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Who called.
        from: PodId,
        /// The service to which it was routed last, or else the one that it asked for.
        to: PartyId,
        /// The service that it asked for, if that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<PartyId>,
        /// Index into the callee's endpoints; `u16::MAX` for an undeclared path, and if it asked for another service.
        endpoint: u16,
        /// When it was handed over.
        start_ns: i64,
        /// How it came out.
        outcome: Outcome,
        /// Tries by the app itself, the first included; 0 when none was sent (it found no place among its caller's calls).
        tries: u16,
        /// Those of them that the app sent while another was still open.
        #[serde(default, skip_serializing_if = "is_zero")]
        hedges: u16,
        /// How long it waited for a place among its caller's calls (`pool`), before it was handed over.
        #[serde(default, skip_serializing_if = "is_zero_ns")]
        pool_wait_ns: i64,
    },
    /// A caller's proxy finished a request: Envoy's response flags live here.
    Proxied {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// The caller.
        from: PodId,
        /// The callee, where a cluster was chosen.
        to: Option<PartyId>,
        /// When the proxy had its headers.
        start_ns: i64,
        /// Status and answer (ok = 200..399).
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// Tries by the proxy; 0 when it answered by itself.
        tries: u16,
        /// How long it was the proxy's alone: no try of it had a connection.
        #[serde(default, skip_serializing_if = "is_zero_ns")]
        proxy_ns: i64,
    },
    /// A callee's proxy finished a request of which it has something to say: a flag of Envoy's.
    Flagged {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Whose proxy.
        pod: PodId,
        /// When the proxy had its headers.
        start_ns: i64,
        /// Status and answer (ok = 200..399).
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// The app never saw it.
        turned_away: bool,
    },
    /// One try on the wire: by a caller's proxy, or by the app where it has none.
    Attempt {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Who sent it.
        from: PodId,
        /// The replica it went to; `None` when no replica was reached.
        to: Option<PodId>,
        /// Whom it was meant for.
        to_party: PartyId,
        /// When.
        start_ns: i64,
        /// How it came out.
        outcome: Outcome,
        /// Envoy's response flags.
        flags: ResponseFlags,
        /// 1 for the first try.
        number: u16,
        /// Sent while another try was still open.
        hedge: bool,
        /// Without TLS.
        plaintext: bool,
    },
    /// An attempt reached an app behind its sidecar.
    Arrived {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Where.
        pod: PodId,
        /// Index into the service's endpoints; `u16::MAX` for an undeclared path.
        endpoint: u16,
        /// The pod that sent it, where it says so.
        from: Option<PodId>,
        /// It waits in the queue for a worker (else it was taken up, or refused, at once).
        queued: bool,
        /// A proxy's copy of a request (a mirror's), whose answer nobody waits for.
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
    },
    /// One in hand came into the queue for a core. Only for services with cores that serve in order, and without workers.
    Queued {
        /// Where.
        pod: PodId,
        /// Index into the service's endpoints.
        endpoint: u16,
    },
    /// One that was queued left the queue.
    Dequeued {
        /// Where.
        pod: PodId,
        /// Index into the service's endpoints.
        endpoint: u16,
    },
    /// An app is through with an attempt. Every `Arrived` has exactly one of these.
    Served {
        /// The load's request that it descends from.
        root: Option<Root>,
        /// Where.
        pod: PodId,
        /// Index into the service's endpoints; `u16::MAX` for an undeclared path.
        endpoint: u16,
        /// The pod that sent it, where it says so.
        from: Option<PodId>,
        /// When it reached the queue.
        arrived_ns: i64,
        /// How long it waited: for a worker or, without workers, for its cores, all work steps together.
        queue_wait_ns: i64,
        /// Status (0 when none left the app) and answer (ok = 200..399).
        outcome: Outcome,
        /// What became of it.
        fate: Fate,
        /// As at its arrival.
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
    },
    /// A core did work. Only for services with cores and without workers.
    Worked {
        /// Where.
        pod: PodId,
        /// From when on.
        since_ns: i64,
        /// Core time used since then, ns.
        core_ns: i64,
    },
    /// A chaos item began.
    FaultStarted {
        /// Index into [`Cast::faults`](crate::Cast::faults).
        fault: u16,
        /// What it hit, by pod.
        pods: Vec<PodId>,
    },
    /// A chaos item is over, or the run is. Every `FaultStarted` has exactly one of these.
    FaultEnded {
        /// Index into [`Cast::faults`](crate::Cast::faults).
        fault: u16,
        /// How many packets, requests, connections or pods it touched.
        hits: u64,
    },
    /// A pod was added while the run went on; its id is the next free one.
    PodAdded {
        /// Who it is.
        pod: Pod,
    },
    /// A pod is gone.
    Crashed {
        /// Which.
        pod: PodId,
    },
    /// A pod is there (again): its app listens, its proxy has a configuration in force.
    Ready {
        /// Which.
        pod: PodId,
    },
    /// The control plane made a new configuration.
    ConfigChanged {
        /// Its number.
        version: u64,
    },
    /// A proxy put a configuration in force.
    ConfigInForce {
        /// Whose proxy.
        pod: PodId,
        /// Its number.
        version: u64,
    },
    /// A proxy refused a resource and keeps its last good one.
    ConfigRefused {
        /// Whose proxy.
        pod: PodId,
        /// Type and name: `Cluster outbound|8080||api`.
        resource: String,
        /// Why.
        reason: String,
    },
    /// A canary took a step.
    Canary {
        /// Of which service.
        service: PartyId,
        /// The phase.
        phase: CanaryPhase,
        /// The new version's share, parts per million.
        weight_ppm: u32,
        /// Index of the version that is rolled out, where there is one.
        version: Option<u16>,
        /// Why, in words, with the numbers that decided.
        reason: String,
    },
    /// The share of a version in force at the control plane (every proxy has acknowledged it) is now this.
    Weight {
        /// Of which service.
        service: PartyId,
        /// Index of the version.
        version: u16,
        /// Parts per million.
        ppm: u32,
    },
    /// A version's replicas were set to this: by a chaos item or by a canary.
    Scaled {
        /// Of which service.
        service: PartyId,
        /// Index of the version.
        version: u16,
        /// How many there shall be.
        replicas: u32,
    },
    /// A pod was taken away: drained and stopped.
    Stopped {
        /// Which.
        pod: PodId,
    },
    /// A proxy's outlier detection took a pod out.
    Ejected {
        /// Whose proxy.
        at: PodId,
        /// Which pod.
        pod: PodId,
        /// The detector.
        by: Detector,
    },
    /// A proxy's outlier detection could not eject a pod, because `maxEjectionPercent` was reached. Envoy counts these as
    /// `outlier_detection.ejections_overflow`.
    EjectionOverflow {
        /// Whose proxy.
        at: PodId,
        /// Which pod.
        pod: PodId,
        /// The detector.
        by: Detector,
    },
    /// A pod that was taken out takes that proxy's traffic again.
    Returned {
        /// Whose proxy.
        at: PodId,
        /// Which pod.
        pod: PodId,
    },
    /// A circuit breaker came to its limit, or fell below it again.
    Breaker {
        /// Whose proxy.
        at: PodId,
        /// On the way to which service.
        to: PartyId,
        /// The limit.
        limit: BreakerLimit,
        /// At its limit.
        open: bool,
    },
    /// The control plane refused a document.
    DocumentRefused {
        /// Kind and name.
        document: String,
        /// Why.
        reason: String,
    },
    /// Something made the run worthless (a starved generator, a planted divergence): the verdict is *invalid*.
    Invalid {
        /// What.
        reason: String,
    },
}

/// Serde asks by reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(count: &u16) -> bool {
    *count == 0
}

/// Serde asks by reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero_ns(nanos: &i64) -> bool {
    *nanos == 0
}

/// Serde asks by reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
