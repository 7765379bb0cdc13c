//! Cooperative yielding of a task.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;

/// Lets every other task that is ready run once, on either backend.
pub async fn step_aside() {
    let mut stepped = false;
    poll_fn(|cx| {
        if mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
