//! Precise sleeps: one `timerfd` per runtime, armed for the earliest deadline. tokio's own timers round up to whole
//! milliseconds, which would be the largest error of a load generator.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock::Clock;
use crate::Time;
use crate::world::SleepFuture;

/// The time before its deadline at which a precise sleep is woken. It polls the clock for the rest, because the timer's
/// interrupt and the wake-up of the task take a varying time of a few tens of microseconds.
const SPIN: Duration = Duration::from_micros(60);
/// If two consecutive polls of the clock are less than this apart, only the loop itself ran between them.
const TURN: Duration = Duration::from_micros(4);

/// A deadline, and a number that distinguishes sleeps with equal deadlines and keeps their order.
type SleepKey = (Time, u64);

/// All sleeps of a runtime.
pub(super) struct SleepTimers {
    clock: Clock,
    fd: AsyncFd<Descriptor>,
    queue: Mutex<SleepQueue>,
    /// The processor time that precise sleeps have used, ns.
    spun: AtomicU64,
}

#[derive(Default)]
struct SleepQueue {
    next: u64,
    /// Sleeps that have been polled and are pending.
    waiting: BTreeMap<SleepKey, Waker>,
    /// The deadline that the timer is armed for.
    armed: Option<Time>,
}

/// The timer, as tokio's `AsyncFd` requires it.
struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl SleepTimers {
    /// # Errors
    /// The process has no file descriptors left.
    pub(super) fn new(clock: Clock) -> io::Result<SleepTimers> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let fd = Descriptor(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for types that may change their descriptor; a `TimerFd` does not"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(SleepTimers {
            clock,
            fd,
            queue: Mutex::default(),
            spun: AtomicU64::new(0),
        })
    }

    fn queue(&self) -> MutexGuard<'_, SleepQueue> {
        // No code panics while it owns this lock, so a poisoned lock is still consistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut queue = self.queue();
        queue.next += 1;
        queue.next
    }

    fn wait(&self, key: SleepKey, waker: &Waker) {
        let mut queue = self.queue();
        match queue.waiting.get_mut(&key) {
            Some(old) => old.clone_from(waker),
            None => {
                queue.waiting.insert(key, waker.clone());
                self.arm(&mut queue);
            }
        }
    }

    /// The processor time that precise sleeps have used.
    pub(super) fn spun(&self) -> Duration {
        Duration::from_nanos(self.spun.load(Ordering::Relaxed))
    }

    /// The number of pending sleeps.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    /// Removes a sleep. The timer is not re-armed: at worst it fires without a due sleep, and is armed again then.
    fn cancel(&self, key: SleepKey) {
        self.queue().waiting.remove(&key);
    }

    /// Arms the timer for the earliest deadline, unless it already fires by then.
    fn arm(&self, queue: &mut SleepQueue) {
        let Some((&(earliest, _), _)) = queue.waiting.first_key_value() else {
            return;
        };
        if queue.armed.is_some_and(|armed| armed <= earliest) {
            return;
        }
        queue.armed = Some(earliest);
        let at = Expiration::OneShot(self.clock.system(earliest));
        let timer = &self.fd.get_ref().0;
        timer
            .set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            .expect("a timerfd of our own takes a valid time");
    }

    /// Wakes the sleeps whose deadlines have passed.
    fn fire(&self) {
        let mut due = Vec::new();
        {
            let mut queue = self.queue();
            queue.armed = None;
            let now = self.clock.now();
            while let Some(entry) = queue.waiting.first_entry()
                && entry.key().0 <= now
            {
                due.push(entry.remove());
            }
            self.arm(&mut queue);
        }
        due.into_iter().for_each(Waker::wake);
    }
}

pub(super) async fn drive(timers: Arc<SleepTimers>) {
    loop {
        let Ok(mut ready) = timers.fd.readable().await else {
            // The reactor is shutting down, and every task with it.
            return;
        };
        // The expiration count is not read. The reactor reports each expiration once, arming the timer again resets the
        // count, and the queue itself determines which sleeps are due.
        ready.clear_ready();
        timers.fire();
    }
}

/// A sleep of the real backend. The first poll adds it to the queue.
pub(super) struct RealSleep {
    timers: Arc<SleepTimers>,
    key: SleepKey,
    queued: bool,
    /// `Some` for a precise sleep.
    spin: Option<Spin>,
}

/// The state of a precise sleep that polls the clock.
struct Spin {
    deadline: Time,
    /// The time of the last poll of the clock.
    looked: Option<Time>,
}

impl RealSleep {
    pub(super) fn new(timers: Arc<SleepTimers>, deadline: Time) -> RealSleep {
        let key = (deadline, timers.number());
        RealSleep {
            timers,
            key,
            queued: false,
            spin: None,
        }
    }

    /// A sleep that ends as close to its deadline as the loop's other tasks allow.
    pub(super) fn precise(timers: Arc<SleepTimers>, deadline: Time) -> RealSleep {
        let looked = None;
        let mut sleep = RealSleep::new(timers, deadline);
        sleep.spin = Some(Spin { deadline, looked });
        sleep.key.0 = woken_for(deadline);
        sleep
    }

    /// Polls the clock until the deadline of a precise sleep, and yields to every other task in between.
    fn spin(&mut self, now: Time, cx: &Context<'_>) -> Poll<()> {
        let Some(spin) = &mut self.spin else {
            return Poll::Ready(());
        };
        if let Some(looked) = spin.looked.replace(now) {
            let span = now.since(looked);
            if span < TURN {
                let nanos = u64::try_from(span.as_nanos()).unwrap_or(0);
                self.timers.spun.fetch_add(nanos, Ordering::Relaxed);
            }
        }
        if now >= spin.deadline {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.queued) {
            self.timers.cancel(self.key);
        }
    }
}

impl Future for RealSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.timers.clock.now();
        if now >= self.key.0 {
            self.leave();
            return self.spin(now, cx);
        }
        self.queued = true;
        self.timers.wait(self.key, cx.waker());
        Poll::Pending
    }
}

impl SleepFuture for RealSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Time) {
        self.leave();
        self.key.0 = deadline;
        if let Some(spin) = &mut self.spin {
            (spin.deadline, spin.looked) = (deadline, None);
            self.key.0 = woken_for(deadline);
        }
    }
}

impl Drop for RealSleep {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The time at which a precise sleep is woken.
fn woken_for(deadline: Time) -> Time {
    deadline - SPIN
}

/// A future for one poll of the reactor, by a timer that has already expired. The reactor reports it together with
/// everything that was readable before it.
pub(super) struct ReactorTurn {
    timers: Arc<SleepTimers>,
    key: Option<SleepKey>,
}

impl ReactorTurn {
    pub(super) fn new(timers: Arc<SleepTimers>) -> ReactorTurn {
        ReactorTurn { timers, key: None }
    }
}

impl Future for ReactorTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.key {
            None => {
                let key = (self.timers.clock.now(), self.timers.number());
                self.key = Some(key);
                self.timers.wait(key, cx.waker());
                Poll::Pending
            }
            Some(key) if self.timers.queue().waiting.contains_key(&key) => {
                self.timers.wait(key, cx.waker());
                Poll::Pending
            }
            Some(_) => {
                self.key = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for ReactorTurn {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.timers.cancel(key);
        }
    }
}
