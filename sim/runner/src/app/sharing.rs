//! Processor sharing: the work in progress shares the cores evenly, and each job uses at most one core.
//!
//! The computation is exact, in virtual time. One clock advances at the rate at which each job is served, and
//! a job ends when the clock has advanced by its work, so a change costs O(log n) in the number of jobs. The
//! clock counts 2^-32 ns. A job ends at most that much early, at the first whole nanosecond after. All times
//! are CPU times of the pod, so a pause suspends the jobs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shakedown_env::{Env, Time};

use super::meter::Meter;

/// The clock's units per nanosecond, as a power of two.
const PARTS: u32 = 32;

#[derive(Debug)]
pub(crate) struct CoreSharing {
    env: Env,
    cores: u32,
    meter: Meter,
    state: RefCell<SharingState>,
    /// Waker of the task that ends jobs.
    driver: RefCell<Option<Waker>>,
}

#[derive(Debug, Default)]
struct SharingState {
    /// Jobs by the virtual time at which they end, then by arrival.
    jobs: BTreeMap<(u128, u64), Rc<CpuJob>>,
    clock: u128,
    /// CPU time of the last update of `clock`.
    at: Time,
    arrivals: u64,
}

#[derive(Debug, Default)]
struct CpuJob {
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl CoreSharing {
    pub(crate) fn new(env: Env, cores: u32, meter: Meter) -> Rc<CoreSharing> {
        let (state, driver) = (RefCell::default(), RefCell::default());
        Rc::new(CoreSharing {
            env,
            cores,
            meter,
            state,
            driver,
        })
    }

    /// Adds a job. The returned future completes when the job ends.
    pub(crate) fn work(self: &Rc<CoreSharing>, span: Duration) -> JobGuard {
        let mut state = self.state.borrow_mut();
        self.advance(&mut state);
        let work = u128::from(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        let key = (state.clock + (work << PARTS), state.arrivals);
        state.arrivals += 1;
        let job = Rc::new(CpuJob::default());
        state.jobs.insert(key, Rc::clone(&job));
        drop(state);
        self.wake_driver();
        JobGuard {
            sharing: Rc::clone(self),
            key,
            job,
        }
    }

    /// Ends jobs when they are due. Runs for the lifetime of the app.
    pub(crate) async fn drive(self: Rc<CoreSharing>) {
        let mut sleep = self.env.sleep_until(Time::FAR);
        poll_fn(|cx| {
            *self.driver.borrow_mut() = Some(cx.waker().clone());
            loop {
                let next = self.end_due();
                sleep.as_mut().reset(next.unwrap_or(Time::FAR));
                // The time of the next end has already passed: repeat.
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::<()>::Pending;
                }
            }
        })
        .await;
    }

    /// Ends the jobs that are due now, and returns the time of the next end.
    fn end_due(&self) -> Option<Time> {
        let mut state = self.state.borrow_mut();
        self.advance(&mut state);
        let clock = state.clock;
        while let Some(entry) = state.jobs.first_entry() {
            if entry.key().0 > clock {
                break;
            }
            entry.remove().end();
        }
        let next = state.next_end(self.cores)?;
        let now = self.env.now();
        Some(now + next.since(self.meter.cpu().at(now)))
    }

    /// Advances the clock. Must be called before the number of jobs changes.
    fn advance(&self, state: &mut SharingState) {
        let now = self.env.now();
        let jobs = u32::try_from(state.jobs.len()).unwrap_or(u32::MAX);
        self.meter.note(now, jobs.min(self.cores));
        state.advance(self.meter.cpu().at(now), self.cores);
    }

    fn wake_driver(&self) {
        if let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }
}

impl SharingState {
    fn advance(&mut self, now: Time, cores: u32) {
        let span = now.since(self.at).as_nanos() << PARTS;
        let jobs = self.jobs.len() as u128;
        let cores = u128::from(cores);
        self.clock += if jobs > cores {
            span * cores / jobs
        } else {
            span
        };
        self.at = now;
    }

    fn next_end(&self, cores: u32) -> Option<Time> {
        let ((end, _), _) = self.jobs.first_key_value()?;
        let (left, jobs, cores) = (end - self.clock, self.jobs.len() as u128, u128::from(cores));
        let parts = if jobs > cores {
            (left * jobs).div_ceil(cores)
        } else {
            left
        };
        let nanos = parts.div_ceil(1 << PARTS);
        Some(self.at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl CpuJob {
    fn end(&self) {
        self.over.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A job in progress. Dropping it removes it from the cores.
pub(crate) struct JobGuard {
    sharing: Rc<CoreSharing>,
    key: (u128, u64),
    job: Rc<CpuJob>,
}

impl Future for JobGuard {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.job.over.get() {
            return Poll::Ready(());
        }
        *self.job.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        if self.job.over.get() {
            return;
        }
        let mut state = self.sharing.state.borrow_mut();
        self.sharing.advance(&mut state);
        state.jobs.remove(&self.key);
        drop(state);
        self.sharing.wake_driver();
    }
}

#[cfg(test)]
mod tests;
