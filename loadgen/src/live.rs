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

use shakedown_env::{Env, Time, step_aside};
use shakedown_results::{PartyId, PodId, Record};
use shakedown_scenarios::story::Success;
use shakedown_wire::TlsClient;

pub use aim::{Aim, AimError, Server};
use crew::Crew;
pub use tally::{Tally, Trouble};

use crate::Schedule;

/// A dispatcher that is late sends so many requests before it lets other tasks run.
const BURST: u32 = 64;

/// The dispatcher never sleeps for less: programming a timer costs as much as sending a request, and what falls due meanwhile
/// is sent together, late by this at most. It shows above 20,000 requests a second.
const GRAIN: Duration = Duration::from_micros(50);

/// How far ahead 0 s is set: what is set up first is not late for it.
pub const LEAD: Duration = Duration::from_millis(20);

/// Where a load goes.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The server's address.
    pub address: SocketAddr,
    /// How it is spoken to where it speaks TLS.
    pub tls: Option<TlsClient>,
    /// What each entry of the load's mix asks for, in order; never empty.
    pub aims: Vec<Aim>,
}

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
    pub ok: Success,
    /// Past so many in flight a request is dropped.
    pub in_flight: u64,
    /// Speaks HTTP/2 with prior knowledge, over TLS by ALPN: requests share connections.
    pub http2: bool,
    /// The most connections at once; `None`: as many as are in flight, or, over HTTP/2, as their streams need.
    pub connections: Option<NonZeroU32>,
    /// Whether a connection serves more than one request.
    pub reuse: bool,
    /// Lateness counts for requests that are due from here on.
    pub warm_up: Duration,
}

/// Takes the records of a load, in order of time.
pub type Sink = Rc<dyn Fn(&Record)>;

/// Sends all that the schedule has, each when it is due from `zero` on, and returns when the last has ended: by its timeout
/// at the latest. Several loads of one `zero` share a sink.
pub async fn fire(
    env: &Env,
    zero: Time,
    schedule: Schedule,
    goal: Goal,
    terms: Terms,
    sink: Sink,
) -> Tally {
    let crew = Rc::new(Crew::new(env.clone(), goal, terms, zero, sink));
    let mut sleep = env.sleep_until(zero);
    let mut burst = 0;
    for arrival in schedule {
        let due = zero + arrival.at;
        let mut now = env.now();
        while due > now {
            let next = crew.expire(now).map_or(due, |expiry| expiry.min(due));
            sleep.as_mut().reset(next.max(now + GRAIN));
            sleep.as_mut().await;
            burst = 0;
            now = env.now();
        }
        if burst >= BURST {
            step_aside().await;
            burst = 0;
            now = env.now();
            crew.expire(now);
        }
        burst += 1;
        crew.dispatch(arrival, due, now);
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

/// Signed nanoseconds from 0 s.
fn nanos_from(zero: Time, at: Time) -> i64 {
    let span = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    span(at.since(zero)) - span(zero.since(at))
}

#[cfg(test)]
mod tests;
