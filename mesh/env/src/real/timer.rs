//! Precise sleeps: one `timerfd` a runtime, armed for the earliest of all deadlines. tokio's own timers round up to whole
//! milliseconds, which would be the largest error of a load generator.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock::Clock;
use crate::Time;
use crate::world::SleepFuture;

/// A deadline, and a number that tells sleeps with one deadline apart and keeps their order.
type Key = (Time, u64);

/// All sleeps of a runtime.
pub(super) struct Timers {
    clock: Clock,
    fd: AsyncFd<OwnedFd>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// The sleeps that are being waited for.
    waiting: BTreeMap<Key, Waker>,
    /// What the timer is armed for.
    armed: Option<Time>,
}

impl Timers {
    /// # Errors
    /// The system gives no more file descriptors.
    pub(super) fn new(clock: Clock) -> io::Result<Timers> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for types that may change their descriptor; an `OwnedFd` does not"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Timers {
            clock,
            fd,
            queue: Mutex::default(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut queue = self.queue();
        queue.next += 1;
        queue.next
    }

    fn wait(&self, key: Key, waker: &Waker) {
        let mut queue = self.queue();
        match queue.waiting.get_mut(&key) {
            Some(old) => old.clone_from(waker),
            None => {
                queue.waiting.insert(key, waker.clone());
                self.arm(&mut queue);
            }
        }
    }

    /// How many sleeps are being waited for.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    /// Forgets a sleep. The timer stays as it is: at worst it fires for nobody, and is armed anew then.
    fn cancel(&self, key: Key) {
        self.queue().waiting.remove(&key);
    }

    /// Sees to it that the timer fires at the earliest deadline, if it does not yet.
    fn arm(&self, queue: &mut Queue) {
        let Some((&(earliest, _), _)) = queue.waiting.first_key_value() else {
            return;
        };
        if queue.armed.is_some_and(|armed| armed <= earliest) {
            return;
        }
        queue.armed = Some(earliest);
        let setting = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: self.clock.system(earliest),
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &setting)
            .expect("a timerfd of our own takes a valid time");
    }

    /// Wakes the sleeps whose time has come.
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

/// The runtime's timer task.
pub(super) async fn drive(timers: Arc<Timers>) {
    loop {
        let Ok(mut ready) = timers.fd.readable().await else {
            // The reactor shuts down, and every task with it.
            return;
        };
        // The count of expiries is not read: the reactor tells of each expiry once, arming anew takes the count back, and the
        // queue knows better than the count does.
        ready.clear_ready();
        timers.fire();
    }
}

/// A sleep of the real world. It joins the queue with its first poll.
pub(super) struct RealSleep {
    timers: Arc<Timers>,
    key: Key,
    queued: bool,
}

impl RealSleep {
    pub(super) fn new(timers: Arc<Timers>, deadline: Time) -> RealSleep {
        let key = (deadline, timers.number());
        RealSleep {
            timers,
            key,
            queued: false,
        }
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
        if self.timers.clock.now() >= self.key.0 {
            self.leave();
            return Poll::Ready(());
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
    }
}

impl Drop for RealSleep {
    fn drop(&mut self) {
        self.leave();
    }
}
