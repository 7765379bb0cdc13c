//! The queue of requests that wait for a connection of a pool.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::lease::Lease;
use super::quota::Permit;
use super::{SendError, Shared};

/// A queue entry, in which the pool leaves the result for a waiting request.
pub(super) struct Slot(RefCell<Place>);

enum Place {
    Waits {
        waker: Option<Waker>,
        /// Counts against the quota for as long as the request waits.
        _permit: Option<Permit>,
    },
    Settled(Result<Lease, SendError>),
    /// The request gave up, or has taken its result.
    Gone,
}

impl Slot {
    pub(super) fn still_waits(&self) -> bool {
        matches!(*self.0.borrow(), Place::Waits { .. })
    }

    /// Stores the result for a request that still waits, and wakes it.
    pub(super) fn settle(&self, result: Result<Lease, SendError>) {
        let before = self.0.replace(Place::Settled(result));
        if let Place::Waits {
            waker: Some(waker), ..
        } = before
        {
            waker.wake();
        }
    }
}

/// Waits for the slot to be settled. Dropping it leaves the queue, and passes on a connection that was assigned too
/// late.
pub(super) struct Waiting<'a> {
    pool: &'a Rc<Shared>,
    slot: Rc<Slot>,
}

impl<'a> Waiting<'a> {
    pub(super) fn join(pool: &'a Rc<Shared>, permit: Option<Permit>) -> Waiting<'a> {
        let slot = Rc::new(Slot(RefCell::new(Place::Waits {
            waker: None,
            _permit: permit,
        })));
        let mut state = pool.state.borrow_mut();
        state.waiting.push_back(Rc::clone(&slot));
        state.pending += 1;
        drop(state);
        Waiting { pool, slot }
    }
}

impl Future for Waiting<'_> {
    type Output = Result<Lease, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut place = self.slot.0.borrow_mut();
        if let Place::Waits { waker, .. } = &mut *place {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Settled(result) => Poll::Ready(result),
            Place::Waits { .. } | Place::Gone => Poll::Pending,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        match self.slot.0.replace(Place::Gone) {
            Place::Waits { .. } => self.pool.state.borrow_mut().give_up(),
            Place::Settled(Ok(lease)) => lease.release(),
            Place::Settled(Err(_)) | Place::Gone => {}
        }
    }
}
