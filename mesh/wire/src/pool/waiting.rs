//! The queue of requests that wait for a connection of a pool.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::lease::Lease;
use super::quota::Permit;
use super::{PoolShared, SendError};

/// A queue entry, in which the pool leaves the result for a waiting request.
pub(super) struct WaitSlot(RefCell<QueueEntry>);

enum QueueEntry {
    Waits {
        waker: Option<Waker>,
        /// Counts against the quota for as long as the request waits.
        _permit: Option<Permit>,
    },
    Settled(Result<Lease, SendError>),
    /// The request gave up, or has taken its result.
    Gone,
}

impl WaitSlot {
    pub(super) fn still_waits(&self) -> bool {
        matches!(*self.0.borrow(), QueueEntry::Waits { .. })
    }

    /// Stores the result for a request that still waits, and wakes it.
    pub(super) fn settle(&self, result: Result<Lease, SendError>) {
        let before = self.0.replace(QueueEntry::Settled(result));
        if let QueueEntry::Waits {
            waker: Some(waker), ..
        } = before
        {
            waker.wake();
        }
    }
}

/// Waits for the slot to be settled. Dropping it leaves the queue, and passes on a connection that was assigned too
/// late.
pub(super) struct PendingRequest<'a> {
    pool: &'a Rc<PoolShared>,
    slot: Rc<WaitSlot>,
}

impl<'a> PendingRequest<'a> {
    pub(super) fn join(pool: &'a Rc<PoolShared>, permit: Option<Permit>) -> PendingRequest<'a> {
        let slot = Rc::new(WaitSlot(RefCell::new(QueueEntry::Waits {
            waker: None,
            _permit: permit,
        })));
        let mut state = pool.state.borrow_mut();
        state.waiting.push_back(Rc::clone(&slot));
        state.pending += 1;
        drop(state);
        PendingRequest { pool, slot }
    }
}

impl Future for PendingRequest<'_> {
    type Output = Result<Lease, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut entry = self.slot.0.borrow_mut();
        if let QueueEntry::Waits { waker, .. } = &mut *entry {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *entry, QueueEntry::Gone) {
            QueueEntry::Settled(result) => Poll::Ready(result),
            QueueEntry::Waits { .. } | QueueEntry::Gone => Poll::Pending,
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        match self.slot.0.replace(QueueEntry::Gone) {
            QueueEntry::Waits { .. } => self.pool.state.borrow_mut().give_up(),
            QueueEntry::Settled(Ok(lease)) => lease.release(),
            QueueEntry::Settled(Err(_)) | QueueEntry::Gone => {}
        }
    }
}
