//! The state shared by all handles of a run: the clock, the kernel behind its lock, the ready queue and the event sink.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shakedown_env::Time;

use crate::kernel::Kernel;
use crate::ready::ReadyQueue;
use crate::sink::EventSink;

pub(crate) struct SimShared {
    /// A copy of the kernel's clock, ns, readable without the lock.
    now: AtomicU64,
    kernel: Mutex<Kernel>,
    pub(crate) ready: Arc<ReadyQueue>,
    pub(crate) sink: EventSink,
    /// Set when a host has crashed or resumed. The executor must then check its tasks before the next poll.
    pub(crate) attention: AtomicBool,
    pub(crate) polls: AtomicU64,
    pub(crate) tasks: AtomicU64,
}

impl SimShared {
    pub(crate) fn new(kernel: Kernel) -> Arc<SimShared> {
        Arc::new(SimShared {
            now: AtomicU64::new(0),
            kernel: Mutex::new(kernel),
            ready: Arc::default(),
            sink: EventSink::default(),
            attention: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            tasks: AtomicU64::new(0),
        })
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_nanos(self.now.load(Ordering::Relaxed))
    }

    /// Calls `work` with the kernel locked. Wakers to be woken or dropped are collected and processed after the lock is
    /// released, because wakers are foreign code.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Kernel) -> R) -> R {
        let mut kernel = self.lock();
        let result = work(&mut kernel);
        if kernel.wakes.is_empty() && kernel.discards.is_empty() {
            return result;
        }
        let wakes = std::mem::take(&mut kernel.wakes);
        let discards = std::mem::take(&mut kernel.discards);
        drop(kernel);
        for waker in wakes {
            waker.wake();
        }
        drop(discards);
        result
    }

    /// Advances time to the next event, if it is not after `end`, and processes all events of that instant.
    pub(crate) fn advance(&self, end: Time) -> Advance {
        self.with(|kernel| match kernel.timers.next_time() {
            None => Advance::Idle,
            Some(at) if at > end => Advance::Beyond,
            Some(at) => {
                let moved = at > kernel.now;
                self.set_now(kernel, at.max(kernel.now));
                kernel.fire_due();
                Advance::Fired { moved }
            }
        })
    }

    pub(crate) fn set_now(&self, kernel: &mut Kernel, now: Time) {
        kernel.now = now;
        self.now.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Makes the executor check its tasks before the next poll.
    pub(crate) fn call_attention(&self) {
        self.attention.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Kernel> {
        // A panic ends the run, but destructors that run afterwards still need the kernel.
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of [`SimShared::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Events were processed. `moved` is true if time advanced.
    Fired { moved: bool },
    /// The next event is after `end`.
    Beyond,
    /// No event is scheduled.
    Idle,
}
