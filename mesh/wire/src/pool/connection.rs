//! The state of one connection of a pool: its phase, its active requests, and its capacity for more.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;

use shakedown_env::Time;

use super::http1::Http1;
use super::http2::Http2;
use super::shared::PoolShared;
use super::watch::{Trace, TrafficMeter};

/// The phase of a connection. Source: Envoy, `ConnectionPool::ActiveClient::State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// Listed as ready in its pool, with room for a request.
    Ready,
    /// At its limit of concurrent requests.
    Busy,
    /// The response has ended, but hyper has not reported the connection as free yet: the request is still being
    /// written, or the connection's task has not run. HTTP/1.1 only.
    Returning,
    /// Accepts no more requests, and closes after its last one.
    Draining,
    /// Closed, or about to be closed by its task.
    Closed,
}

/// The protocol's sending side, which dispatches requests.
pub(super) enum RequestSender {
    Http1(Http1),
    Http2(Http2),
}

/// A connection, shared by its pool, its leases and its task.
pub(super) struct PooledConnection {
    pool: Weak<PoolShared>,
    wire: RequestSender,
    /// The observations of the connection. `None` if its pool does not count traffic.
    watch: Option<TrafficMeter>,
    phase: Cell<ConnectionState>,
    /// The number of active requests.
    active: Cell<u32>,
    /// The number of requests so far, including active ones.
    requests: Cell<u32>,
    /// The time since which the connection has been idle. Meaningful only while it is.
    since: Cell<Time>,
    /// True if the connection has been ready and idle at least once.
    rested: Cell<bool>,
    /// True if a request has asked for an upgrade. HTTP/1.1 only.
    may_be_upgraded: Cell<bool>,
    /// The waker of the task that drives the connection.
    task: RefCell<Option<Waker>>,
}

impl PooledConnection {
    /// Creates a connection that is not in its pool's ready list yet.
    pub(super) fn new(
        pool: &Rc<PoolShared>,
        wire: RequestSender,
        watch: Option<TrafficMeter>,
    ) -> Rc<PooledConnection> {
        Rc::new(PooledConnection {
            pool: Rc::downgrade(pool),
            wire,
            watch,
            phase: Cell::new(ConnectionState::Busy),
            active: Cell::new(0),
            requests: Cell::new(0),
            since: Cell::new(pool.env.now()),
            rested: Cell::new(false),
            may_be_upgraded: Cell::new(false),
            task: RefCell::new(None),
        })
    }

    pub(super) fn wire(&self) -> &RequestSender {
        &self.wire
    }

    pub(super) fn pool(&self) -> Option<Rc<PoolShared>> {
        self.pool.upgrade()
    }

    /// Records in `trace` that its request is on this connection from now on.
    pub(super) fn follow(&self, trace: &Trace, stream: Option<u32>) {
        if let (Some(watch), Some(pool)) = (&self.watch, self.pool()) {
            trace.follow(watch, pool.env.now(), stream);
        }
    }

    pub(super) fn phase(&self) -> ConnectionState {
        self.phase.get()
    }

    /// Returns true if the connection has no active request.
    pub(super) fn is_idle(&self) -> bool {
        self.active.get() == 0
    }

    /// Returns true if the connection has never had a request.
    pub(super) fn is_unused(&self) -> bool {
        self.requests.get() == 0
    }

    /// Records that a request asks for an upgrade.
    pub(super) fn expect_upgrade(&self) {
        self.may_be_upgraded.set(true);
    }

    pub(super) fn may_be_upgraded(&self) -> bool {
        self.may_be_upgraded.get()
    }

    /// Returns the time since which the connection has been ready and idle. `None` while it is not.
    pub(super) fn idle_since(&self) -> Option<Time> {
        (self.phase() == ConnectionState::Ready && self.is_idle()).then(|| self.since.get())
    }

    /// Returns true if the peer had time to close the connection before the next request. If such a connection does not
    /// accept that request, the request may move to another.
    pub(super) fn is_seasoned(&self) -> bool {
        self.rested.get() || self.requests.get() > 0
    }

    /// Returns true if the connection can accept a request, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        let open = !matches!(
            self.phase(),
            ConnectionState::Draining | ConnectionState::Closed
        );
        open && match &self.wire {
            RequestSender::Http1(http1) => http1.is_ready(),
            RequestSender::Http2(http2) => http2.is_open(),
        }
    }

    /// Returns true if the limit allows one more concurrent request.
    pub(super) fn has_room(&self) -> bool {
        self.active.get() < self.limit()
    }

    fn limit(&self) -> u32 {
        match &self.wire {
            RequestSender::Http1(_) => 1,
            RequestSender::Http2(http2) => http2.limit(),
        }
    }

    /// Adds a request, after which the connection drains if it has reached the maximum number of requests per
    /// connection. The caller must check the phase afterwards.
    pub(super) fn begin(&self, pool: &PoolShared) {
        self.active.set(self.active.get() + 1);
        self.requests.set(self.requests.get().saturating_add(1));
        let most = pool.options.requests_per_connection();
        if most.is_some_and(|most| self.requests.get() >= most) {
            self.phase.set(ConnectionState::Draining);
        } else if !self.has_room() {
            self.phase.set(ConnectionState::Busy);
        }
    }

    /// Becomes ready. The caller adds the connection to its pool's ready list.
    pub(super) fn rest(&self, now: Time) {
        self.phase.set(ConnectionState::Ready);
        if self.is_idle() {
            self.since.set(now);
            self.rested.set(true);
        }
    }

    /// Ends a request. `in_order` is false if it was cut off. Returns the pool if the connection can take the next
    /// request, so that the caller must offer it.
    #[must_use]
    pub(super) fn end(&self, in_order: bool) -> Option<Rc<PoolShared>> {
        self.active.set(self.active.get() - 1);
        let Some(pool) = self.pool.upgrade() else {
            self.leave();
            return None;
        };
        self.since.set(pool.env.now());
        match &self.wire {
            RequestSender::Http1(http1)
                if in_order && self.phase() == ConnectionState::Busy && !http1.is_closed() =>
            {
                if http1.is_ready() {
                    return Some(pool);
                }
                self.phase.set(ConnectionState::Returning);
                pool.state.borrow_mut().returning += 1;
                self.wake();
            }
            RequestSender::Http1(_) => self.close(),
            RequestSender::Http2(http2) => {
                if !in_order && http2.count_reset() {
                    self.retire();
                }
                match self.phase() {
                    ConnectionState::Busy if self.has_room() => return Some(pool),
                    ConnectionState::Draining => self.leave(),
                    _ => {}
                }
            }
        }
        None
    }

    /// Prevents further requests, and closes the connection once it is idle.
    pub(super) fn retire(&self) {
        if matches!(
            self.phase(),
            ConnectionState::Draining | ConnectionState::Closed
        ) {
            return self.leave();
        }
        if self.phase() == ConnectionState::Ready
            && let Some(pool) = self.pool.upgrade()
        {
            pool.remove(self);
        }
        self.leave_returning();
        self.phase.set(ConnectionState::Draining);
        self.leave();
    }

    /// Closes the connection if it is idle, else lets it drain.
    fn leave(&self) {
        if self.is_idle() {
            self.close();
        } else if self.phase() != ConnectionState::Closed {
            self.phase.set(ConnectionState::Draining);
        }
    }

    /// Leaves the ready list if the peer has lowered its limit. Returns the pool if the peer has raised it, so that the
    /// caller must offer the connection.
    #[must_use]
    pub(super) fn fit(&self) -> Option<Rc<PoolShared>> {
        let pool = self.pool.upgrade()?;
        match self.phase() {
            ConnectionState::Ready if !self.has_room() => {
                pool.remove(self);
                self.phase.set(ConnectionState::Busy);
                None
            }
            ConnectionState::Busy if self.has_room() => Some(pool),
            _ => None,
        }
    }

    /// Makes the task close the connection at once, even with active requests.
    pub(super) fn close(&self) {
        self.leave_returning();
        self.phase.set(ConnectionState::Closed);
        self.wake();
    }

    pub(super) fn leave_returning(&self) {
        if self.phase() == ConnectionState::Returning
            && let Some(pool) = self.pool.upgrade()
        {
            pool.state.borrow_mut().returning -= 1;
            self.phase.set(ConnectionState::Busy);
        }
    }

    /// Stores the waker of the task that drives the connection.
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
