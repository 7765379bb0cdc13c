//! The state of a pool: its ready connections, its waiting requests, and its counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_env::Env;

use super::connection::PooledConnection;
use super::error::SendError;
use super::options::PoolOptions;
use super::quota::Permit;

/// The maximum number of idle connections that have never had a request. Such connections are left over if requests
/// give up while their connections are being opened, and would otherwise stay idle for an hour.
pub(super) const UNUSED_MAX: usize = 16;

/// A pool, shared by its clones, its connections and its requests.
pub(super) struct PoolShared {
    pub(super) env: Env,
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
    pub(super) options: PoolOptions,
    pub(super) state: RefCell<PoolState>,
}

/// Bounds: `waiting` contains at most twice the number of waiting requests, plus [`UNUSED_MAX`]. There are at most as
/// many connections as requests of the callers, whose circuit breakers bound them.
#[derive(Default)]
pub(super) struct PoolState {
    /// Connections with room for a request. The most recently used one is last.
    pub(super) ready: Vec<Rc<PooledConnection>>,
    /// Requests without a connection, in order of arrival. Requests that gave up are skipped.
    pub(super) waiting: VecDeque<Rc<WaitSlot>>,
    /// The number of entries of `waiting` that still wait.
    pub(super) pending: usize,
    /// The number of connections that are being opened.
    pub(super) connecting: usize,
    /// The number of open connections.
    pub(super) open: usize,
    /// The number of connections whose response has ended, but which hyper has not reported as free yet.
    pub(super) returning: usize,
}

impl PoolShared {
    /// Returns the most recently used ready connection, and removes those that are known to have closed.
    pub(super) fn last_usable(&self) -> Option<Rc<PooledConnection>> {
        loop {
            let connection = Rc::clone(self.state.borrow().ready.last()?);
            if connection.is_usable() {
                return Some(connection);
            }
            self.state.borrow_mut().ready.pop();
            connection.retire();
        }
    }

    /// Fails all waiting requests after a failed connect.
    pub(super) fn refuse(&self, error: &SendError) {
        let queue: Vec<Rc<WaitSlot>> = {
            let mut state = self.state.borrow_mut();
            std::iter::from_fn(|| state.next_in_queue()).collect()
        };
        for slot in queue {
            slot.settle(Err(error.copy_of_connect()));
        }
    }

    /// Removes a connection from the ready ones.
    pub(super) fn remove(&self, connection: &PooledConnection) {
        self.state
            .borrow_mut()
            .ready
            .retain(|other| !std::ptr::eq(Rc::as_ptr(other), connection));
    }

    /// Prevents all ready connections from taking further requests. Those without a request close.
    pub(super) fn close_idle(&self) {
        let ready = std::mem::take(&mut self.state.borrow_mut().ready);
        ready.iter().for_each(|connection| connection.retire());
    }
}

impl PoolState {
    pub(super) fn idle(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_idle()).count()
    }

    pub(super) fn unused(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_unused()).count()
    }

    /// Records that a waiting request gave up. Entries of such requests are removed once they are the majority.
    pub(super) fn give_up(&mut self) {
        self.pending -= 1;
        if self.waiting.len() > 2 * self.pending + UNUSED_MAX {
            self.waiting.retain(|slot| slot.still_waits());
        }
    }

    pub(super) fn next_in_queue(&mut self) -> Option<Rc<WaitSlot>> {
        while let Some(slot) = self.waiting.pop_front() {
            if slot.still_waits() {
                self.pending -= 1;
                return Some(slot);
            }
        }
        None
    }
}

impl Drop for PoolShared {
    fn drop(&mut self) {
        self.close_idle();
    }
}

impl fmt::Debug for PoolShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Pool")
            .field("to", &self.to)
            .field("open", &state.open)
            .field("idle", &state.idle())
            .field("pending", &state.pending)
            .finish_non_exhaustive()
    }
}

/// A connection that was assigned to a request. Its receiver must end the request.
pub(super) struct AssignedConnection {
    pub(super) connection: Rc<PooledConnection>,
    pub(super) permit: Option<Permit>,
    /// True if the peer had time to close the connection before this request.
    pub(super) seasoned: bool,
}

impl AssignedConnection {
    /// Assigns a request to a connection that has room.
    pub(super) fn new(
        pool: &PoolShared,
        connection: Rc<PooledConnection>,
        permit: Option<Permit>,
    ) -> AssignedConnection {
        let seasoned = connection.is_seasoned();
        connection.begin(pool);
        AssignedConnection {
            connection,
            permit,
            seasoned,
        }
    }
}

/// A queue entry, in which the pool leaves the result for a waiting request.
pub(super) struct WaitSlot(RefCell<QueueEntry>);

pub(super) enum QueueEntry {
    Waits {
        waker: Option<Waker>,
        /// Counts against the quota for as long as the request waits.
        _permit: Option<Permit>,
    },
    Settled(Result<AssignedConnection, SendError>),
    /// The request gave up, or has taken its result.
    Gone,
}

impl WaitSlot {
    pub(super) fn new(permit: Option<Permit>) -> WaitSlot {
        WaitSlot(RefCell::new(QueueEntry::Waits {
            waker: None,
            _permit: permit,
        }))
    }

    pub(super) fn still_waits(&self) -> bool {
        matches!(*self.0.borrow(), QueueEntry::Waits { .. })
    }

    /// Stores the result for a request that still waits, and wakes it.
    pub(super) fn settle(&self, result: Result<AssignedConnection, SendError>) {
        let before = self.0.replace(QueueEntry::Settled(result));
        if let QueueEntry::Waits {
            waker: Some(waker), ..
        } = before
        {
            waker.wake();
        }
    }

    /// Takes the result once it is stored.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Result<AssignedConnection, SendError>> {
        let mut entry = self.0.borrow_mut();
        if let QueueEntry::Waits { waker, .. } = &mut *entry {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *entry, QueueEntry::Gone) {
            QueueEntry::Settled(result) => Poll::Ready(result),
            QueueEntry::Waits { .. } | QueueEntry::Gone => Poll::Pending,
        }
    }

    /// Prevents further results, and returns the entry so far.
    pub(super) fn close(&self) -> QueueEntry {
        self.0.replace(QueueEntry::Gone)
    }
}
