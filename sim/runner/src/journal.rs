//! Writes the Journal: every event of apps, loads, chaos and mesh is recorded here once, in order of time.
//!
//! Records are buffered until the run's loop takes them. Before 0 s is known, events are buffered
//! unconverted, and later written with negative times. When the run closes, work that is cut short is
//! recorded as timed out, and events of the mesh are ignored.

mod mesh;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::HeaderValue;
use shakedown_env::Time;
use shakedown_loadgen::Recorder;
use shakedown_results::{
    Answer, Event, Fate, Outcome, ParticipantId, Participants, Pod, PodId, Record, Root,
};

/// The Journal of a run in progress. `Send`, because the environment's event sink must be, but only one
/// thread writes it.
#[derive(Debug)]
pub(crate) struct Journal {
    participants: Arc<Participants>,
    state: Mutex<JournalState>,
}

#[derive(Debug, Default)]
struct JournalState {
    zero: Option<Time>,
    /// Events from before 0 s was known.
    early: Vec<(Time, Event)>,
    /// Records that the run's loop has not taken yet.
    ready: Vec<Record>,
    last_ns: i64,
    closing: bool,
    /// Pods whose proxy has an accepted configuration.
    in_force: BTreeSet<PodId>,
    watchers: Vec<Waker>,
    addresses: BTreeMap<IpAddr, PodId>,
    /// Participant of each pod, by pod id.
    participants: Vec<ParticipantId>,
    /// Number of requests that have arrived at an app and are not served, in total. `in_hand_at` counts
    /// them by pod.
    in_hand: u64,
    in_hand_at: Vec<u64>,
    /// Service of a cluster, by cluster name. A cache.
    clusters: BTreeMap<Arc<str>, Option<ParticipantId>>,
    /// Calls in flight, by the value of their `CALL_HEADER`.
    calls: BTreeMap<Box<str>, OpenCall>,
    invalid: Vec<String>,
}

#[derive(Debug)]
struct OpenCall {
    root: Option<Root>,
    from: PodId,
    /// The service that was called.
    requested: ParticipantId,
    /// The service to which the call has been routed so far.
    to: ParticipantId,
}

impl Journal {
    /// Creates an empty Journal. `addresses` are those of the pods, in pod order.
    pub(crate) fn new(participants: Arc<Participants>, addresses: &[IpAddr]) -> Arc<Journal> {
        let pods = (0..).map(PodId);
        let state = JournalState {
            last_ns: i64::MIN,
            addresses: addresses.iter().copied().zip(pods).collect(),
            participants: participants
                .pods
                .iter()
                .map(|pod| pod.participant)
                .collect(),
            in_hand_at: vec![0; participants.pods.len()],
            ..JournalState::default()
        };
        Arc::new(Journal {
            participants,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn participants(&self) -> &Participants {
        &self.participants
    }

    /// Returns a handle for callers and loads.
    pub(crate) fn recorder(self: &Arc<Journal>) -> Rc<dyn Recorder> {
        Rc::new(JournalHandle(Arc::clone(self)))
    }

    /// Records that the next pod has been added, at this address.
    pub(crate) fn add(&self, now: Time, pod: Pod, address: IpAddr) {
        let mut state = self.lock();
        let id =
            PodId(u32::try_from(state.participants.len()).expect("pods are numbered in 32 bits"));
        state.addresses.insert(address, id);
        state.participants.push(pod.participant);
        state.in_hand_at.push(0);
        drop(state);
        self.record(now, Event::PodAdded { pod });
    }

    /// Sets 0 s, and releases the events that were buffered until then.
    pub(crate) fn set_zero(&self, zero: Time) {
        let mut state = self.lock();
        state.zero = Some(zero);
        for (at, event) in std::mem::take(&mut state.early) {
            state.push(at, event);
        }
    }

    /// Marks the run as over: from now on, work that is cut short is recorded as timed out.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
    }

    /// Records an event at `now`.
    pub(crate) fn record(&self, now: Time, event: Event) {
        let mut state = self.lock();
        let event = if state.closing {
            at_the_end(event)
        } else {
            event
        };
        state.note(&event);
        match state.zero {
            Some(_) => state.push(now, event),
            None => state.early.push((now, event)),
        }
    }

    /// Nanoseconds since 0 s. Only meaningful after 0 s is known, and every event with a start and an end is
    /// later.
    pub(crate) fn nanos(&self, at: Time) -> i64 {
        self.lock().nanos(at)
    }

    /// Moves the buffered records to the end of `to`.
    pub(crate) fn take(&self, to: &mut Vec<Record>) {
        let mut state = self.lock();
        if to.is_empty() {
            // Swapped to avoid a copy: thousands of requests may end at once.
            std::mem::swap(to, &mut state.ready);
        } else {
            to.append(&mut state.ready);
        }
    }

    /// Reasons why the run is invalid so far.
    pub(crate) fn invalid(&self) -> Vec<String> {
        self.lock().invalid.clone()
    }

    /// Ready when no app has a request in progress.
    pub(crate) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.in_hand == 0 {
            return Poll::Ready(());
        }
        state.watch(cx);
        Poll::Pending
    }

    /// Ready when a pod's app has no request in progress.
    pub(crate) fn poll_idle_at(&self, pod: PodId, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.in_hand_at[pod.0 as usize] == 0 {
            return Poll::Ready(());
        }
        state.watch(cx);
        Poll::Pending
    }

    /// Ready when the proxies of all these pods have an accepted configuration.
    pub(crate) fn poll_in_force(&self, pods: &[PodId], cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if pods.iter().all(|pod| state.in_force.contains(pod)) {
            return Poll::Ready(());
        }
        state.watch(cx);
        Poll::Pending
    }

    /// Returns the pods of these whose proxy has no accepted configuration.
    pub(crate) fn not_in_force(&self, pods: &[PodId]) -> Vec<PodId> {
        let state = self.lock();
        pods.iter()
            .copied()
            .filter(|pod| !state.in_force.contains(pod))
            .collect()
    }

    /// Clears a pod's configuration state after its proxy has ended.
    pub(crate) fn forget(&self, pod: PodId) {
        self.lock().in_force.remove(&pod);
    }

    fn lock(&self) -> MutexGuard<'_, JournalState> {
        // A panic ends the run, and values dropped after it may still record events.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Journal, as callers and loads write to it.
struct JournalHandle(Arc<Journal>);

impl Recorder for JournalHandle {
    fn nanos(&self, at: Time) -> i64 {
        self.0.nanos(at)
    }

    fn pod_at(&self, address: SocketAddr) -> Option<PodId> {
        self.0.lock().addresses.get(&address.ip()).copied()
    }

    fn record(&self, now: Time, event: Event) {
        self.0.record(now, event);
    }

    fn begin_call(&self, call: &HeaderValue, root: Option<Root>, from: PodId, to: ParticipantId) {
        if let Ok(call) = call.to_str() {
            let open = OpenCall {
                root,
                from,
                requested: to,
                to,
            };
            self.0.lock().calls.insert(call.into(), open);
        }
    }

    fn end_call(&self, call: &HeaderValue) -> Option<ParticipantId> {
        let call = self.0.lock().calls.remove(call.to_str().ok()?)?;
        (call.to != call.requested).then_some(call.to)
    }
}

impl JournalState {
    fn nanos(&self, at: Time) -> i64 {
        let zero = self.zero.unwrap_or(Time::ZERO).as_nanos();
        let span = i128::from(at.as_nanos()) - i128::from(zero);
        i64::try_from(span).expect("a run is shorter than 292 years")
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Invalid { reason } => self.invalid.push(reason.clone()),
            Event::Arrived { pod, .. } => {
                self.in_hand += 1;
                self.in_hand_at[pod.0 as usize] += 1;
            }
            Event::Served { pod, .. } => {
                self.in_hand -= 1;
                let here = &mut self.in_hand_at[pod.0 as usize];
                *here -= 1;
                if *here == 0 && !self.watchers.is_empty() {
                    self.wake_watchers();
                }
            }
            _ => {}
        }
    }

    fn watch(&mut self, cx: &Context<'_>) {
        if !self
            .watchers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            self.watchers.push(cx.waker().clone());
        }
    }

    fn wake_watchers(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    fn push(&mut self, now: Time, event: Event) {
        // The real clock is read in several places, so an event may be slightly older than the one before.
        let at_ns = self.nanos(now).max(self.last_ns);
        self.last_ns = at_ns;
        self.ready.push(Record { at_ns, event });
    }
}

/// Converts an event caused by the end of the run: a crash or cancellation becomes a timeout.
fn at_the_end(event: Event) -> Event {
    const TIMEOUT: Outcome = Outcome::none(Answer::Timeout);
    let mut event = event;
    match &mut event {
        Event::Served { outcome, fate, .. } if *fate == Fate::Crashed => {
            *outcome = TIMEOUT;
            *fate = Fate::Abandoned;
        }
        Event::CallEnded { outcome, .. } | Event::Attempt { outcome, .. }
            if outcome.answer == Answer::Cancelled =>
        {
            *outcome = TIMEOUT;
        }
        _ => {}
    }
    event
}

#[cfg(test)]
mod tests;
