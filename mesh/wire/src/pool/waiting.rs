//! A request's place in a pool's line.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::lease::Lease;
use super::quota::Permit;
use super::{SendError, Shared};

/// Where the line leaves what a request waits for.
pub(super) struct Slot(RefCell<Place>);

enum Place {
    Waits {
        waker: Option<Waker>,
        /// Its place in the quota, held for as long as it waits.
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

    /// Leaves the result for a request that still waits.
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

/// Waits for the slot to be settled. Dropping it leaves the line, and hands on a connection that came too late.
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
