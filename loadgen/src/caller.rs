//! The calls of a host: the headers that carry causality, and the facts that a call adds to the journal.

mod attempt;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use shakedown_env::{Env, Time};
use shakedown_results::{Answer, Event, Outcome, PartyId, PodId, Root};
use shakedown_scenarios::story::{Hedge, Place, Retries, Success};
use shakedown_wire::Body;

use crate::retry::{self, Retrier};
use crate::{Exchange, Outlet, Recorder, Target};

/// Carries the id of the load's request that something descends from.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Names the direct caller and its call: `<pod>-<life of the pod>-<number of the call>`. All tries of one call carry the
/// same: the caller's own retries and hedges, and those of the proxies on the way.
pub const CALL_HEADER: HeaderName = HeaderName::from_static("x-shakedown-call");

/// A host as a caller. Lives as long as the host's incarnation.
pub struct Caller {
    env: Env,
    pod: PodId,
    outlet: Outlet,
    recorder: Rc<dyn Recorder>,
    calls: Cell<u64>,
    /// The number of earlier starts of the host: a restarted host does not repeat the draws of the first.
    life: u32,
    /// Of this process, by policy.
    retriers: RefCell<BTreeMap<Place, Retrier>>,
}

/// A call to make, and the request that it descends from.
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
    /// The time that it has waited for a place in the caller's pool.
    pub waited: Duration,
    /// Time at which the caller gives up, whatever retries are left.
    pub deadline: Option<Time>,
    /// The end of the run, which no header carries.
    pub end: Time,
    /// Each try carries its timeout. Those of gRPC always do.
    pub tells_timeout: bool,
    /// The caller's own tries after the first.
    pub retries: Option<Policy<'a>>,
    /// The caller's own tries beside one that is slow to answer. None where [`tries_apart`](Self::tries_apart).
    pub hedge: Option<Hedge>,
    /// Each try is a call of its own in the journal: a load's client, whose request is their parent. An app's tries are
    /// within its one call.
    pub tries_apart: bool,
    /// Statuses that the caller counts as success.
    pub ok: &'a Success,
}

impl Errand<'_> {
    /// Latest time at which the caller gives up.
    fn last(&self) -> Time {
        self.deadline
            .map_or(self.end, |deadline| deadline.min(self.end))
    }
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

    /// The pod that calls.
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
        let call = self.next_call();
        let hedges = Cell::new(0);
        let send = |hedge| self.attempt(errand, &call, tries.get(), hedge, request());
        let mut open = Open::begin(self, errand, Some(&call), tries, &hedges);
        // Tries that are not hedges.
        let mut rounds = 1;
        loop {
            let exchange = match errand.hedge {
                None => send(false).await,
                Some(hedge) => {
                    let sent = || {
                        tries.set(tries.get().saturating_add(1));
                        hedges.set(hedges.get() + 1);
                    };
                    self.hedged(hedge, errand.last(), send, sent).await
                }
            };
            let Some(wait) = self.wait_of(errand, exchange, rounds) else {
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
            rounds += 1;
            tries.set(tries.get().saturating_add(1));
            if errand.tries_apart {
                open = Open::begin(self, errand, Some(&call), tries, &hedges);
            }
        }
    }

    /// Records a call that was never sent: it found no place among its caller's calls.
    pub fn turn_away(&self, errand: Errand<'_>, outcome: Outcome) {
        let (tries, hedges) = (Cell::new(0), Cell::new(0));
        Open::begin(self, errand, None, &tries, &hedges).close(outcome);
    }

    /// The backoff before another attempt; `None` if this result is not retried, or if the deadline is before the attempt.
    fn wait_of(&self, errand: Errand<'_>, exchange: Exchange, rounds: u32) -> Option<Duration> {
        let policy = errand.retries?;
        if !retry::wants(policy.retries, &exchange, rounds) {
            return None;
        }
        let wait = self.retrier(policy, |retrier| retrier.wait(policy.retries, rounds));
        (self.env.now() + wait < errand.last()).then_some(wait)
    }

    /// Takes another try from the budget. Returns false if the budget is exhausted.
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
        let mut text = String::with_capacity(20);
        write!(text, "{}-{}-{number}", self.pod.0, self.life)
            .expect("a String takes whatever is written");
        HeaderValue::try_from(text).expect("digits and hyphens are a header value")
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}

/// The number of a callee's endpoint in the journal: `u16::MAX` for one that the callee does not declare.
pub fn index_of(endpoint: Option<usize>) -> u16 {
    let index = endpoint.and_then(|at| u16::try_from(at).ok());
    index.unwrap_or(u16::MAX)
}

/// The pod that a [`CALL_HEADER`] names.
pub fn parse_call(value: &HeaderValue) -> Option<PodId> {
    let text = value.to_str().ok()?;
    text.split('-').next()?.parse().ok().map(PodId)
}

/// A call that has begun: whatever becomes of it, its end is recorded once.
struct Open<'a> {
    caller: &'a Caller,
    errand: Errand<'a>,
    /// The value of its header; `None` if it is never sent.
    call: Option<&'a HeaderValue>,
    tries: &'a Cell<u16>,
    hedges: &'a Cell<u16>,
    start: Time,
    closed: bool,
}

impl<'a> Open<'a> {
    fn begin(
        caller: &'a Caller,
        errand: Errand<'a>,
        call: Option<&'a HeaderValue>,
        tries: &'a Cell<u16>,
        hedges: &'a Cell<u16>,
    ) -> Open<'a> {
        let start = caller.env.now();
        if let Some(call) = call {
            let recorder = &caller.recorder;
            recorder.begin_call(call, errand.root, caller.pod, errand.to);
        }
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
            call,
            tries,
            hedges,
            start,
            closed: false,
        }
    }

    /// Records the end of the call, once.
    fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let (caller, errand) = (self.caller, self.errand);
        let recorder = &caller.recorder;
        let routed = self.call.and_then(|call| recorder.end_call(call));
        recorder.record(
            caller.env.now(),
            Event::CallEnded {
                root: errand.root,
                from: caller.pod,
                to: routed.unwrap_or(errand.to),
                asked: routed.map(|_| errand.to),
                // Endpoints of another service are numbered otherwise.
                endpoint: routed.map_or(errand.endpoint, |_| index_of(None)),
                start_ns: recorder.nanos(self.start),
                outcome,
                tries: if errand.tries_apart {
                    1
                } else {
                    self.tries.get()
                },
                hedges: self.hedges.get(),
                pool_wait_ns: i64::try_from(errand.waited.as_nanos()).unwrap_or(i64::MAX),
            },
        );
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.close(CANCELLED);
    }
}

/// The end of what its caller took back.
const CANCELLED: Outcome = Outcome::none(Answer::Cancelled);
