//! Sleeps in virtual time, and in the time of a host's virtual CPU.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use shakedown_env::{SleepFuture, Time};

use crate::arena::ArenaKey;
use crate::host::HostCell;
use crate::kernel::TimedEvent;
use crate::shared::SimShared;

/// A sleep. A timer exists only from the first pending poll until the sleep elapses, is reset or is dropped.
pub(crate) struct SimSleep {
    shared: Arc<SimShared>,
    host: Arc<HostCell>,
    incarnation: u32,
    deadline: Time,
    timer: Option<ArenaKey>,
}

impl SimSleep {
    pub(crate) fn new(
        shared: Arc<SimShared>,
        host: Arc<HostCell>,
        incarnation: u32,
        deadline: Time,
    ) -> SimSleep {
        SimSleep {
            shared,
            host,
            incarnation,
            deadline,
            timer: None,
        }
    }

    fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            // The entry contains a waker, which must be dropped after the lock is released.
            let entry = self.shared.with(|kernel| kernel.timers.cancel(timer));
            drop(entry);
        }
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.host.lives(this.incarnation) {
            return Poll::Pending;
        }
        if this.shared.now() >= this.deadline {
            this.cancel();
            return Poll::Ready(());
        }
        if this.deadline == Time::FAR {
            return Poll::Pending;
        }
        let (deadline, timer) = (this.deadline, this.timer);
        this.timer = this.shared.with(|kernel| {
            if let Some(TimedEvent::Wake(waker)) = timer.and_then(|key| kernel.timers.get_mut(key))
            {
                if !waker.will_wake(cx.waker()) {
                    kernel
                        .discards
                        .push(std::mem::replace(waker, cx.waker().clone()));
                }
                return timer;
            }
            Some(
                kernel
                    .timers
                    .insert(deadline, TimedEvent::Wake(cx.waker().clone())),
            )
        });
        Poll::Pending
    }
}

impl SleepFuture for SimSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Time) {
        self.cancel();
        self.deadline = deadline;
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Waits until the host's CPU has completed a unit of work. Pauses do not count.
pub(crate) struct Spend {
    sleep: Pin<Box<SimSleep>>,
    /// The completion time on the CPU's clock, which stops during pauses.
    done_at: Time,
}

impl Spend {
    pub(crate) fn new(sleep: SimSleep, done_at: Time) -> Spend {
        Spend {
            sleep: Box::pin(sleep),
            done_at,
        }
    }
}

impl Future for Spend {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let this = &mut *self;
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let shared = Arc::clone(&this.sleep.shared);
            let host = this.sleep.host.id;
            let left = shared.with(|kernel| {
                let clock = kernel.host(host).cpu.clock(kernel.now);
                this.done_at.since(clock)
            });
            if left.is_zero() {
                return Poll::Ready(());
            }
            // The host was paused in the meantime, so work remains.
            let later = shared.now() + left;
            this.sleep.as_mut().reset(later);
        }
    }
}
