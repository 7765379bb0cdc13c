//! Load on a real server: the simulator's schedule, sent by lanes of one connection each.
//!
//! Open loop: a request is due when the [`Schedule`] says so, whatever became of those before it. A lane is a task that has
//! one request at a time: over HTTP/1.1 with a connection of its own, over HTTP/2 on a stream of the connection that has the
//! fewest. A due request takes an idle lane; where there is none it waits in line for the first that is free, and the wait
//! counts: latency runs from the intended time, and so does the timeout. Past the in-flight cap (those in line are in flight)
//! a request is *dropped* and counted.
//!
//! Each scheduled request ends exactly once, and is sent (its head was written), unsent (it ended before that) or dropped:
//! scheduled = sent + unsent + dropped = ok + errors + timeouts + dropped.
//!
//! A generator that measures must not measure itself: [`Own`] holds how much of each latency was its own doing.

mod aim;
mod crew;
mod failure;
mod grow;
mod lane;
mod links;
mod own;
mod tally;

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::{Env, Sleep, Time, step_aside};
use shakedown_results::{PartyId, PodId, Record};
use shakedown_scenarios::story::Success;
use shakedown_wire::TlsClient;

pub use aim::{Aim, AimError, Server};
use crew::Crew;
pub use failure::{Cause, Failure, Phase};
pub use own::{Own, Pair};
pub use tally::Tally;

use crate::Schedule;

/// The number of requests that a late dispatcher sends before it lets other tasks run.
const BURST: u32 = 64;

/// The dispatcher of an evenly spaced load never sleeps for less: programming a timer costs as much as sending a request, and
/// what falls due meanwhile is sent together, late by this at most. It shows above 20,000 requests a second. One whose gaps
/// are random has no grain: they would not be exponential any more.
const GRAIN: Duration = Duration::from_micros(50);

/// A request that is due so much later or more is waited for precisely, whatever the arrivals: a timer's delay would be most of
/// what a quick server takes, and watching the clock costs an eighth of the processor at most.
const ROOM: Duration = Duration::from_micros(500);

/// The longest that the dispatcher sleeps before it looks whether the load is to be cut short.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The delay of 0 s from now, so that the first requests are not late because of the setup.
pub const LEAD: Duration = Duration::from_millis(20);

/// The target of a load.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The server's address.
    pub address: SocketAddr,
    /// TLS settings, for a server with TLS.
    pub tls: Option<TlsClient>,
    /// The request of each entry of the load's mix, in order; never empty.
    pub aims: Vec<Aim>,
}

/// Options of a load.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The load, as its records name it.
    pub party: PartyId,
    /// The client host, as its records name it.
    pub pod: PodId,
    /// From when a request is due to when it is given up.
    pub timeout: Duration,
    /// Statuses that count as success: inclusive ranges.
    pub ok: Success,
    /// The number of requests in flight beyond which a request is dropped.
    pub in_flight: u64,
    /// Speaks HTTP/2 with prior knowledge, over TLS by ALPN: requests share connections.
    pub http2: bool,
    /// The number of connections that are opened before the first request and over which requests are spread; `None`: a request
    /// that finds none free opens one, over HTTP/2 where no stream is free.
    pub connections: Option<NonZeroU32>,
    /// True if a connection serves more than one request.
    pub reuse: bool,
    /// Requests that are due from here on are counted.
    pub warm_up: Duration,
    /// Gaps are random, and must not be rounded.
    pub precise: bool,
}

/// Asks a load to end early: requests due from then on are not sent, and those in flight are completed. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Rc<Cell<bool>>);

impl Stop {
    /// Asks.
    pub fn ask(&self) {
        self.0.set(true);
    }

    /// Returns true if the load was asked to end.
    pub fn is_asked(&self) -> bool {
        self.0.get()
    }
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
    stop: Stop,
    sink: Sink,
) -> Tally {
    let (precise, end) = (terms.precise, zero + schedule.end());
    let mut watching = own::watch(env, zero);
    let lag = watching.lag();
    let crew = Rc::new(Crew::new(env.clone(), goal, terms, zero, lag, sink));
    crew.open_first();
    let _growing = env.spawn_owned("load-grow", grow::run(Rc::clone(&crew)));
    let mut pace = Pace {
        sleep: env.sleep_until(zero),
        exactly: env.sleep_precisely_until(zero),
        precise,
    };
    let mut burst = 0;
    for arrival in schedule {
        let due = zero + arrival.at;
        if pace.wait(&crew, due, &stop).await {
            burst = 0;
        }
        if stop.is_asked() {
            break;
        }
        if burst >= BURST {
            step_aside().await;
            burst = 0;
            crew.expire(env.now());
        }
        burst += 1;
        crew.dispatch(arrival, due, env.now());
    }
    // The last request is due before the load's end: figures of the loop are of all of that time.
    pace.wait(&crew, end, &stop).await;
    let now = env.now();
    let cut = (stop.is_asked() && now < end).then(|| now.since(zero));
    watching.sent(env);
    let Pace { mut sleep, .. } = pace;
    poll_fn(|cx| {
        // Queued requests may time out while every lane is busy.
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
    let mut tally = crew.close();
    tally.cut = cut;
    tally.own.measured(watching.end());
    tally
}

/// The timer of the dispatcher.
struct Pace {
    sleep: Sleep,
    exactly: Sleep,
    /// Gaps must not be rounded, however short.
    precise: bool,
}

impl Pace {
    /// Waits until a time, or until the load is to stop, and meanwhile ends those in line whose time is up. Tells whether
    /// there was anything to wait for.
    async fn wait(&mut self, crew: &Crew, until: Time, stop: &Stop) -> bool {
        let mut waited = false;
        loop {
            let now = crew.env().now();
            if until <= now || stop.is_asked() {
                return waited;
            }
            waited = true;
            let before = crew
                .expire(now)
                .into_iter()
                .fold(now + STOP_POLL, Time::min);
            if until <= before && (self.precise || until.since(now) >= ROOM) {
                self.exactly.as_mut().reset(until);
                self.exactly.as_mut().await;
            } else {
                let next = until.min(before).max(now + GRAIN);
                self.sleep.as_mut().reset(next);
                self.sleep.as_mut().await;
            }
        }
    }
}

/// Signed nanoseconds from 0 s.
fn nanos_from(zero: Time, at: Time) -> i64 {
    let span = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    span(at.since(zero)) - span(zero.since(at))
}

#[cfg(test)]
mod tests;
