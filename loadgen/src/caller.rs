//! One host's calls: the headers that carry causality, the facts that a call leaves in the Journal.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};
use shakedown_env::{Env, Flags, Time};
use shakedown_results::{Answer, Event, Outcome, PartyId, PodId, Root};
use shakedown_wire::Body;

use crate::{Exchange, Outlet, Recorder, Target};

/// Carries the id of the load's request that something descends from.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Names the direct caller: `<pod>-<number of the call>`.
pub const CALL_HEADER: HeaderName = HeaderName::from_static("x-shakedown-call");

/// A host as a caller. Lives as long as the host's incarnation.
pub struct Caller {
    env: Env,
    pod: PodId,
    outlet: Outlet,
    recorder: Rc<dyn Recorder>,
    calls: Cell<u64>,
}

/// Whom to call, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The load's request that the call descends from.
    pub root: Option<Root>,
    /// The callee.
    pub to: PartyId,
    /// Index into the callee's endpoints.
    pub endpoint: u16,
    /// The callee's name and port.
    pub target: &'a Target,
    /// When the caller gives up.
    pub deadline: Time,
    /// Statuses that the caller counts as success: inclusive ranges.
    pub ok: &'a [(u16, u16)],
}

impl Caller {
    /// The caller that `pod` is, by this way out.
    pub fn new(env: Env, pod: PodId, outlet: Outlet, recorder: Rc<dyn Recorder>) -> Caller {
        Caller {
            env,
            pod,
            outlet,
            recorder,
            calls: Cell::new(0),
        }
    }

    /// Who calls.
    pub fn pod(&self) -> PodId {
        self.pod
    }

    /// The host's world.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Makes one call, reads its answer to the end, and records both. Dropping it cancels the call, and records that.
    ///
    /// `request` has method, path and its own headers; `host` and the caller's name are added here.
    pub async fn call(&self, errand: Errand<'_>, mut request: Request<Body>) -> Outcome {
        let headers = request.headers_mut();
        headers.insert(HOST, errand.target.authority.clone());
        headers.insert(CALL_HEADER, self.next_call());
        let start = self.env.now();
        self.recorder.record(
            start,
            Event::CallStarted {
                root: errand.root,
                from: self.pod,
                to: errand.to,
            },
        );
        let upstream = Cell::new(None);
        let mut open = Open {
            caller: self,
            errand,
            start,
            upstream: &upstream,
            closed: false,
        };
        let exchange = self.outlet.exchange(errand.target, request, &upstream);
        let mut exchange = self
            .env
            .deadline(errand.deadline, exchange)
            .await
            .unwrap_or(Exchange::TIMEOUT);
        if !matches!(exchange.outcome.answer, Answer::Timeout) && exchange.flags == Flags::NONE {
            exchange.outcome.answer = answer_of(exchange.outcome.status, errand.ok);
        }
        open.close(exchange);
        exchange.outcome
    }

    fn next_call(&self) -> HeaderValue {
        let number = self.calls.replace(self.calls.get() + 1);
        let mut text = String::with_capacity(16);
        write!(text, "{}-{number}", self.pod.0).expect("a String takes whatever is written");
        HeaderValue::try_from(text).expect("digits and a hyphen are a header value")
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}

/// The pod that a [`CALL_HEADER`] names.
pub fn parse_call(value: &HeaderValue) -> Option<PodId> {
    let text = value.to_str().ok()?;
    text.split('-').next()?.parse().ok().map(PodId)
}

fn answer_of(status: u16, ok: &[(u16, u16)]) -> Answer {
    match status {
        0 => Answer::Error,
        _ if ok
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&status)) =>
        {
            Answer::Ok
        }
        _ => Answer::Error,
    }
}

/// A call that has begun: whatever becomes of it, its end is recorded once.
struct Open<'a> {
    caller: &'a Caller,
    errand: Errand<'a>,
    start: Time,
    upstream: &'a Cell<Option<SocketAddr>>,
    closed: bool,
}

impl Open<'_> {
    fn close(&mut self, exchange: Exchange) {
        self.closed = true;
        let (caller, errand) = (self.caller, self.errand);
        let recorder = &caller.recorder;
        let now = caller.env.now();
        let start_ns = recorder.nanos(self.start);
        // A sidecar tells of its tries itself.
        if let Some(upstream) = self.upstream.get() {
            recorder.record(
                now,
                Event::Attempt {
                    root: errand.root,
                    from: caller.pod,
                    to: recorder.pod_at(upstream),
                    to_party: errand.to,
                    start_ns,
                    outcome: exchange.outcome,
                    flags: exchange.flags.bits(),
                    number: 1,
                    hedge: false,
                    plaintext: true,
                },
            );
        }
        recorder.record(
            now,
            Event::CallEnded {
                root: errand.root,
                from: caller.pod,
                to: errand.to,
                endpoint: errand.endpoint,
                start_ns,
                outcome: exchange.outcome,
                tries: 1,
            },
        );
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.closed {
            let outcome = Outcome {
                status: 0,
                answer: Answer::Cancelled,
            };
            self.close(Exchange {
                outcome,
                flags: Flags::NONE,
            });
        }
    }
}
