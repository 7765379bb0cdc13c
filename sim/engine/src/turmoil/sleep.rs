//! Sleeps on the paused tokio clock of a turmoil host: rounded up to its tick.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use shakedown_env::{SleepFuture, Time};

use super::shared::TurmoilShared;

/// A sleep until a moment of the run.
pub(super) struct TurmoilSleep {
    shared: Arc<TurmoilShared>,
    deadline: Time,
    /// Made with the first poll, which is on the host that sleeps.
    #[expect(
        clippy::disallowed_types,
        reason = "the environment on turmoil uses tokio's clock"
    )]
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl TurmoilSleep {
    pub(super) fn new(shared: Arc<TurmoilShared>, deadline: Time) -> TurmoilSleep {
        TurmoilSleep {
            shared,
            deadline,
            timer: None,
        }
    }
}

impl Future for TurmoilSleep {
    type Output = ();

    #[expect(
        clippy::disallowed_methods,
        reason = "the environment on turmoil uses tokio's clock"
    )]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.shared.now();
            let deadline = self.deadline;
            if now >= deadline {
                self.timer = None;
                return Poll::Ready(());
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline.since(now))));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
    }
}

impl SleepFuture for TurmoilSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Time) {
        self.deadline = deadline;
        self.timer = None;
    }
}
