//! Load on a real server: the simulator's schedule, sent by lanes of one connection each.
//!
//! Open loop: a request is due when the [`Schedule`] says so, whatever became of those before it. A lane is a task with a
//! connection of its own; a due request takes the lane that came free last, or a new one. Where lanes are bounded, it waits
//! in line for the first that is free, and the wait counts: latency runs from the intended time, and so does the timeout.
//! Past the in-flight cap (those in line are in flight) a request is *dropped* and counted.
//!
//! scheduled = sent + dropped, and sent = ok + errors + timeouts: each scheduled request ends exactly once.

mod aim;
mod crew;
mod lane;
mod tally;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::{Env, Time};
use shakedown_results::{PartyId, PodId, Record};

pub use aim::{Aim, AimError};
use crew::Crew;
pub use tally::{Tally, Trouble};

use crate::Schedule;

/// A dispatcher that is late sends so many requests before it lets other tasks run.
const BURST: u32 = 64;

/// From the call to 0 s: what is set up first is not late for it.
const LEAD: Duration = Duration::from_millis(20);

/// How a load is sent.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The load, as its records name it.
    pub party: PartyId,
    /// Its client host, as its records name it.
    pub pod: PodId,
    /// From when a request is due to when it is given up.
    pub timeout: Duration,
    /// Statuses that count as success: inclusive ranges.
    pub ok: Vec<(u16, u16)>,
    /// Past so many in flight a request is dropped.
    pub in_flight: u64,
    /// The most connections at once; `None`: as many as are in flight.
    pub connections: Option<NonZeroU32>,
    /// Lateness counts for requests that are due from here on.
    pub warm_up: Duration,
}

/// Takes the records of a load, in order of time.
pub type Sink = Rc<dyn Fn(&Record)>;

/// Sends all that the schedule has to `address`, each when it is due, and returns when the last has ended: by its timeout at
/// the latest.
pub async fn fire(
    env: &Env,
    schedule: Schedule,
    aim: Aim,
    address: SocketAddr,
    terms: Terms,
    sink: Sink,
) -> Tally {
    let zero = env.now() + LEAD;
    let crew = Rc::new(Crew::new(env.clone(), aim, address, terms, zero, sink));
    let mut sleep = env.sleep_until(zero);
    let mut burst = 0;
    for arrival in schedule {
        let due = zero + arrival.at;
        loop {
            let now = env.now();
            let next = crew.expire(now).map_or(due, |expiry| expiry.min(due));
            if due <= now {
                break;
            }
            sleep.as_mut().reset(next);
            sleep.as_mut().await;
            burst = 0;
        }
        if burst >= BURST {
            pass().await;
            burst = 0;
        }
        burst += 1;
        crew.dispatch(arrival, due);
    }
    poll_fn(|cx| {
        // Whoever waits in line may run out of time while every lane is busy.
        while let Some(expiry) = crew.expire(env.now()) {
            sleep.as_mut().reset(expiry);
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        if crew.in_flight() == 0 {
            return Poll::Ready(());
        }
        crew.watch(cx);
        Poll::Pending
    })
    .await;
    crew.close()
}

/// Lets every other task that is ready run once.
async fn pass() {
    let mut passed = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Signed nanoseconds from 0 s.
fn nanos_from(zero: Time, at: Time) -> i64 {
    let span = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    span(at.since(zero)) - span(zero.since(at))
}

#[cfg(test)]
mod tests;
