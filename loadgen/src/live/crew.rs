//! The lanes of a load, the line before them, and the records of what they do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shakedown_env::{Env, Time};
use shakedown_results::{Answer, Event, Outcome, Record, Root};
use shakedown_wire::{Pool, PoolOptions, Protocol, Quota, QuotaLimits};

use super::tally::{Tally, Trouble};
use super::{Aim, Goal, Sink, Terms, lane, nanos_from};
use crate::Arrival;

/// The longest that opening a connection may take, where the timeout is longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that dispatcher and lanes share.
pub(super) struct Crew {
    env: Env,
    goal: Goal,
    terms: Terms,
    zero: Time,
    sink: Sink,
    in_flight: Cell<u64>,
    /// What all lanes share over HTTP/2, where each is a stream.
    shared: Option<Pool>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    /// Lanes without a request; the one that came free last is last.
    idle: Vec<usize>,
    /// Requests that wait for a lane, in order of time and so of deadline. At most the in-flight cap.
    line: VecDeque<Due>,
    closed: bool,
    watcher: Option<Waker>,
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
    /// When it was taken up.
    taken: Time,
    pub(super) deadline: Time,
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum End {
    /// With a whole answer of this status.
    Answered(u16),
    /// Without; the status is 0 where none came.
    Failed(u16, Trouble),
    /// Not in time.
    TimedOut,
}

impl Crew {
    pub(super) fn new(env: Env, goal: Goal, terms: Terms, zero: Time, sink: Sink) -> Crew {
        let shared = terms.http2.then(|| pool(&env, &goal, &terms));
        Crew {
            shared,
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

    /// What a request asks for.
    pub(super) fn aim(&self, due: &Due) -> &Aim {
        let entry = usize::from(due.root.entry);
        self.goal
            .aims
            .get(entry)
            .expect("a goal has an aim for each entry of its load")
    }

    /// The pool of one lane.
    pub(super) fn pool(&self) -> Pool {
        match &self.shared {
            Some(shared) => shared.clone(),
            None => pool(&self.env, &self.goal, &self.terms),
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// Takes up a request: to an idle lane, a new one, or the line.
    pub(super) fn dispatch(self: &Rc<Crew>, arrival: Arrival, intended: Time, now: Time) {
        let due = Due {
            root: Root {
                load: self.terms.party,
                entry: arrival.entry,
                seq: arrival.seq,
            },
            intended,
            taken: now,
            deadline: now + self.terms.timeout,
        };
        let mut state = self.state.borrow_mut();
        if arrival.at >= self.terms.warm_up {
            state.tally.late.record(nanos_from(intended, now));
        }
        if self.in_flight.get() >= self.terms.in_flight {
            drop(state);
            let dropped = Outcome::none(Answer::Dropped);
            return self.tell_end(now, &due, None, dropped);
        }
        self.in_flight.set(self.in_flight.get() + 1);
        if let Some(index) = state.idle.pop() {
            let lane = &mut state.lanes[index];
            lane.given = Some(due);
            let waker = lane.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        } else if self.may_grow(state.lanes.len()) {
            let index = state.lanes.len();
            state.lanes.push(Lane {
                given: Some(due),
                waker: None,
            });
            drop(state);
            self.env
                .spawn("load-lane", lane::run(Rc::clone(self), index));
        } else {
            state.line.push_back(due);
        }
    }

    fn may_grow(&self, lanes: usize) -> bool {
        // The shared pool keeps the bound by itself, and who waits there waits in order.
        let bound = self.terms.connections.filter(|_| !self.terms.http2);
        bound.is_none_or(|most| lanes < most.get() as usize)
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
            if let Some(due) = state.line.pop_front() {
                return Poll::Ready(Some(due));
            }
            state.idle.push(index);
        }
        state.lanes[index].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends those in line whose time is up, and tells when the next one's is.
    pub(super) fn expire(&self, now: Time) -> Option<Time> {
        loop {
            let due = {
                let mut state = self.state.borrow_mut();
                let next = state.line.front()?.deadline;
                if next > now {
                    return Some(next);
                }
                state.tally.never_left += 1;
                state.line.pop_front()?
            };
            // It was sent as far as this load goes: it has a latency, and is no drop.
            self.tell(now, Event::Sent { root: due.root });
            self.finish(&due, due.taken, End::TimedOut);
        }
    }

    /// Takes note that a request leaves.
    pub(super) fn sent(&self, due: &Due) -> Time {
        let now = self.env.now();
        self.tell(now, Event::Sent { root: due.root });
        now
    }

    /// Takes note of a request's end.
    pub(super) fn finish(&self, due: &Due, sent: Time, end: End) {
        let outcome = self.count(end);
        self.tell_end(self.env.now(), due, Some(sent), outcome);
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 {
            let watcher = self.state.borrow_mut().watcher.take();
            watcher.into_iter().for_each(Waker::wake);
        }
    }

    fn count(&self, end: End) -> Outcome {
        let tally = &mut self.state.borrow_mut().tally;
        let (status, answer) = match end {
            End::Answered(status) => {
                *tally.statuses.entry(status).or_default() += 1;
                let ok = self.terms.ok.holds(status, None);
                (status, if ok { Answer::Ok } else { Answer::Error })
            }
            End::Failed(status, trouble) => {
                tally.trouble(trouble);
                (status, Answer::Error)
            }
            End::TimedOut => {
                tally.timeouts += 1;
                (0, Answer::Timeout)
            }
        };
        Outcome::new(status, answer)
    }

    fn tell_end(&self, now: Time, due: &Due, sent: Option<Time>, outcome: Outcome) {
        let nanos = |at| nanos_from(self.zero, at);
        let event = Event::Finished {
            root: due.root,
            pod: self.terms.pod,
            intended_ns: nanos(due.intended),
            sent_ns: sent.map(nanos),
            outcome,
            tries: u16::from(sent.is_some()),
        };
        self.tell(now, event);
    }

    fn tell(&self, now: Time, event: Event) {
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
        let wakers: Vec<Waker> = state
            .lanes
            .iter_mut()
            .filter_map(|lane| lane.waker.take())
            .collect();
        let mut tally = std::mem::take(&mut state.tally);
        tally.lanes = state.lanes.len() as u64;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        tally
    }
}

fn pool(env: &Env, goal: &Goal, terms: &Terms) -> Pool {
    let bounded = terms.connections.filter(|_| terms.http2);
    let options = PoolOptions {
        protocol: if terms.http2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        },
        connect_timeout: terms.timeout.min(CONNECT_TIMEOUT),
        reuse: terms.reuse,
        tls: goal.tls.clone(),
        quota: bounded.map(|most| {
            Quota::new(QuotaLimits {
                connections: most.get(),
                pending: u32::MAX,
                requests: u32::MAX,
            })
        }),
        ..PoolOptions::default()
    };
    Pool::new(env.clone(), goal.address, None, options)
}
