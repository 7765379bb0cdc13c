//! A lane: a task with one connection, and one request at a time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::Request;
use http_body_util::BodyExt as _;
use shakedown_env::{Env, Sleep, Time};
use shakedown_wire::{Body, Pool};

use super::crew::{Crew, End};
use super::tally::Trouble;

/// Serves its crew until that is closed. The connection opens with the first request, stays, and is replaced when it ends.
pub(super) async fn run(crew: Rc<Crew>, index: usize) {
    let pool = crew.pool();
    let mut guard = Guard(crew.env().sleep_until(Time::ZERO));
    while let Some(due) = poll_fn(|cx| crew.poll_next(index, cx)).await {
        let sent = crew.sent(&due);
        let exchange = exchange(&pool, crew.aim(&due).request());
        let end = guard.bound(crew.env(), due.deadline, exchange).await;
        crew.finish(&due, sent, end.unwrap_or(End::TimedOut));
    }
}

/// Sends a request and reads its answer to the end.
async fn exchange(pool: &Pool, request: Request<Body>) -> End {
    let response = match pool.send(request).await {
        Ok(response) => response,
        Err(error) => return End::Failed(0, Trouble::of(&error)),
    };
    let status = response.status().as_u16();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Err(error) = frame {
            // The status was there, the answer was not.
            let words = std::error::Error::source(&error).map(ToString::to_string);
            let words = words.unwrap_or_else(|| error.to_string());
            return End::Failed(status, Trouble::Broken(words));
        }
    }
    End::Answered(status)
}

/// Bounds one request after another by one timer, which is moved only when it fires before the deadline that then holds:
/// a request that is answered in time moves none.
struct Guard(Sleep);

impl Guard {
    /// `None`: the deadline came first. Deadlines never decrease from one call to the next.
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
