//! What is remembered of a request, and told when it is over: events, and metrics per edge.
//!
//! A request is over when the last byte of its response has been handed over, or its caller has gone; whichever way its
//! future or its body is dropped, exactly one [`RequestEvent`] comes of it, and one [`AttemptEvent`] of each try.

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

pub(crate) use body::{RecordedBody, Rest};

use crate::overload::Hold;
use crate::peers::Peer;
use crate::respond::grpc_status;
use crate::shared::Shared;
use crate::state::{Busy, Host};
use crate::telemetry::Edge;

/// One request on its way through one side of the proxy.
#[derive(Debug)]
pub(crate) struct Record {
    shared: Rc<Shared>,
    side: Side,
    id: Option<RequestId>,
    started: Time,
    cluster: Arc<str>,
    /// The calling workload, on the inbound side, if it is known.
    peer: Option<Rc<Peer>>,
    /// What it counts under: the host reached last, or else the cluster, or else the proxy.
    edge: Rc<Edge>,
    /// 0 until there is an answer.
    status: u16,
    /// gRPC's status of the answer.
    grpc: Option<GrpcStatus>,
    flags: ResponseFlags,
    details: Cow<'static, str>,
    attempts: u32,
    alone: Alone,
    /// The tries that are open: one, but for hedged requests.
    open: SmallVec<[Attempt; 1]>,
    /// What it holds until it is over.
    holds: SmallVec<[Hold; 1]>,
    /// Whether the caller got all that there was.
    complete: bool,
    /// Whether the caller has sent all that there is.
    received: bool,
    /// Whether it is a copy's, of which nobody is told.
    silent: bool,
}

/// A try that is open.
#[derive(Debug)]
struct Attempt {
    number: u32,
    /// Whether it was sent while another was open.
    hedge: bool,
    busy: Busy,
    started: Time,
    connected: bool,
    status: u16,
    grpc: Option<GrpcStatus>,
}

/// How long a request was the proxy's alone: none of its tries had a connection.
#[derive(Debug)]
struct Alone {
    so_far: Duration,
    /// Since when no try has had one; of no meaning while one has.
    since: Time,
    /// How many tries have one.
    connected: u32,
}

impl Alone {
    const fn begin(now: Time) -> Alone {
        Alone {
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

impl Record {
    /// Begins with the request's headers.
    pub(crate) fn begin(shared: &Rc<Shared>, side: Side, id: Option<RequestId>) -> Record {
        let now = shared.env.now();
        Record {
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
            alone: Alone::begin(now),
            open: SmallVec::new(),
            holds: SmallVec::new(),
            complete: false,
            received: false,
            silent: false,
        }
    }

    /// The record of a copy of this request, sent to a cluster: nobody is told of it.
    pub(crate) fn shadow(&self, cluster: &Arc<str>) -> Record {
        let mut record = Record::begin(&self.shared, self.side, self.id);
        record.cluster = Arc::clone(cluster);
        record.silent = true;
        record
    }

    /// Notes the calling workload.
    pub(crate) fn comes_from(&mut self, peer: Option<Rc<Peer>>) {
        self.peer = peer;
    }

    /// Which side of the proxy it passes.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The proxy that it travels through.
    fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Something is to be said of it, whatever comes.
    pub(crate) fn flag(&mut self, flags: ResponseFlags) {
        self.flags |= flags;
    }

    /// It holds this until it is over.
    pub(crate) fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// When it began.
    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// All of the request has come.
    pub(crate) fn receive(&mut self) {
        self.received = true;
    }

    /// Whether all of the request has come.
    pub(crate) fn is_received(&self) -> bool {
        self.received
    }

    /// How many tries there were so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The route chose a cluster.
    pub(crate) fn routed(&mut self, cluster: &Arc<str>) {
        self.cluster = Arc::clone(cluster);
    }

    /// The cluster is there.
    pub(crate) fn found(&mut self, edge: &Rc<Edge>) {
        self.edge = Rc::clone(edge);
    }

    /// A try at this host begins now; its number.
    pub(crate) fn attempt(&mut self, host: Rc<Host>, now: Time) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.edge = Rc::clone(host.edge());
        self.open.push(Attempt {
            number: self.attempts,
            hedge: !self.open.is_empty(),
            busy: Busy::new(host),
            started: now,
            connected: false,
            status: 0,
            grpc: None,
        });
        self.attempts
    }

    /// A try that found no host: it counts, and nothing is told of it. Source: Envoy, which counts tries before it looks
    /// for a host.
    pub(crate) fn attempt_in_vain(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// An open try has its connection.
    pub(crate) fn attempt_connected(&mut self, number: u32, now: Time) {
        if let Some(attempt) = self.open.iter_mut().find(|open| open.number == number) {
            attempt.connected = true;
            self.alone.connected(now);
        }
    }

    /// An open try has given headers: what is told of the request counts under its host.
    pub(crate) fn attempt_answered(&mut self, number: u32, status: u16, grpc: Option<GrpcStatus>) {
        if let Some(attempt) = self.open.iter_mut().find(|open| open.number == number) {
            attempt.status = status;
            attempt.grpc = grpc;
            self.edge = Rc::clone(attempt.busy.host().edge());
        }
    }

    /// An open try is over.
    pub(crate) fn end_attempt(&mut self, number: u32, flags: ResponseFlags) {
        if let Some(index) = self.open.iter().position(|open| open.number == number) {
            let attempt = self.open.remove(index);
            self.attempt_over(&attempt, flags);
        }
    }

    /// All tries that are still open are over.
    fn end_attempts(&mut self, flags: ResponseFlags) {
        for mut attempt in std::mem::take(&mut self.open) {
            attempt.grpc = attempt.grpc.or(self.grpc);
            self.attempt_over(&attempt, flags);
        }
    }

    fn attempt_over(&mut self, attempt: &Attempt, flags: ResponseFlags) {
        if attempt.connected {
            self.alone.ended(self.shared.env.now());
        }
        self.tell(attempt, flags);
    }

    /// Tells of a try.
    fn tell(&self, attempt: &Attempt, flags: ResponseFlags) {
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

    /// The caller is answered with this status; `details` are Envoy's response code details.
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

    /// gRPC's status came, in headers or trailers.
    pub(crate) fn answered_grpc(&mut self, headers: &HeaderMap) {
        self.grpc = grpc_status(headers).and_then(Result::ok).or(self.grpc);
    }

    /// The request broke off after the headers, for this reason.
    pub(crate) fn broken(mut self, flags: ResponseFlags, details: &'static str) {
        self.details = Cow::Borrowed(details);
        self.finish(flags);
    }

    /// The request is over: with all that there was, or with what went wrong after the headers.
    pub(crate) fn finish(mut self, flags: ResponseFlags) {
        self.complete = true;
        self.holds.iter().for_each(Hold::answered);
        self.flags |= flags;
        self.end_attempts(flags);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.complete {
            // Nobody took the rest.
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
