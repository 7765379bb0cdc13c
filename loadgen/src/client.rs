//! Sends one load on schedule: open loop, round robin over its client hosts, each request in its own task.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use shakedown_env::{Env, Time, step_aside};
use shakedown_results::{Answer, Event, Outcome, ParticipantId, PodId, Root};
use shakedown_scenarios::scenario::{AppRetries, Callee, DrawId, LoadSpec, MixEntry, Success};
use shakedown_wire::Body;

use crate::caller::{REQUEST_ID_HEADER, index_of};
use crate::message::message;
use crate::request_id::{encode, header_value};
use crate::{
    CallRetryPolicy, CallSpec, CallTarget, CallingHost, Recorder, Schedule, ScheduledArrival,
};

/// The number of requests that a late dispatcher sends before it lets other tasks run.
const BURST: u32 = 64;

/// A client host of a load, in one incarnation.
pub type LoadClient = Rc<CallingHost>;

/// The client hosts of a load. The runner removes a host that crashes, and adds it again once it has booted.
#[derive(Debug, Default)]
pub struct LoadClients {
    slots: RefCell<Vec<ClientSlot>>,
}

#[derive(Debug)]
struct ClientSlot {
    pod: PodId,
    client: Option<LoadClient>,
}

/// A load, prepared for sending.
pub struct LoadPlan {
    participant: ParticipantId,
    zero: Time,
    timeout: Duration,
    /// The clients' retry policy, and the path of its source location.
    retries: Option<(AppRetries, String)>,
    ok: Success,
    /// True if each request carries its timeout.
    sends_timeout: bool,
    entries: Vec<PreparedEntry>,
    in_flight_max: u64,
    recorder: Rc<dyn Recorder>,
    open: Cell<u64>,
    /// The number of requests that have been due.
    scheduled: Cell<u64>,
    /// True once the schedule has ended.
    exhausted: Cell<bool>,
    closing: Cell<bool>,
    watcher: RefCell<Option<Waker>>,
}

/// An entry of the mix, with everything that can be built before the first request.
struct PreparedEntry {
    to: ParticipantId,
    endpoint: u16,
    target: CallTarget,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Error of an entry that cannot be requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The path is not a valid URI.
    #[error("invalid path `{0}`: not a valid URI")]
    Path(String),
}

impl LoadClients {
    /// A load without client hosts.
    pub fn new() -> LoadClients {
        LoadClients::default()
    }

    /// Adds a client: at the end, or in the slot of its pod.
    pub fn put(&self, client: LoadClient) {
        let pod = client.pod();
        let mut slots = self.slots.borrow_mut();
        match slots.iter_mut().find(|slot| slot.pod == pod) {
            Some(slot) => slot.client = Some(client),
            None => slots.push(ClientSlot {
                pod,
                client: Some(client),
            }),
        }
    }

    /// Removes the client of a pod. Until it is added again, requests that are assigned to its slot are dropped.
    pub fn take(&self, pod: PodId) {
        if let Some(slot) = self
            .slots
            .borrow_mut()
            .iter_mut()
            .find(|slot| slot.pod == pod)
        {
            slot.client = None;
        }
    }

    /// The client that sends request `seq`.
    ///
    /// # Panics
    /// If no client was added: a load has at least one client host.
    fn turn(&self, seq: u64) -> (PodId, Option<LoadClient>) {
        let slots = self.slots.borrow();
        let slot = &slots[(seq % slots.len() as u64) as usize];
        (slot.pod, slot.client.clone())
    }
}

impl LoadPlan {
    /// The plan of the load `participant`. `zero` is the time 0 s of the run, `target` resolves the callee of a request, and
    /// `path` returns the path of a source location in the scenario. If `sends_timeout` is set, each request carries
    /// its timeout, so that apps can propagate the remaining time.
    ///
    /// # Errors
    /// An entry of the load cannot be requested.
    pub fn new(
        load: &LoadSpec,
        participant: ParticipantId,
        zero: Time,
        sends_timeout: bool,
        target: impl Fn(Callee) -> (ParticipantId, CallTarget),
        path: impl Fn(DrawId) -> String,
        recorder: Rc<dyn Recorder>,
    ) -> Result<LoadPlan, PlanError> {
        let entries = load
            .entries
            .iter()
            .map(|entry| PreparedEntry::new(entry, target(entry.callee)));
        Ok(LoadPlan {
            participant,
            zero,
            timeout: load.timeout,
            retries: load.retries.clone().map(|retries| {
                let path = path(retries.draw_id);
                (retries, path)
            }),
            ok: load.ok.clone(),
            sends_timeout,
            entries: entries.collect::<Result<_, _>>()?,
            in_flight_max: load.in_flight,
            recorder,
            open: Cell::new(0),
            scheduled: Cell::new(0),
            exhausted: Cell::new(false),
            closing: Cell::new(false),
            watcher: RefCell::default(),
        })
    }

    /// The number of requests in flight.
    pub fn in_flight(&self) -> u64 {
        self.open.get()
    }

    /// The number of requests that have been due so far, including dropped ones.
    pub fn scheduled(&self) -> u64 {
        self.scheduled.get()
    }

    /// Marks the run as over: a request that is cancelled from now on counts as timed out.
    pub fn close(&self) {
        self.closing.set(true);
    }

    /// Waits until all requests are sent and none is in flight. Supports a single waiter.
    pub async fn drained(&self) {
        poll_fn(|cx| {
            if self.is_drained() {
                return Poll::Ready(());
            }
            *self.watcher.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn policy(&self) -> Option<CallRetryPolicy<'_>> {
        let (retries, path) = self.retries.as_ref()?;
        Some(CallRetryPolicy { retries, path })
    }

    fn is_drained(&self) -> bool {
        self.exhausted.get() && self.open.get() == 0
    }

    fn ended(&self) {
        self.open.set(self.open.get() - 1);
        self.wake_drained();
    }

    fn wake_drained(&self) {
        if self.is_drained()
            && let Some(watcher) = self.watcher.take()
        {
            watcher.wake();
        }
    }
}

impl std::fmt::Debug for LoadPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("participant", &self.participant)
            .finish_non_exhaustive()
    }
}

impl PreparedEntry {
    fn new(
        entry: &MixEntry,
        (to, target): (ParticipantId, CallTarget),
    ) -> Result<PreparedEntry, PlanError> {
        let uri = Uri::try_from(entry.path.as_str());
        let mut headers = HeaderMap::with_capacity(entry.headers.len() + 4);
        for (name, value) in &entry.headers {
            headers.append(name.clone(), value.clone());
        }
        Ok(PreparedEntry {
            to,
            endpoint: index_of(entry.endpoint),
            method: entry.method.clone(),
            uri: uri.map_err(|_| PlanError::Path(entry.path.clone()))?,
            headers,
            body: message(target.protocol, entry.size),
            target,
        })
    }

    fn request(&self, root: Root) -> Request<Body> {
        let mut request = Request::new(Body::full(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
            .headers_mut()
            .insert(REQUEST_ID_HEADER, header_value(encode(root)));
        request
    }
}

/// Sends all requests of the schedule, each when it is due, and returns when the last has been sent. A late dispatcher
/// (on the real backend) sends the due requests immediately. The lag is the difference between the intended and the
/// sent time.
pub async fn run(env: Env, schedule: Schedule, plan: Rc<LoadPlan>, clients: Rc<LoadClients>) {
    let mut sleep = env.sleep_until(env.now());
    let mut burst = 0;
    for arrival in schedule {
        let due = plan.zero + arrival.at;
        if due > env.now() {
            sleep.as_mut().reset(due);
            sleep.as_mut().await;
            burst = 0;
        } else if burst >= BURST {
            step_aside().await;
            burst = 0;
        }
        burst += 1;
        dispatch(&env, arrival, &plan, &clients);
    }
    plan.exhausted.set(true);
    plan.wake_drained();
}

fn dispatch(env: &Env, arrival: ScheduledArrival, plan: &Rc<LoadPlan>, clients: &LoadClients) {
    let (pod, client) = clients.turn(arrival.seq);
    let root = Root {
        load: plan.participant,
        entry: arrival.entry,
        seq: arrival.seq,
    };
    let intended = plan.zero + arrival.at;
    plan.open.set(plan.open.get() + 1);
    plan.scheduled.set(plan.scheduled.get() + 1);
    let ticket = RequestGuard {
        env: env.clone(),
        plan: Rc::clone(plan),
        root,
        pod,
        intended,
        sent: None,
        tries: Cell::new(0),
        outcome: None,
    };
    match client {
        // Dropping the unused ticket records a dropped request.
        Some(client) if plan.open.get() <= plan.in_flight_max => {
            client
                .env()
                .clone()
                .spawn("load-request", send(client, ticket));
        }
        _ => drop(ticket),
    }
}

async fn send(client: LoadClient, mut ticket: RequestGuard) {
    let plan = Rc::clone(&ticket.plan);
    let entry = &plan.entries[usize::from(ticket.root.entry)];
    let now = client.env().now();
    ticket.sent = Some(now);
    plan.recorder.record(now, Event::Sent { root: ticket.root });
    let spec = CallSpec {
        root: Some(ticket.root),
        to: entry.to,
        endpoint: entry.endpoint,
        target: &entry.target,
        timeout: Some(plan.timeout),
        waited: Duration::ZERO,
        deadline: None,
        end: Time::FAR,
        sends_timeout: plan.sends_timeout,
        retries: plan.policy(),
        hedge: None,
        tries_apart: true,
        ok: &plan.ok,
    };
    let request = || entry.request(ticket.root);
    let outcome = client.call(spec, &ticket.tries, request).await;
    ticket.finish(outcome);
}

/// A scheduled request. Records its end exactly once, also if it is dropped.
struct RequestGuard {
    env: Env,
    plan: Rc<LoadPlan>,
    root: Root,
    pod: PodId,
    intended: Time,
    sent: Option<Time>,
    tries: Cell<u16>,
    outcome: Option<Outcome>,
}

impl RequestGuard {
    fn finish(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    fn record(&self, outcome: Outcome) {
        let recorder = &self.plan.recorder;
        recorder.record(
            self.env.now(),
            Event::Finished {
                root: self.root,
                pod: self.pod,
                intended_ns: recorder.nanos(self.intended),
                sent_ns: self.sent.map(|at| recorder.nanos(at)),
                outcome,
                tries: self.tries.get(),
            },
        );
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        // Without an outcome the request was never sent, its host crashed, or the run is over.
        let outcome = self.outcome.unwrap_or_else(|| {
            let answer = match self.sent {
                None => Answer::Dropped,
                Some(_) if self.plan.closing.get() => Answer::Timeout,
                Some(_) => Answer::Error,
            };
            Outcome::none(answer)
        });
        self.record(outcome);
        self.plan.ended();
    }
}

#[cfg(test)]
mod tests;
