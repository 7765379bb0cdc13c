//! The record of a request: emits its events, and counts it in the metrics of its edge.
//!
//! A request is over when the last byte of its response has been handed over, or its caller is gone. Dropping its
//! future or its body at any time emits exactly one [`RequestEvent`], and on the outbound side one [`AttemptEvent`] for
//! each attempt.

mod body;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use shakedown_env::Time;
use shakedown_types::{
    AttemptEvent, GrpcStatus, MeshEvent, RequestEvent, RequestId, ResponseFlags, Side,
};
use smallvec::SmallVec;

pub(crate) use body::{BodyTimeouts, RecordedBody};

use crate::overload::OverloadPermit;
use crate::peers::Peer;
use crate::respond::grpc_status;
use crate::shared::Shared;
use crate::state::{ActiveRequest, UpstreamHost};
use crate::telemetry::EdgeSeries;

/// The record of a request on one side of the proxy.
#[derive(Debug)]
pub(crate) struct RequestRecord {
    shared: Rc<Shared>,
    side: Side,
    id: Option<RequestId>,
    started: Time,
    cluster: Arc<str>,
    /// The calling workload, if known. Inbound only.
    peer: Option<Rc<Peer>>,
    /// The edge that the request counts for: that of the last host, or else of the cluster, or else the proxy's
    /// unrouted one.
    edge: Rc<EdgeSeries>,
    /// 0 until response headers are known.
    status: u16,
    /// The gRPC status of the response.
    grpc: Option<GrpcStatus>,
    flags: ResponseFlags,
    details: Cow<'static, str>,
    attempts: u32,
    alone: ProxyTime,
    /// The open attempts; more than one for hedged requests only.
    open: SmallVec<[AttemptRecord; 1]>,
    /// Slots in overload controllers, released when the request is over.
    holds: SmallVec<[OverloadPermit; 1]>,
    /// True once the response has been handed over completely, or has broken off after its headers.
    complete: bool,
    /// True once the caller has sent the complete request.
    received: bool,
    /// True for a mirrored request, which emits nothing.
    silent: bool,
}

/// An open attempt.
#[derive(Debug)]
struct AttemptRecord {
    number: u32,
    /// True if it was sent while another was open.
    hedge: bool,
    busy: ActiveRequest,
    started: Time,
    connected: bool,
    status: u16,
    grpc: Option<GrpcStatus>,
}

/// The time that a request spent in the proxy alone, with no attempt connected.
#[derive(Debug)]
struct ProxyTime {
    so_far: Duration,
    /// The start of the current time without a connected attempt. Meaningless while one is connected.
    since: Time,
    /// The number of connected attempts.
    connected: u32,
}

impl ProxyTime {
    const fn begin(now: Time) -> ProxyTime {
        ProxyTime {
            so_far: Duration::ZERO,
            since: now,
            connected: 0,
        }
    }

    fn connected(&mut self, now: Time) {
        if self.connected == 0 {
            self.so_far += now.since(self.since);
        }
        self.connected += 1;
    }

    fn ended(&mut self, now: Time) {
        self.connected -= 1;
        self.since = now;
    }

    fn until(&self, now: Time) -> Duration {
        match self.connected {
            0 => self.so_far + now.since(self.since),
            _ => self.so_far,
        }
    }
}

impl RequestRecord {
    /// Begins a record when the request's headers have been received.
    pub(crate) fn begin(shared: &Rc<Shared>, side: Side, id: Option<RequestId>) -> RequestRecord {
        let now = shared.env.now();
        RequestRecord {
            shared: Rc::clone(shared),
            side,
            id,
            started: now,
            cluster: shared.no_cluster(),
            peer: None,
            edge: shared.unrouted(side),
            status: 0,
            grpc: None,
            flags: ResponseFlags::empty(),
            details: Cow::Borrowed("downstream_remote_disconnect"),
            attempts: 0,
            alone: ProxyTime::begin(now),
            open: SmallVec::new(),
            holds: SmallVec::new(),
            complete: false,
            received: false,
            silent: false,
        }
    }

    /// The record of a mirrored copy of this request. It emits nothing.
    pub(crate) fn shadow(&self, cluster: &Arc<str>) -> RequestRecord {
        let mut record = RequestRecord::begin(&self.shared, self.side, self.id);
        record.cluster = Arc::clone(cluster);
        record.silent = true;
        record
    }

    /// Sets the calling workload.
    pub(crate) fn comes_from(&mut self, peer: Option<Rc<Peer>>) {
        self.peer = peer;
    }

    /// The side of the proxy that the request passes.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Adds response flags that apply to any outcome.
    pub(crate) fn flag(&mut self, flags: ResponseFlags) {
        self.flags |= flags;
    }

    /// Keeps this slot until the request is over.
    pub(crate) fn hold(&mut self, hold: OverloadPermit) {
        self.holds.push(hold);
    }

    /// The time at which the request's headers were received.
    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// Notes that the request has been received completely.
    pub(crate) fn receive(&mut self) {
        self.received = true;
    }

    /// True if the request has been received completely.
    pub(crate) fn is_received(&self) -> bool {
        self.received
    }

    /// The number of attempts so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Sets the cluster that the route selected.
    pub(crate) fn routed(&mut self, cluster: &Arc<str>) {
        self.cluster = Arc::clone(cluster);
    }

    /// Sets the edge of the cluster.
    pub(crate) fn found(&mut self, edge: &Rc<EdgeSeries>) {
        self.edge = Rc::clone(edge);
    }

    /// Begins an attempt at this host, and returns its number.
    pub(crate) fn attempt(&mut self, host: Rc<UpstreamHost>, now: Time) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.edge = Rc::clone(host.edge());
        self.open.push(AttemptRecord {
            number: self.attempts,
            hedge: !self.open.is_empty(),
            busy: ActiveRequest::new(host),
            started: now,
            connected: false,
            status: 0,
            grpc: None,
        });
        self.attempts
    }

    /// Counts an attempt that found no host, and emits no event. Source: Envoy, which counts attempts before it picks a
    /// host.
    pub(crate) fn attempt_in_vain(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Notes that an attempt has its connection.
    pub(crate) fn attempt_connected(&mut self, number: u32, now: Time) {
        if let Some(attempt) = self.open.iter_mut().find(|open| open.number == number) {
            attempt.connected = true;
            self.alone.connected(now);
        }
    }

    /// Notes the response headers of an attempt. The request counts for the attempt's host from now on.
    pub(crate) fn attempt_answered(&mut self, number: u32, status: u16, grpc: Option<GrpcStatus>) {
        if let Some(attempt) = self.open.iter_mut().find(|open| open.number == number) {
            attempt.status = status;
            attempt.grpc = grpc;
            self.edge = Rc::clone(attempt.busy.host().edge());
        }
    }

    /// Ends an attempt.
    pub(crate) fn end_attempt(&mut self, number: u32, flags: ResponseFlags) {
        if let Some(index) = self.open.iter().position(|open| open.number == number) {
            let attempt = self.open.remove(index);
            self.attempt_over(&attempt, flags);
        }
    }

    /// Ends all open attempts.
    fn end_attempts(&mut self, flags: ResponseFlags) {
        for mut attempt in std::mem::take(&mut self.open) {
            attempt.grpc = attempt.grpc.or(self.grpc);
            self.attempt_over(&attempt, flags);
        }
    }

    fn attempt_over(&mut self, attempt: &AttemptRecord, flags: ResponseFlags) {
        if attempt.connected {
            self.alone.ended(self.shared.env.now());
        }
        self.emit_attempt(attempt, flags);
    }

    /// Emits the event of an attempt.
    fn emit_attempt(&self, attempt: &AttemptRecord, flags: ResponseFlags) {
        if self.silent || self.side == Side::Inbound {
            return;
        }
        self.shared.env.emit(MeshEvent::Attempt(AttemptEvent {
            id: self.id,
            cluster: Arc::clone(&self.cluster),
            upstream: attempt.busy.host().address(),
            started: attempt.started,
            number: attempt.number,
            hedge: attempt.hedge,
            status: attempt.status,
            grpc: attempt.grpc,
            flags,
            plaintext: true,
        }));
    }

    /// Sets the status of the response. `details` are Envoy's response code details.
    pub(crate) fn answered(
        &mut self,
        status: u16,
        flags: ResponseFlags,
        details: Cow<'static, str>,
    ) {
        self.details = details;
        self.status = status;
        self.flags |= flags;
    }

    /// Reads the gRPC status from headers or trailers.
    pub(crate) fn answered_grpc(&mut self, headers: &HeaderMap) {
        self.grpc = grpc_status(headers).and_then(Result::ok).or(self.grpc);
    }

    /// Ends the record of a response that broke off after its headers.
    pub(crate) fn broken(mut self, flags: ResponseFlags, details: &'static str) {
        self.details = Cow::Borrowed(details);
        self.finish(flags);
    }

    /// Ends the record. `flags` are those of an error after the headers, if any.
    pub(crate) fn finish(mut self, flags: ResponseFlags) {
        self.complete = true;
        self.holds.iter().for_each(OverloadPermit::answered);
        self.flags |= flags;
        self.end_attempts(flags);
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if !self.complete {
            // The caller is gone without the rest of the response.
            self.flags |= ResponseFlags::DC;
            self.end_attempts(ResponseFlags::DC);
        }
        if self.silent {
            return;
        }
        let env = &self.shared.env;
        let now = env.now();
        let took = now.since(self.started);
        let (peer, outcome) = (self.peer.as_deref(), (self.status, self.flags));
        self.edge.observe(&self.shared.metrics, peer, outcome, took);
        env.emit(MeshEvent::Request(RequestEvent {
            side: self.side,
            id: self.id,
            cluster: Arc::clone(&self.cluster),
            started: self.started,
            status: self.status,
            grpc: self.grpc,
            flags: self.flags,
            attempts: self.attempts,
            own: self.alone.until(now),
            details: std::mem::take(&mut self.details),
        }));
    }
}
