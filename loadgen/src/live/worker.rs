//! A worker: a task with one request at a time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::Request;
use http_body_util::BodyExt as _;
use shakedown_env::{Env, Sleep, Time};
use shakedown_wire::{Body, Pool, Trace};

use super::failure::{FailureKind, FailurePhase};
use super::request::{RequestEnd, RequestTimes};
use super::workers::WorkerPool;

/// Processes requests until the load is closed. A worker's own connection is opened first, kept, and replaced when it
/// ends.
pub(super) async fn run(workers: Rc<WorkerPool>, index: usize) {
    let own = match workers.own_pool() {
        None => None,
        Some(pool) => {
            if workers.keeps_connections()
                && let Err(error) = pool.open().await
            {
                return workers.not_opened(index, &FailureKind::of_send(&error, false));
            }
            Some(pool)
        }
    };
    workers.opened();
    let mut guard = Guard(workers.env().sleep_until(Time::ZERO));
    while let Some(due) = poll_fn(|cx| workers.poll_next(index, cx)).await {
        let link = match own {
            Some(_) => None,
            None => workers.link(),
        };
        let pool = own.as_ref().or(link.as_ref().map(|link| &link.pool));
        let pool = pool.expect("a worker has its own pool or a shared one");
        let (trace, status) = (Trace::default(), Cell::new(0));
        let began = workers.begin(&due);
        let exchange = exchange(pool, workers.template(&due).request(), &trace, &status);
        let end = guard.bound(workers.env(), due.deadline, exchange).await;
        let end = end.unwrap_or_else(|| RequestEnd::TimedOut(phase(&trace, status.get())));
        let times = RequestTimes {
            began,
            connected: trace.connected(),
            written: trace.written(),
        };
        workers.finish(&due, Some(times), end);
    }
}

/// Sends a request and reads its response to the end. Stores the status as soon as it is received.
async fn exchange(
    pool: &Pool,
    request: Request<Body>,
    trace: &Trace,
    status: &Cell<u16>,
) -> RequestEnd {
    let response = match pool.send_traced(request, trace).await {
        Ok(response) => response,
        Err(error) => {
            let failure = FailureKind::of_send(&error, trace.written().is_some());
            return RequestEnd::Failed(0, failure);
        }
    };
    status.set(response.status().as_u16());
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Err(error) = frame {
            // The head of the response was received, but its body failed.
            return RequestEnd::Failed(status.get(), FailureKind::of_body(&error));
        }
    }
    RequestEnd::Answered(status.get())
}

/// The phase of a request that timed out.
fn phase(trace: &Trace, status: u16) -> FailurePhase {
    match (trace.connected(), trace.written()) {
        _ if status != 0 => FailurePhase::Body,
        (_, Some(_)) => FailurePhase::Head,
        (Some(_), None) => FailurePhase::Send,
        (None, None) => FailurePhase::Connect,
    }
}

/// Bounds consecutive requests by one timer. The timer is moved only if it fires before the current deadline, so a
/// request that finishes in time moves none.
struct Guard(Sleep);

impl Guard {
    /// Returns `None` if the deadline passes first. Deadlines must not decrease from one call to the next.
    async fn bound<F: Future>(
        &mut self,
        env: &Env,
        deadline: Time,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            while self.0.as_mut().poll(cx).is_ready() {
                if env.now() >= deadline {
                    return Poll::Ready(None);
                }
                self.0.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}
