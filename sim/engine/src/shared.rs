//! What every handle into a run shares: the clock, the kernel behind its lock, the ready queue and the event sink.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shakedown_env::Time;

use crate::kernel::Kernel;
use crate::ready::ReadyQueue;
use crate::sink::EventSink;

pub(crate) struct Shared {
    /// The kernel's clock once more, readable without the lock.
    now: AtomicU64,
    kernel: Mutex<Kernel>,
    pub(crate) ready: Arc<ReadyQueue>,
    pub(crate) sink: EventSink,
    /// A host has crashed or resumed: the executor is to look at its tasks before the next poll.
    pub(crate) attention: AtomicBool,
    pub(crate) polls: AtomicU64,
    pub(crate) tasks: AtomicU64,
}

impl Shared {
    pub(crate) fn new(kernel: Kernel) -> Arc<Shared> {
        Arc::new(Shared {
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

    /// Works on the kernel under its lock. Wakers are foreign code: those that the work made ready or replaced are called
    /// and dropped after the lock is free again.
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

    /// Moves on to the next instant at which something happens, if that is not after `end`, and lets it all happen.
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

    /// Asks the executor to look at its tasks.
    pub(crate) fn call_attention(&self) {
        self.attention.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Kernel> {
        // A panic ends the run; what is dropped after it must still find the kernel.
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of moving on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Something happened; `moved` when at a later instant than before.
    Fired { moved: bool },
    /// The next thing happens after the end asked for.
    Beyond,
    /// Nothing is left to happen.
    Idle,
}
