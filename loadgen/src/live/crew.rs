//! The lanes of a load, the line before them, and the records of what they do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_env::{Env, Sleep, Time};
use shakedown_results::{Answer, Event, Outcome, Record, Root};
use shakedown_wire::Pool;

use super::links::{Link, Links};
use super::own::{Lag, nanos};
use super::{Aim, Failure, Goal, Phase, Sink, Tally, Terms, lane, nanos_from};
use crate::Arrival;

/// Everything that dispatcher and lanes share.
pub(super) struct Crew {
    env: Env,
    goal: Goal,
    terms: Terms,
    zero: Time,
    sink: Sink,
    links: Rc<Links>,
    /// The time that readable data waits for its reader.
    lag: Lag,
    in_flight: Cell<u64>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    /// Lanes without a request, in the order in which they came free.
    idle: VecDeque<usize>,
    /// Indices of lanes that have ended.
    ended: Vec<usize>,
    /// Lanes whose connection is being opened.
    opening: usize,
    /// Requests that wait for a lane, in order of time and so of deadline. At most the in-flight cap.
    line: VecDeque<Due>,
    closed: bool,
    watcher: Option<Waker>,
    /// The task that opens connections for queued requests.
    grower: Option<Waker>,
    tally: Tally,
}

#[derive(Default)]
struct Lane {
    given: Option<Due>,
    /// Set while it is idle.
    waker: Option<Waker>,
}

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    root: Root,
    intended: Time,
    /// Time at which the dispatcher took it up.
    taken: Time,
    /// Time at which a lane received it.
    given: Time,
    pub(super) deadline: Time,
}

/// The way of a request that a lane had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Time at which the lane started to send it.
    pub(super) began: Time,
    /// Time at which it had a connection.
    pub(super) connected: Option<Time>,
    /// Time at which its head was written.
    pub(super) written: Option<Time>,
}

/// The end of a request.
#[derive(Debug)]
pub(super) enum End {
    /// With a whole answer of this status.
    Answered(u16),
    /// Without; the status is 0 where none came.
    Failed(u16, Failure),
    /// Not in time.
    TimedOut(Phase),
}

impl Crew {
    pub(super) fn new(
        env: Env,
        goal: Goal,
        terms: Terms,
        zero: Time,
        lag: Lag,
        sink: Sink,
    ) -> Crew {
        Crew {
            lag,
            links: Rc::new(Links::new(&env, &goal, &terms)),
            env,
            goal,
            terms,
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
    pub(super) fn aim(&self, due: &Due) -> &Aim {
        let entry = usize::from(due.root.entry);
        self.goal
            .aims
            .get(entry)
            .expect("a goal has an aim for each entry of its load")
    }

    /// A lane's own pool; `None` where lanes share connections.
    pub(super) fn own_pool(&self) -> Option<Pool> {
        (!self.terms.http2).then(|| self.links.own())
    }

    /// The way of one request where lanes share connections.
    pub(super) fn link(&self) -> Option<Link> {
        self.links.least_used()
    }

    pub(super) fn keeps_connections(&self) -> bool {
        self.terms.reuse
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// Opens the connections that are there before the first request.
    pub(super) fn open_first(self: &Rc<Crew>) {
        if !self.terms.reuse {
            return;
        }
        for pool in self.links.shared() {
            self.env.spawn("load-connection", async move {
                // The first request finds out why it could not be opened.
                let _unopened = pool.open().await;
            });
        }
        if !self.terms.http2 {
            for _ in 0..self.terms.connections.map_or(1, |count| count.get()) {
                let index = self.state.borrow_mut().add_lane();
                self.env
                    .spawn("load-lane", lane::run(Rc::clone(self), index));
            }
        }
    }

    /// Takes up a request: to an idle lane, or the line.
    pub(super) fn dispatch(self: &Rc<Crew>, arrival: Arrival, intended: Time, now: Time) {
        let due = Due {
            root: Root {
                load: self.terms.party,
                entry: arrival.entry,
                seq: arrival.seq,
            },
            intended,
            taken: now,
            given: now,
            deadline: now + self.terms.timeout,
        };
        let mut state = self.state.borrow_mut();
        if self.counts(&due) {
            state.tally.own.late.record(nanos_from(intended, now));
        }
        if self.in_flight.get() >= self.terms.in_flight {
            drop(state);
            let dropped = Outcome::none(Answer::Dropped);
            return self.record_end(now, &due, None, dropped);
        }
        self.in_flight.set(self.in_flight.get() + 1);
        // Where connections are kept, all of them are used; where they are as many as it takes, as few as it takes.
        let idle = match self.terms.connections {
            Some(_) => state.idle.pop_front(),
            None => state.idle.pop_back(),
        };
        if let Some(index) = idle {
            let lane = &mut state.lanes[index];
            lane.given = Some(due);
            let waker = lane.waker.take();
            drop(state);
            return waker.into_iter().for_each(Waker::wake);
        }
        if self.terms.http2 {
            // A lane is a stream: its connection is there, or opened by its pool.
            let index = state.add_lane();
            state.lanes[index].given = Some(due);
            drop(state);
            return self
                .env
                .spawn("load-lane", lane::run(Rc::clone(self), index));
        }
        state.line.push_back(due);
        let grower = state.grower.take();
        drop(state);
        grower.into_iter().for_each(Waker::wake);
    }

    /// Returns true if a request is one of those that are counted.
    fn counts(&self, due: &Due) -> bool {
        due.intended >= self.zero + self.terms.warm_up
    }

    /// Ready when those in line want another connection, with false once the crew is closed.
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

    /// From when on those in line want another connection, if they do: one that is late by the generator's own doing waits
    /// as long again for one of those that are there.
    fn wanted_at(&self, state: &State) -> Option<Time> {
        let most = self.terms.connections.map(|most| most.get() as usize);
        let alive = state.lanes.len() - state.ended.len();
        // Those before it have a connection that is being opened.
        let first = state.line.get(state.opening)?;
        let may_grow = most.is_none_or(|most| alive < most);
        may_grow.then(|| first.taken + first.taken.since(first.intended))
    }

    /// Adds a lane if it is still wanted.
    pub(super) fn grow(&self) -> Option<usize> {
        let mut state = self.state.borrow_mut();
        let now = self.env.now();
        let wanted = !state.closed && self.wanted_at(&state).is_some_and(|at| at <= now);
        wanted.then(|| state.add_lane())
    }

    /// A lane's connection is open.
    pub(super) fn opened(&self) {
        let mut state = self.state.borrow_mut();
        state.opening = state.opening.saturating_sub(1);
    }

    /// A lane's connection could not be opened: so fails the first in line, and the lane ends.
    pub(super) fn not_opened(&self, index: usize, failure: &Failure) {
        let (first, grower) = {
            let mut state = self.state.borrow_mut();
            state.opening = state.opening.saturating_sub(1);
            state.ended.push(index);
            (state.line.pop_front(), state.grower.take())
        };
        if let Some(due) = first {
            self.finish(&due, None, End::Failed(0, failure.clone()));
        }
        grower.into_iter().for_each(Waker::wake);
    }

    /// A lane's next request; `None` once the crew is closed.
    pub(super) fn poll_next(&self, index: usize, cx: &mut Context<'_>) -> Poll<Option<Due>> {
        // Those at the head of the line may have run out of time.
        if !self.state.borrow().line.is_empty() {
            self.expire(self.env.now());
        }
        let mut state = self.state.borrow_mut();
        if let Some(due) = state.lanes[index].given.take() {
            return Poll::Ready(Some(due));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        // A lane that is listed as idle was woken by its timer.
        let listed = state.lanes[index].waker.is_some();
        if !listed {
            if let Some(mut due) = state.line.pop_front() {
                due.given = self.env.now();
                return Poll::Ready(Some(due));
            }
            state.idle.push_back(index);
        }
        state.lanes[index].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends those in line whose time is up, and gives the time of the next one's.
    pub(super) fn expire(&self, now: Time) -> Option<Time> {
        loop {
            let (due, phase) = {
                let mut state = self.state.borrow_mut();
                let next = state.line.front()?.deadline;
                if next > now {
                    return Some(next);
                }
                let phase = match state.opening {
                    0 => Phase::Queue,
                    _ => Phase::Connect,
                };
                (state.line.pop_front()?, phase)
            };
            self.finish(&due, None, End::TimedOut(phase));
        }
    }

    /// A lane begins with a request.
    pub(super) fn begin(&self, due: &Due) -> Time {
        let now = self.env.now();
        self.record(now, Event::Sent { root: due.root });
        now
    }

    /// Takes note of a request's end; `way` where a lane had it.
    pub(super) fn finish(&self, due: &Due, way: Option<Way>, end: End) {
        let now = self.env.now();
        let written = way.and_then(|way| way.written);
        if way.is_none() {
            self.record(now, Event::Sent { root: due.root });
        }
        let outcome = self.outcome(&end);
        if self.counts(due) {
            let mut state = self.state.borrow_mut();
            count(&mut state.tally, end, written.is_some());
            if let Some((way, written)) = way.zip(written) {
                let span = |from: Time, to: Time| nanos_from(from, to).max(0);
                let connected = way.connected.unwrap_or(written);
                let late = span(due.intended, due.taken);
                // What is late waits for a connection that is there, rather than for one of its own.
                let patience = match self.terms.connections {
                    None => span(due.taken, due.given).min(late),
                    Some(_) => 0,
                };
                let sending =
                    late + patience + span(due.given, way.began) + span(connected, written);
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

    fn outcome(&self, end: &End) -> Outcome {
        match end {
            End::Answered(status) if self.terms.ok.holds(*status, None) => {
                Outcome::new(*status, Answer::Ok)
            }
            End::Answered(status) | End::Failed(status, _) => Outcome::new(*status, Answer::Error),
            End::TimedOut(_) => Outcome::none(Answer::Timeout),
        }
    }

    fn record_end(&self, now: Time, due: &Due, sent: Option<Time>, outcome: Outcome) {
        let nanos = |at| nanos_from(self.zero, at);
        let event = Event::Finished {
            root: due.root,
            pod: self.terms.pod,
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

    /// Wakes this task when nothing is in flight any more. One watcher at a time.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.state.borrow_mut().watcher = Some(cx.waker().clone());
    }

    /// Ends the lanes.
    pub(super) fn close(&self) -> Tally {
        let mut state = self.state.borrow_mut();
        state.closed = true;
        let lanes = state.lanes.iter_mut();
        let mut wakers: Vec<Waker> = lanes.filter_map(|lane| lane.waker.take()).collect();
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

impl State {
    /// Adds a lane whose connection is about to be opened.
    fn add_lane(&mut self) -> usize {
        self.opening += 1;
        if let Some(index) = self.ended.pop() {
            self.lanes[index] = Lane::default();
            return index;
        }
        self.lanes.push(Lane::default());
        self.lanes.len() - 1
    }
}

fn count(tally: &mut Tally, end: End, written: bool) {
    tally.unsent += u64::from(!written);
    match end {
        End::Answered(_) => {}
        End::Failed(_, failure) => tally.failed(failure),
        End::TimedOut(phase) => {
            tally.timed_out_unsent += u64::from(!written);
            tally.failed(Failure::timeout(phase));
        }
    }
}
