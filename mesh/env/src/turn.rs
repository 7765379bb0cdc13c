//! Turns: what a task gives up by stepping aside.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;

/// Lets every other task that is ready run once, in either world.
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
