//! One host's calls: the headers that carry causality, the facts that a call leaves in the Journal.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};
use shakedown_env::{Env, Flags, Time};
use shakedown_results::{Answer, Event, Outcome, PartyId, PodId, Root};
use shakedown_scenarios::story::{Place, Retries};
use shakedown_wire::Body;

use crate::retry::{self, Retrier};
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
    /// How often the host has been started before: a second life does not repeat the draws of the first.
    life: u32,
    /// Of this process, by policy.
    retriers: RefCell<BTreeMap<Place, Retrier>>,
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
    /// Bound of a try.
    pub timeout: Option<Duration>,
    /// When the caller gives up, whatever it has left to try.
    pub deadline: Time,
    /// The caller's own tries after the first.
    pub retries: Option<Policy<'a>>,
    /// Each try is a call of its own in the Journal: a load's client, whose request stands above them. An app's tries are
    /// within its one call.
    pub tries_apart: bool,
    /// Statuses that the caller counts as success: inclusive ranges.
    pub ok: &'a [(u16, u16)],
}

/// A policy of retries, and the path of its place.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// The policy.
    pub retries: &'a Retries,
    /// The path of [`Retries::place`]: the label of its random stream.
    pub path: &'a str,
}

impl Caller {
    /// The caller that `pod` is, by this way out; `life` counts the starts of its host before this one.
    pub fn new(
        env: Env,
        pod: PodId,
        life: u32,
        outlet: Outlet,
        recorder: Rc<dyn Recorder>,
    ) -> Caller {
        Caller {
            env,
            pod,
            outlet,
            recorder,
            calls: Cell::new(0),
            life,
            retriers: RefCell::default(),
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

    /// Makes one call, reads its answer to the end, tries again where its policy says so, and records all of it. Dropping it
    /// cancels the call, and records that. `tries` counts the tries as they are sent.
    ///
    /// `request` makes one for each try, with method, path and its own headers; `host` and the caller's name are added here.
    pub async fn call(
        &self,
        errand: Errand<'_>,
        tries: &Cell<u16>,
        request: impl Fn() -> Request<Body>,
    ) -> Outcome {
        tries.set(1);
        if let Some(policy) = errand.retries {
            self.retrier(policy, |retrier| {
                retrier.note_first(policy.retries, self.env.now());
            });
        }
        let mut open = Open::begin(self, errand, tries);
        loop {
            let exchange = self.attempt(&open, request()).await;
            open.tell_attempt(exchange);
            let Some(wait) = self.wait_of(errand, exchange, tries.get()) else {
                open.close(exchange.outcome);
                return exchange.outcome;
            };
            if errand.tries_apart {
                open.close(exchange.outcome);
            }
            if !wait.is_zero() {
                self.env.sleep(wait).await;
            }
            if !self.may_retry(errand) {
                open.close(exchange.outcome);
                return exchange.outcome;
            }
            tries.set(tries.get() + 1);
            if errand.tries_apart {
                open = Open::begin(self, errand, tries);
            }
            open.next_try();
        }
    }

    /// One try, until its timeout or the call's deadline.
    async fn attempt(&self, open: &Open<'_>, mut request: Request<Body>) -> Exchange {
        let errand = open.errand;
        let headers = request.headers_mut();
        headers.insert(HOST, errand.target.authority.clone());
        headers.insert(CALL_HEADER, self.next_call());
        let exchange = self.outlet.exchange(errand.target, request, &open.upstream);
        let end = match errand.timeout {
            Some(timeout) => errand.deadline.min(self.env.now() + timeout),
            None => errand.deadline,
        };
        let exchange = self.env.deadline(end, exchange).await;
        let mut exchange = exchange.unwrap_or(Exchange::TIMEOUT);
        if !matches!(exchange.outcome.answer, Answer::Timeout) && exchange.flags == Flags::NONE {
            exchange.outcome.answer = answer_of(exchange.outcome.status, errand.ok);
        }
        exchange
    }

    /// How long to wait for another try; `None` where there is none after this end, or it would come too late.
    fn wait_of(&self, errand: Errand<'_>, exchange: Exchange, tries: u16) -> Option<Duration> {
        let policy = errand.retries?;
        let tries = u32::from(tries);
        if !retry::wants(policy.retries, &exchange, tries) {
            return None;
        }
        let wait = self.retrier(policy, |retrier| retrier.wait(policy.retries, tries));
        (self.env.now() + wait < errand.deadline).then_some(wait)
    }

    /// Whether the budget allows another try now.
    fn may_retry(&self, errand: Errand<'_>) -> bool {
        errand.retries.is_some_and(|policy| {
            self.retrier(policy, |retrier| {
                retrier.spend(policy.retries, self.env.now())
            })
        })
    }

    fn retrier<T>(&self, policy: Policy<'_>, act: impl FnOnce(&mut Retrier) -> T) -> T {
        let mut retriers = self.retriers.borrow_mut();
        let retrier = retriers.entry(policy.retries.place).or_insert_with(|| {
            Retrier::new(match self.life {
                0 => self.env.rng(policy.path),
                life => self.env.rng(&format!("{}@{life}", policy.path)),
            })
        });
        act(retrier)
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
    tries: &'a Cell<u16>,
    start: Time,
    try_start: Time,
    /// The replica of the try under way, where it is known.
    upstream: Cell<Option<SocketAddr>>,
    closed: bool,
}

impl<'a> Open<'a> {
    fn begin(caller: &'a Caller, errand: Errand<'a>, tries: &'a Cell<u16>) -> Open<'a> {
        let start = caller.env.now();
        caller.recorder.record(
            start,
            Event::CallStarted {
                root: errand.root,
                from: caller.pod,
                to: errand.to,
            },
        );
        Open {
            caller,
            errand,
            tries,
            start,
            try_start: start,
            upstream: Cell::new(None),
            closed: false,
        }
    }

    fn next_try(&mut self) {
        self.try_start = self.caller.env.now();
    }

    /// Records a try that has ended. A sidecar tells of its tries itself.
    fn tell_attempt(&self, exchange: Exchange) {
        let Some(upstream) = self.upstream.take() else {
            return;
        };
        let (caller, errand) = (self.caller, self.errand);
        let recorder = &caller.recorder;
        recorder.record(
            caller.env.now(),
            Event::Attempt {
                root: errand.root,
                from: caller.pod,
                to: recorder.pod_at(upstream),
                to_party: errand.to,
                start_ns: recorder.nanos(self.try_start),
                outcome: exchange.outcome,
                flags: exchange.flags.bits(),
                number: self.tries.get(),
                hedge: false,
                plaintext: true,
            },
        );
    }

    /// Records the end of the call, once.
    fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let (caller, errand) = (self.caller, self.errand);
        let recorder = &caller.recorder;
        recorder.record(
            caller.env.now(),
            Event::CallEnded {
                root: errand.root,
                from: caller.pod,
                to: errand.to,
                endpoint: errand.endpoint,
                start_ns: recorder.nanos(self.start),
                outcome,
                tries: if errand.tries_apart {
                    1
                } else {
                    self.tries.get()
                },
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
            self.tell_attempt(Exchange {
                outcome,
                flags: Flags::NONE,
            });
            self.close(outcome);
        }
    }
}
