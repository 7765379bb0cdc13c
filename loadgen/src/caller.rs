//! The calls of a host: the headers that carry causality, and the events that a call adds to the journal.

mod attempt;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use shakedown_env::{Env, Time};
use shakedown_results::{Answer, Event, Outcome, ParticipantId, PodId, Root};
use shakedown_scenarios::scenario::{AppHedge, AppRetries, DrawId, EndpointId, Success};
use shakedown_wire::Body;

use crate::retry::{self, Retrier};
use crate::{CallTarget, ClientTransport, Exchange, Recorder};

/// The header with the id of the load's request from which a call descends.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the direct caller and its call: `<pod>-<life of the pod>-<number of the call>`. All attempts of a
/// call carry the same value: the caller's own retries and hedges, and those of the proxies on the path.
pub const CALL_HEADER: HeaderName = HeaderName::from_static("x-shakedown-call");

/// A host as a caller. Created for each incarnation of the host.
pub struct CallingHost {
    env: Env,
    pod: PodId,
    transport: ClientTransport,
    recorder: Rc<dyn Recorder>,
    calls: Cell<u64>,
    /// The number of earlier starts of the host. Mixed into the random streams, so that a restarted host draws other
    /// values.
    life: u32,
    /// The retry state of this process, by policy.
    retriers: RefCell<BTreeMap<DrawId, Retrier>>,
}

/// A call to make, and the request from which it descends.
#[derive(Clone, Copy, Debug)]
pub struct CallSpec<'a> {
    /// The load's request from which the call descends.
    pub root: Option<Root>,
    pub to: ParticipantId,
    /// Index into the callee's endpoints.
    pub endpoint: u16,
    /// The callee's name and port.
    pub target: &'a CallTarget,
    /// The timeout of each attempt.
    pub timeout: Option<Duration>,
    /// The time that the call has waited for a slot in the caller's pool of concurrent calls.
    pub waited: Duration,
    /// The time at which the caller gives up, regardless of the retries left.
    pub deadline: Option<Time>,
    /// The end of the run. Not sent in any header.
    pub end: Time,
    /// True if each attempt carries its timeout. Attempts over gRPC always do.
    pub sends_timeout: bool,
    /// The policy of the caller's own retries.
    pub retries: Option<CallRetryPolicy<'a>>,
    /// The policy of the caller's own hedges. `None` if [`tries_apart`](Self::tries_apart) is set.
    pub hedge: Option<AppHedge>,
    /// True if each attempt is a separate call in the journal. Set for a load's client, whose request is the parent of
    /// the attempts. An app's attempts belong to one call.
    pub tries_apart: bool,
    /// Statuses that the caller counts as success.
    pub ok: &'a Success,
}

impl CallSpec<'_> {
    /// The latest time at which the caller gives up.
    fn last(&self) -> Time {
        self.deadline
            .map_or(self.end, |deadline| deadline.min(self.end))
    }
}

/// A retry policy, and the path of its source location.
#[derive(Clone, Copy, Debug)]
pub struct CallRetryPolicy<'a> {
    pub retries: &'a AppRetries,
    /// The path of [`AppRetries::draw_id`], which is the label of its random stream.
    pub path: &'a str,
}

impl CallingHost {
    /// The caller on `pod`, with its client transport. `life` counts the earlier starts of its host.
    pub fn new(
        env: Env,
        pod: PodId,
        life: u32,
        transport: ClientTransport,
        recorder: Rc<dyn Recorder>,
    ) -> CallingHost {
        CallingHost {
            env,
            pod,
            transport,
            recorder,
            calls: Cell::new(0),
            life,
            retriers: RefCell::default(),
        }
    }

    pub fn pod(&self) -> PodId {
        self.pod
    }

    /// The execution environment of the host.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Makes a call: reads the response to the end, retries according to the policy, and records all attempts. Dropping
    /// the future cancels the call and records the cancellation. `tries` counts the attempts as they are sent.
    ///
    /// `request` creates the request of each attempt, with its method, path and own headers. `host` and the caller's
    /// name are added here.
    pub async fn call(
        &self,
        spec: CallSpec<'_>,
        tries: &Cell<u16>,
        request: impl Fn() -> Request<Body>,
    ) -> Outcome {
        tries.set(1);
        if let Some(policy) = spec.retries {
            self.retrier(policy, |retrier| {
                retrier.note_first(policy.retries, self.env.now());
            });
        }
        let call = self.next_call();
        let hedges = Cell::new(0);
        let send = |hedge| self.attempt(spec, &call, tries.get(), hedge, request());
        let mut open = CallGuard::begin(self, spec, Some(&call), tries, &hedges);
        // The number of attempts that are not hedges.
        let mut rounds = 1;
        loop {
            let exchange = match spec.hedge {
                None => send(false).await,
                Some(hedge) => {
                    let sent = || {
                        tries.set(tries.get().saturating_add(1));
                        hedges.set(hedges.get() + 1);
                    };
                    self.hedged(hedge, spec.last(), send, sent).await
                }
            };
            let Some(wait) = self.wait_of(spec, exchange, rounds) else {
                open.close(exchange.outcome);
                return exchange.outcome;
            };
            if spec.tries_apart {
                open.close(exchange.outcome);
            }
            if !wait.is_zero() {
                self.env.sleep(wait).await;
            }
            if !self.may_retry(spec) {
                open.close(exchange.outcome);
                return exchange.outcome;
            }
            rounds += 1;
            tries.set(tries.get().saturating_add(1));
            if spec.tries_apart {
                open = CallGuard::begin(self, spec, Some(&call), tries, &hedges);
            }
        }
    }

    /// Records a call that was never sent, because the caller's pool of concurrent calls had no slot for it.
    pub fn turn_away(&self, spec: CallSpec<'_>, outcome: Outcome) {
        let (tries, hedges) = (Cell::new(0), Cell::new(0));
        CallGuard::begin(self, spec, None, &tries, &hedges).close(outcome);
    }

    /// The backoff before another attempt; `None` if this result is not retried, or if the deadline is before the
    /// attempt.
    fn wait_of(&self, spec: CallSpec<'_>, exchange: Exchange, rounds: u32) -> Option<Duration> {
        let policy = spec.retries?;
        if !retry::wants(policy.retries, &exchange, rounds) {
            return None;
        }
        let wait = self.retrier(policy, |retrier| retrier.wait(policy.retries, rounds));
        (self.env.now() + wait < spec.last()).then_some(wait)
    }

    /// Takes a retry from the budget. Returns false if the budget is exhausted.
    fn may_retry(&self, spec: CallSpec<'_>) -> bool {
        spec.retries.is_some_and(|policy| {
            self.retrier(policy, |retrier| {
                retrier.spend(policy.retries, self.env.now())
            })
        })
    }

    fn retrier<T>(&self, policy: CallRetryPolicy<'_>, act: impl FnOnce(&mut Retrier) -> T) -> T {
        let mut retriers = self.retriers.borrow_mut();
        let retrier = retriers.entry(policy.retries.draw_id).or_insert_with(|| {
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
            .expect("writing into a string succeeds");
        HeaderValue::try_from(text).expect("digits and hyphens are valid in header values")
    }
}

impl std::fmt::Debug for CallingHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}

/// The index of a callee's endpoint in the journal: `u16::MAX` if the callee does not declare it.
pub fn index_of(endpoint: Option<EndpointId>) -> u16 {
    endpoint.map_or(u16::MAX, EndpointId::number)
}

/// The pod in the value of a [`CALL_HEADER`].
pub fn parse_call(value: &HeaderValue) -> Option<PodId> {
    let text = value.to_str().ok()?;
    text.split('-').next()?.parse().ok().map(PodId)
}

/// A call in progress. Records its end exactly once, also if it is dropped.
struct CallGuard<'a> {
    caller: &'a CallingHost,
    spec: CallSpec<'a>,
    /// The value of its header; `None` if the call is never sent.
    call: Option<&'a HeaderValue>,
    tries: &'a Cell<u16>,
    hedges: &'a Cell<u16>,
    start: Time,
    closed: bool,
}

impl<'a> CallGuard<'a> {
    fn begin(
        caller: &'a CallingHost,
        spec: CallSpec<'a>,
        call: Option<&'a HeaderValue>,
        tries: &'a Cell<u16>,
        hedges: &'a Cell<u16>,
    ) -> CallGuard<'a> {
        let start = caller.env.now();
        if let Some(call) = call {
            let recorder = &caller.recorder;
            recorder.begin_call(call, spec.root, caller.pod, spec.to);
        }
        caller.recorder.record(
            start,
            Event::CallStarted {
                root: spec.root,
                from: caller.pod,
                to: spec.to,
            },
        );
        CallGuard {
            caller,
            spec,
            call,
            tries,
            hedges,
            start,
            closed: false,
        }
    }

    /// Records the end of the call, unless it has been recorded.
    fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let (caller, spec) = (self.caller, self.spec);
        let recorder = &caller.recorder;
        let routed = self.call.and_then(|call| recorder.end_call(call));
        recorder.record(
            caller.env.now(),
            Event::CallEnded {
                root: spec.root,
                from: caller.pod,
                to: routed.unwrap_or(spec.to),
                asked: routed.map(|_| spec.to),
                // The endpoint index is meaningful for the requested service only.
                endpoint: routed.map_or(spec.endpoint, |_| index_of(None)),
                start_ns: recorder.nanos(self.start),
                outcome,
                tries: if spec.tries_apart {
                    1
                } else {
                    self.tries.get()
                },
                hedges: self.hedges.get(),
                pool_wait_ns: i64::try_from(spec.waited.as_nanos()).unwrap_or(i64::MAX),
            },
        );
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.close(CANCELLED);
    }
}

/// The outcome of a call or attempt that its caller cancelled.
const CANCELLED: Outcome = Outcome::none(Answer::Cancelled);
