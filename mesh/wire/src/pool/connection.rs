//! One connection of a pool: what it carries, and what it may carry yet.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;

use shakedown_env::Time;

use super::Shared;
use super::http1::Http1;
use super::http2::Http2;
use super::watch::{Trace, Watch};

/// What a connection does. Source: Envoy, `ConnectionPool::ActiveClient::State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Among its pool's ready ones: it can take a request.
    Ready,
    /// It has all the requests that it can carry.
    Busy,
    /// The response has ended; hyper has yet to say that the connection is free (the request is still being written, or its
    /// task has not come round). HTTP/1.1 only.
    Returning,
    /// It takes no more requests, and closes with the last that it has.
    Draining,
    /// Closed, or about to be closed by its task.
    Closed,
}

/// What requests are handed to.
pub(super) enum Wire {
    Http1(Http1),
    Http2(Http2),
}

/// A connection as its pool, its leases and its task share it.
pub(super) struct Connection {
    pool: Weak<Shared>,
    wire: Wire,
    /// What is seen of it, where its pool counts traffic.
    watch: Option<Watch>,
    phase: Cell<Phase>,
    /// The requests that it has.
    active: Cell<u32>,
    /// The requests that it has had.
    requests: Cell<u32>,
    /// Since when it has no request.
    since: Cell<Time>,
    /// Whether it has been ready, and without a request, since it was opened.
    rested: Cell<bool>,
    /// Whether a request has asked to make something else of it. HTTP/1.1 only.
    may_be_upgraded: Cell<bool>,
    /// The task that drives it.
    task: RefCell<Option<Waker>>,
}

impl Connection {
    /// A connection that its pool knows nothing of yet.
    pub(super) fn new(pool: &Rc<Shared>, wire: Wire, watch: Option<Watch>) -> Rc<Connection> {
        Rc::new(Connection {
            pool: Rc::downgrade(pool),
            wire,
            watch,
            phase: Cell::new(Phase::Busy),
            active: Cell::new(0),
            requests: Cell::new(0),
            since: Cell::new(pool.env.now()),
            rested: Cell::new(false),
            may_be_upgraded: Cell::new(false),
            task: RefCell::new(None),
        })
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn pool(&self) -> Option<Rc<Shared>> {
        self.pool.upgrade()
    }

    /// Leaves in `trace` that a request is on this connection from here on.
    pub(super) fn follow(&self, trace: &Trace, stream: Option<u32>) {
        if let (Some(watch), Some(pool)) = (&self.watch, self.pool()) {
            trace.follow(watch, pool.env.now(), stream);
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Whether it has no request.
    pub(super) fn is_idle(&self) -> bool {
        self.active.get() == 0
    }

    /// Whether it has never had a request.
    pub(super) fn is_unused(&self) -> bool {
        self.requests.get() == 0
    }

    /// A request asks to make something else of it.
    pub(super) fn expect_upgrade(&self) {
        self.may_be_upgraded.set(true);
    }

    /// Whether a request has asked to make something else of it.
    pub(super) fn may_be_upgraded(&self) -> bool {
        self.may_be_upgraded.get()
    }

    /// Since when it has no request; none while it has one.
    pub(super) fn idle_since(&self) -> Option<Time> {
        (self.phase() == Phase::Ready && self.is_idle()).then(|| self.since.get())
    }

    /// Whether the peer had time to close it before the next request: then one that it does not take may move on.
    pub(super) fn is_seasoned(&self) -> bool {
        self.rested.get() || self.requests.get() > 0
    }

    /// Whether it can take a request now, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        let open = !matches!(self.phase(), Phase::Draining | Phase::Closed);
        open && match &self.wire {
            Wire::Http1(http1) => http1.is_ready(),
            Wire::Http2(http2) => http2.is_open(),
        }
    }

    /// Whether it can take one more request beside those that it has.
    pub(super) fn has_room(&self) -> bool {
        self.active.get() < self.limit()
    }

    fn limit(&self) -> u32 {
        match &self.wire {
            Wire::Http1(_) => 1,
            Wire::Http2(http2) => http2.limit(),
        }
    }

    /// Takes a request, as the pool's last where no more are allowed. Its pool looks at the phase afterwards.
    pub(super) fn begin(&self, pool: &Shared) {
        self.active.set(self.active.get() + 1);
        self.requests.set(self.requests.get().saturating_add(1));
        let most = pool.options.requests_per_connection();
        if most.is_some_and(|most| self.requests.get() >= most) {
            self.phase.set(Phase::Draining);
        } else if !self.has_room() {
            self.phase.set(Phase::Busy);
        }
    }

    /// Becomes one of its pool's ready ones.
    pub(super) fn rest(&self, now: Time) {
        self.phase.set(Phase::Ready);
        if self.is_idle() {
            self.since.set(now);
            self.rested.set(true);
        }
    }

    /// A request has ended: in order, or by being cut off.
    pub(super) fn end(self: Rc<Connection>, in_order: bool) {
        self.active.set(self.active.get() - 1);
        let Some(pool) = self.pool.upgrade() else {
            return self.leave();
        };
        self.since.set(pool.env.now());
        match &self.wire {
            Wire::Http1(http1) if in_order && self.phase() == Phase::Busy && !http1.is_closed() => {
                if http1.is_ready() {
                    pool.offer(&self);
                } else {
                    self.phase.set(Phase::Returning);
                    pool.state.borrow_mut().returning += 1;
                    self.wake();
                }
            }
            Wire::Http1(_) => self.close(),
            Wire::Http2(http2) => {
                if !in_order && http2.count_reset() {
                    self.retire();
                }
                match self.phase() {
                    Phase::Busy if self.has_room() => pool.offer(&self),
                    Phase::Draining => self.leave(),
                    _ => {}
                }
            }
        }
    }

    /// Takes no more requests, and closes when it has none.
    pub(super) fn retire(&self) {
        if matches!(self.phase(), Phase::Draining | Phase::Closed) {
            return self.leave();
        }
        if self.phase() == Phase::Ready
            && let Some(pool) = self.pool.upgrade()
        {
            pool.remove(self);
        }
        self.leave_returning();
        self.phase.set(Phase::Draining);
        self.leave();
    }

    /// Closes if it has no request.
    fn leave(&self) {
        if self.is_idle() {
            self.close();
        } else if self.phase() != Phase::Closed {
            self.phase.set(Phase::Draining);
        }
    }

    /// Looks at its limit again: the peer may have changed it.
    pub(super) fn fit(self: &Rc<Connection>) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        match self.phase() {
            Phase::Ready if !self.has_room() => {
                pool.remove(self);
                self.phase.set(Phase::Busy);
            }
            Phase::Busy if self.has_room() => pool.offer(self),
            _ => {}
        }
    }

    /// Has its task close it, at once and whatever it carries.
    pub(super) fn close(&self) {
        self.leave_returning();
        self.phase.set(Phase::Closed);
        self.wake();
    }

    pub(super) fn leave_returning(&self) {
        if self.phase() == Phase::Returning
            && let Some(pool) = self.pool.upgrade()
        {
            pool.state.borrow_mut().returning -= 1;
            self.phase.set(Phase::Busy);
        }
    }

    /// Leaves the waker of the task that drives it.
    pub(super) fn driven_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    fn wake(&self) {
        let task = self.task.borrow_mut().take();
        if let Some(task) = task {
            task.wake();
        }
    }
}
