//! A request that waits for a connection of its pool.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::SendError;
use super::lease::Lease;
use super::quota::Permit;
use super::shared::{PoolShared, QueueEntry, WaitSlot};

/// Waits for the slot to be settled. Dropping it leaves the queue, and passes on a connection that was assigned too
/// late.
pub(super) struct PendingRequest<'a> {
    pool: &'a Rc<PoolShared>,
    slot: Rc<WaitSlot>,
}

impl<'a> PendingRequest<'a> {
    pub(super) fn join(pool: &'a Rc<PoolShared>, permit: Option<Permit>) -> PendingRequest<'a> {
        let slot = Rc::new(WaitSlot::new(permit));
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
        self.slot.poll(cx).map_ok(Lease::new)
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        match self.slot.close() {
            QueueEntry::Waits { .. } => self.pool.state.borrow_mut().give_up(),
            QueueEntry::Settled(Ok(assigned)) => Lease::new(assigned).release(),
            QueueEntry::Settled(Err(_)) | QueueEntry::Gone => {}
        }
    }
}
