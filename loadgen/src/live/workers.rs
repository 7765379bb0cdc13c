//! The workers of a load, the queue in front of them, and the records of their requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_env::{Env, Sleep, Time};
use shakedown_results::{Answer, Event, Outcome, Record, Root};
use shakedown_wire::Pool;

use super::failure::{FailureKind, FailurePhase};
use super::generator::{ReadLag, nanos};
use super::options::{LoadTarget, RecordSink, SendOptions};
use super::pools::{LoadPools, PoolHandle};
use super::request::{DueRequest, RequestEnd, RequestTimes, nanos_from};
use super::tally::Tally;
use super::template::RequestTemplate;
use super::worker;
use crate::ScheduledArrival;

/// The state shared by the dispatcher and the workers.
pub(super) struct WorkerPool {
    env: Env,
    target: LoadTarget,
    options: SendOptions,
    zero: Time,
    sink: RecordSink,
    links: Rc<LoadPools>,
    /// The time that readable data waits for its reader.
    lag: ReadLag,
    in_flight: Cell<u64>,
    state: RefCell<WorkerPoolState>,
}

#[derive(Default)]
struct WorkerPoolState {
    workers: Vec<Worker>,
    /// Workers without a request. The one that became idle last is at the end.
    idle: VecDeque<usize>,
    /// Indices of workers that have ended.
    ended: Vec<usize>,
    /// The number of workers whose connection is being opened.
    opening: usize,
    /// Requests that wait for a worker, in order of time and thus of deadline. At most the in-flight limit.
    queue: VecDeque<DueRequest>,
    closed: bool,
    watcher: Option<Waker>,
    /// The task that opens connections for queued requests.
    grower: Option<Waker>,
    tally: Tally,
}

#[derive(Default)]
struct Worker {
    given: Option<DueRequest>,
    /// Set while the worker is idle.
    waker: Option<Waker>,
}

impl WorkerPool {
    pub(super) fn new(
        env: Env,
        target: LoadTarget,
        options: SendOptions,
        zero: Time,
        lag: ReadLag,
        sink: RecordSink,
    ) -> WorkerPool {
        WorkerPool {
            lag,
            links: Rc::new(LoadPools::new(&env, &target, &options)),
            env,
            target,
            options,
            zero,
            sink,
            in_flight: Cell::new(0),
            state: RefCell::default(),
        }
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    /// The template of a request.
    pub(super) fn template(&self, due: &DueRequest) -> &RequestTemplate {
        let entry = usize::from(due.root.entry);
        self.target
            .aims
            .get(entry)
            .expect("a target has a template for each entry of its load")
    }

    /// A worker's own pool; `None` if workers share connections.
    pub(super) fn own_pool(&self) -> Option<Pool> {
        (!self.options.http2).then(|| self.links.own())
    }

    /// A shared connection for one request; `None` if each worker has its own.
    pub(super) fn link(&self) -> Option<PoolHandle> {
        self.links.least_used()
    }

    pub(super) fn keeps_connections(&self) -> bool {
        self.options.reuse
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// Opens the connections that must exist before the first request.
    pub(super) fn open_first(self: &Rc<WorkerPool>) {
        if !self.options.reuse {
            return;
        }
        for pool in self.links.shared() {
            self.env.spawn("load-connection", async move {
                // The first request on the connection reports the error.
                let _unopened = pool.open().await;
            });
        }
        if !self.options.http2 {
            for _ in 0..self.options.connections.map_or(1, |count| count.get()) {
                let index = self.state.borrow_mut().add_worker();
                self.env
                    .spawn("load-lane", worker::run(Rc::clone(self), index));
            }
        }
    }

    /// Assigns a request to an idle worker, or queues it.
    pub(super) fn dispatch(
        self: &Rc<WorkerPool>,
        arrival: ScheduledArrival,
        intended: Time,
        now: Time,
    ) {
        let due = DueRequest {
            root: Root {
                load: self.options.participant,
                entry: arrival.entry,
                seq: arrival.seq,
            },
            intended,
            taken: now,
            given: now,
            deadline: now + self.options.timeout,
        };
        let mut state = self.state.borrow_mut();
        if self.counts(&due) {
            state.tally.own.late.record(nanos_from(intended, now));
        }
        if self.in_flight.get() >= self.options.in_flight {
            drop(state);
            let dropped = Outcome::none(Answer::Dropped);
            return self.record_end(now, &due, None, dropped);
        }
        self.in_flight.set(self.in_flight.get() + 1);
        // A fixed number of connections is used evenly. A variable number is kept as low as possible.
        let idle = match self.options.connections {
            Some(_) => state.idle.pop_front(),
            None => state.idle.pop_back(),
        };
        if let Some(index) = idle {
            let worker = &mut state.workers[index];
            worker.given = Some(due);
            let waker = worker.waker.take();
            drop(state);
            return waker.into_iter().for_each(Waker::wake);
        }
        if self.options.http2 {
            // A worker is a stream here. Its connection exists already, or its pool opens one.
            let index = state.add_worker();
            state.workers[index].given = Some(due);
            drop(state);
            return self
                .env
                .spawn("load-lane", worker::run(Rc::clone(self), index));
        }
        state.queue.push_back(due);
        let grower = state.grower.take();
        drop(state);
        grower.into_iter().for_each(Waker::wake);
    }

    /// Returns true if a request is due after the warm-up.
    fn counts(&self, due: &DueRequest) -> bool {
        due.intended >= self.zero + self.options.warm_up
    }

    /// Ready with true when queued requests need another connection, and with false once the load is closed.
    pub(super) fn poll_wanted(
        &self,
        sleep: &mut Option<Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let wanted = {
            let mut state = self.state.borrow_mut();
            if state.closed {
                return Poll::Ready(false);
            }
            state.grower = Some(cx.waker().clone());
            self.wanted_at(&state)
        };
        match wanted {
            None => Poll::Pending,
            Some(at) if at <= self.env.now() => Poll::Ready(true),
            Some(at) => self.env.poll_until(sleep, at, cx).map(|()| true),
        }
    }

    /// The time from which queued requests need another connection; `None` if they do not. A request that the generator
    /// itself delayed waits as long again for an existing connection.
    fn wanted_at(&self, state: &WorkerPoolState) -> Option<Time> {
        let most = self.options.connections.map(|most| most.get() as usize);
        let alive = state.workers.len() - state.ended.len();
        // A connection is being opened for each request before this one.
        let first = state.queue.get(state.opening)?;
        let may_grow = most.is_none_or(|most| alive < most);
        may_grow.then(|| first.taken + first.taken.since(first.intended))
    }

    /// Adds a worker if it is still needed.
    pub(super) fn grow(&self) -> Option<usize> {
        let mut state = self.state.borrow_mut();
        let now = self.env.now();
        let wanted = !state.closed && self.wanted_at(&state).is_some_and(|at| at <= now);
        wanted.then(|| state.add_worker())
    }

    /// Records that a worker's connection is open.
    pub(super) fn opened(&self) {
        let mut state = self.state.borrow_mut();
        state.opening = state.opening.saturating_sub(1);
    }

    /// Records that a worker's connection could not be opened. The first queued request fails with that error, and the
    /// worker ends.
    pub(super) fn not_opened(&self, index: usize, failure: &FailureKind) {
        let (first, grower) = {
            let mut state = self.state.borrow_mut();
            state.opening = state.opening.saturating_sub(1);
            state.ended.push(index);
            (state.queue.pop_front(), state.grower.take())
        };
        if let Some(due) = first {
            self.finish(&due, None, RequestEnd::Failed(0, failure.clone()));
        }
        grower.into_iter().for_each(Waker::wake);
    }

    /// The next request of a worker; `None` once the load is closed.
    pub(super) fn poll_next(&self, index: usize, cx: &mut Context<'_>) -> Poll<Option<DueRequest>> {
        // The first requests in the queue may have timed out.
        if !self.state.borrow().queue.is_empty() {
            self.expire(self.env.now());
        }
        let mut state = self.state.borrow_mut();
        if let Some(due) = state.workers[index].given.take() {
            return Poll::Ready(Some(due));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        // A worker that is already listed as idle was woken by its timer.
        let listed = state.workers[index].waker.is_some();
        if !listed {
            if let Some(mut due) = state.queue.pop_front() {
                due.given = self.env.now();
                return Poll::Ready(Some(due));
            }
            state.idle.push_back(index);
        }
        state.workers[index].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends queued requests that have timed out, and returns the deadline of the next one.
    pub(super) fn expire(&self, now: Time) -> Option<Time> {
        loop {
            let (due, phase) = {
                let mut state = self.state.borrow_mut();
                let next = state.queue.front()?.deadline;
                if next > now {
                    return Some(next);
                }
                let phase = match state.opening {
                    0 => FailurePhase::Queue,
                    _ => FailurePhase::Connect,
                };
                (state.queue.pop_front()?, phase)
            };
            self.finish(&due, None, RequestEnd::TimedOut(phase));
        }
    }

    /// Records that a worker starts to send a request.
    pub(super) fn begin(&self, due: &DueRequest) -> Time {
        let now = self.env.now();
        self.record(now, Event::Sent { root: due.root });
        now
    }

    /// Records the end of a request. `times` is `Some` if a worker processed it.
    pub(super) fn finish(&self, due: &DueRequest, times: Option<RequestTimes>, end: RequestEnd) {
        let now = self.env.now();
        let written = times.and_then(|times| times.written);
        if times.is_none() {
            self.record(now, Event::Sent { root: due.root });
        }
        let outcome = self.outcome(&end);
        if self.counts(due) {
            let mut state = self.state.borrow_mut();
            count(&mut state.tally, end, written.is_some());
            if let Some((times, written)) = times.zip(written) {
                let span = |from: Time, to: Time| nanos_from(from, to).max(0);
                let connected = times.connected.unwrap_or(written);
                let late = span(due.intended, due.taken);
                // A late request waits for an existing connection instead of opening its own, so that wait is the
                // generator's.
                let patience = match self.options.connections {
                    None => span(due.taken, due.given).min(late),
                    Some(_) => 0,
                };
                let sending =
                    late + patience + span(due.given, times.began) + span(connected, written);
                let (latency, sent) = (span(due.intended, now), span(written, now));
                let handling = nanos(self.lag.now(now)).min(sent);
                state.tally.own.ended(latency, sent, sending, handling);
            }
        }
        self.record_end(now, due, written, outcome);
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 {
            let watcher = self.state.borrow_mut().watcher.take();
            watcher.into_iter().for_each(Waker::wake);
        }
    }

    fn outcome(&self, end: &RequestEnd) -> Outcome {
        match end {
            RequestEnd::Answered(status) if self.options.ok.holds(*status, None) => {
                Outcome::new(*status, Answer::Ok)
            }
            RequestEnd::Answered(status) | RequestEnd::Failed(status, _) => {
                Outcome::new(*status, Answer::Error)
            }
            RequestEnd::TimedOut(_) => Outcome::none(Answer::Timeout),
        }
    }

    fn record_end(&self, now: Time, due: &DueRequest, sent: Option<Time>, outcome: Outcome) {
        let nanos = |at| nanos_from(self.zero, at);
        let event = Event::Finished {
            root: due.root,
            pod: self.options.pod,
            intended_ns: nanos(due.intended),
            sent_ns: sent.map(nanos),
            outcome,
            tries: u16::from(sent.is_some()),
        };
        self.record(now, event);
    }

    fn record(&self, now: Time, event: Event) {
        (self.sink)(&Record {
            at_ns: nanos_from(self.zero, now),
            event,
        });
    }

    /// Wakes this task when no request is in flight. Supports a single watcher.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.state.borrow_mut().watcher = Some(cx.waker().clone());
    }

    /// Ends the workers and returns the tally.
    pub(super) fn close(&self) -> Tally {
        let mut state = self.state.borrow_mut();
        state.closed = true;
        let workers = state.workers.iter_mut();
        let mut wakers: Vec<Waker> = workers.filter_map(|worker| worker.waker.take()).collect();
        wakers.extend(state.grower.take());
        let mut tally = std::mem::take(&mut state.tally);
        drop(state);
        let traffic = self.links.traffic();
        tally.opened = traffic.opened();
        tally.open_max = traffic.open_max();
        tally.bytes_sent = traffic.sent();
        tally.bytes_received = traffic.received();
        wakers.into_iter().for_each(Waker::wake);
        tally
    }
}

impl WorkerPoolState {
    /// Adds a worker whose connection is about to be opened.
    fn add_worker(&mut self) -> usize {
        self.opening += 1;
        if let Some(index) = self.ended.pop() {
            self.workers[index] = Worker::default();
            return index;
        }
        self.workers.push(Worker::default());
        self.workers.len() - 1
    }
}

fn count(tally: &mut Tally, end: RequestEnd, written: bool) {
    tally.unsent += u64::from(!written);
    match end {
        RequestEnd::Answered(_) => {}
        RequestEnd::Failed(_, failure) => tally.failed(failure),
        RequestEnd::TimedOut(phase) => {
            tally.timed_out_unsent += u64::from(!written);
            tally.failed(FailureKind::timeout(phase));
        }
    }
}
