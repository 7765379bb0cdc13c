//! Load on a real server: the simulator's schedule, sent by workers with one connection each.
//!
//! Open loop: a request is due when the [`Schedule`] says so, regardless of earlier requests. A worker is a task that
//! processes one request at a time: over HTTP/1.1 on its own connection, over HTTP/2 on a stream of the connection that
//! has the fewest. A due request is assigned to an idle worker. If all are busy it waits in a queue, and the wait
//! counts: latency starts at the intended time, and the timeout when the dispatcher takes the request from the
//! schedule. Above the in-flight limit, which includes queued requests, a request is *dropped* and counted.
//!
//! Each scheduled request ends exactly once. It is sent (its head was written), unsent (it ended before that) or
//! dropped: scheduled = sent + unsent + dropped = ok + errors + timeouts + dropped.
//!
//! A generator must not measure itself, so [`GeneratorLatency`] records the part of each latency that it caused.

mod failure;
mod generator;
mod grow;
mod options;
mod pools;
mod request;
mod tally;
mod template;
mod worker;
mod workers;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::{Env, Sleep, Time, step_aside};

pub use failure::{Cause, FailureKind, FailurePhase};
pub use generator::{GeneratorLatency, LatencyPair};
pub use options::{LoadTarget, RecordSink, SendOptions, Stop};
pub use tally::Tally;
pub use template::{RequestTemplate, RequestTemplateError, Server};
use workers::WorkerPool;

use crate::Schedule;

/// The number of requests that a late dispatcher sends before it lets other tasks run.
const BURST: u32 = 64;

/// The minimum sleep of the dispatcher of an evenly spaced load. Programming a timer costs as much as sending a
/// request, so requests that become due meanwhile are sent together, late by this at most. Noticeable above 20,000
/// requests a second. Does not apply to random gaps, which would no longer be exponential.
const GRAIN: Duration = Duration::from_micros(50);

/// The minimum wait before a request from which the dispatcher always sleeps precisely. A timer's delay would be most
/// of the latency of a fast server, and polling the clock costs at most an eighth of the processor.
const ROOM: Duration = Duration::from_micros(500);

/// The longest sleep of the dispatcher before it checks whether the load must stop early.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The delay of 0 s from now, so that the setup does not make the first requests late.
pub const LEAD: Duration = Duration::from_millis(20);

/// Sends all requests of the schedule, each when it is due, counted from `zero`. Returns when the last request has
/// ended, at the latest by its timeout. Several loads with the same `zero` share a sink.
pub async fn fire(
    env: &Env,
    zero: Time,
    schedule: Schedule,
    target: LoadTarget,
    options: SendOptions,
    stop: Stop,
    sink: RecordSink,
) -> Tally {
    let (precise, end) = (options.precise, zero + schedule.end());
    let mut watching = generator::watch(env, zero);
    let lag = watching.lag();
    let workers = Rc::new(WorkerPool::new(
        env.clone(),
        target,
        options,
        zero,
        lag,
        sink,
    ));
    workers.open_first();
    let _growing = env.spawn_owned("load-grow", grow::run(Rc::clone(&workers)));
    let mut pace = Pacer {
        sleep: env.sleep_until(zero),
        exactly: env.sleep_precisely_until(zero),
        precise,
    };
    let mut burst = 0;
    for arrival in schedule {
        let due = zero + arrival.at;
        if pace.wait(&workers, due, &stop).await {
            burst = 0;
        }
        if stop.is_asked() {
            break;
        }
        if burst >= BURST {
            step_aside().await;
            burst = 0;
            workers.expire(env.now());
        }
        burst += 1;
        workers.dispatch(arrival, due, env.now());
    }
    // The last request is due before the load's end, but the loop is measured until that end.
    pace.wait(&workers, end, &stop).await;
    let now = env.now();
    let cut = (stop.is_asked() && now < end).then(|| now.since(zero));
    watching.sent(env);
    let Pacer { mut sleep, .. } = pace;
    poll_fn(|cx| {
        // Queued requests may time out while every worker is busy.
        while let Some(expiry) = workers.expire(env.now()) {
            sleep.as_mut().reset(expiry);
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        if workers.in_flight() == 0 {
            return Poll::Ready(());
        }
        workers.watch(cx);
        Poll::Pending
    })
    .await;
    let mut tally = workers.close();
    tally.cut = cut;
    tally.own.measured(watching.end());
    tally
}

/// The timer of the dispatcher.
struct Pacer {
    sleep: Sleep,
    exactly: Sleep,
    /// True if gaps must not be rounded, however short.
    precise: bool,
}

impl Pacer {
    /// Waits until a time, or until the load must stop, and meanwhile ends queued requests that have timed out. Returns
    /// true if it had to wait.
    async fn wait(&mut self, workers: &WorkerPool, until: Time, stop: &Stop) -> bool {
        let mut waited = false;
        loop {
            let now = workers.env().now();
            if until <= now || stop.is_asked() {
                return waited;
            }
            waited = true;
            let before = workers
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

#[cfg(test)]
mod tests;
