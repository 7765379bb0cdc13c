//! An attempt of a call on the wire, and hedges of a slow one.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use http::header::HOST;
use http::{HeaderValue, Request};
use shakedown_env::Time;
use shakedown_results::{Answer, Event, Outcome};
use shakedown_scenarios::scenario::{AppHedge, Protocol};
use shakedown_types::ResponseFlags;
use shakedown_wire::Body;

use super::{CALL_HEADER, CANCELLED, CallSpec, CallingHost};
use crate::Exchange;
use crate::message::{speak_grpc, write_timeout};

impl CallingHost {
    /// Sends an attempt and waits until its timeout or the call's deadline. Dropping the future cancels the attempt and
    /// records the cancellation.
    pub(super) async fn attempt(
        &self,
        spec: CallSpec<'_>,
        call: &HeaderValue,
        number: u16,
        hedge: bool,
        mut request: Request<Body>,
    ) -> Exchange {
        let headers = request.headers_mut();
        headers.insert(HOST, spec.target.authority.clone());
        headers.insert(CALL_HEADER, call.clone());
        let now = self.env.now();
        let timeout = spec.timeout.map(|timeout| now + timeout);
        let bound = [timeout, spec.deadline].into_iter().flatten().min();
        let protocol = spec.target.protocol;
        if protocol == Protocol::Grpc {
            speak_grpc(headers);
        }
        if let Some(bound) = bound
            && (spec.sends_timeout || protocol == Protocol::Grpc)
        {
            write_timeout(headers, protocol, bound.since(now));
        }
        let this = AttemptGuard {
            caller: self,
            spec,
            number,
            hedge,
            start: now,
            upstream: Cell::new(None),
        };
        let exchange = self
            .transport
            .exchange(spec.target, request, &this.upstream);
        let end = bound.map_or(spec.end, |bound| bound.min(spec.end));
        let exchange = self.env.deadline(end, exchange).await;
        let mut exchange = exchange.unwrap_or(Exchange::TIMEOUT);
        if !matches!(exchange.outcome.answer, Answer::Timeout)
            && exchange.flags == ResponseFlags::empty()
        {
            let Outcome { status, grpc, .. } = exchange.outcome;
            exchange.outcome.answer = if status != 0 && spec.ok.holds(status, grpc) {
                Answer::Ok
            } else {
                Answer::Error
            };
        }
        this.record(exchange);
        exchange
    }

    /// Sends an attempt, and hedges while none has a response. The first response is used, regardless of its status,
    /// and the other attempts are cancelled. An attempt that fails without a response is ignored while others are in
    /// progress.
    ///
    /// `send` sends an attempt (true: a hedge). `sent` is called before each hedge.
    pub(super) async fn hedged<F: Future<Output = Exchange>>(
        &self,
        hedge: AppHedge,
        deadline: Time,
        send: impl Fn(bool) -> F,
        sent: impl Fn(),
    ) -> Exchange {
        let mut first = pin!(Some(send(false)));
        // Allocated on the first hedge: most calls finish before it.
        let mut others: Vec<Pin<Box<F>>> = Vec::new();
        let mut left = hedge.times;
        let mut next = self.env.now() + hedge.after;
        loop {
            let answer = poll_fn(|cx| {
                let mut last = None;
                if let Some(open) = first.as_mut().as_pin_mut()
                    && let Poll::Ready(exchange) = open.poll(cx)
                {
                    first.set(None);
                    last = Some(exchange);
                }
                let mut at = 0;
                while !last.is_some_and(is_answer) && at < others.len() {
                    if let Poll::Ready(exchange) = others[at].as_mut().poll(cx) {
                        drop(others.remove(at));
                        last = Some(exchange);
                    } else {
                        at += 1;
                    }
                }
                match last {
                    Some(end) if is_answer(end) || (first.is_none() && others.is_empty()) => {
                        Poll::Ready(end)
                    }
                    _ => Poll::Pending,
                }
            });
            if left == 0 || next >= deadline {
                return answer.await;
            }
            if let Ok(exchange) = self.env.deadline(next, answer).await {
                return exchange;
            }
            left -= 1;
            next = self.env.now() + hedge.after;
            sent();
            others.push(Box::pin(send(true)));
        }
    }
}

/// An attempt in progress. Records its end exactly once, also if it is dropped.
struct AttemptGuard<'a> {
    caller: &'a CallingHost,
    spec: CallSpec<'a>,
    number: u16,
    hedge: bool,
    start: Time,
    /// The replica, if known. Unknown behind a sidecar, which records its attempts itself.
    upstream: Cell<Option<SocketAddr>>,
}

impl AttemptGuard<'_> {
    fn record(&self, exchange: Exchange) {
        let Some(upstream) = self.upstream.take() else {
            return;
        };
        let (caller, spec) = (self.caller, self.spec);
        let recorder = &caller.recorder;
        recorder.record(
            caller.env.now(),
            Event::Attempt {
                root: spec.root,
                from: caller.pod,
                to: recorder.pod_at(upstream),
                to_participant: spec.to,
                start_ns: recorder.nanos(self.start),
                outcome: exchange.outcome,
                flags: exchange.flags,
                number: self.number,
                hedge: self.hedge,
                plaintext: true,
            },
        );
    }
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        // A dropped attempt of a hedged call has lost to another attempt.
        let flags = match self.spec.hedge {
            Some(_) => ResponseFlags::LR,
            None => ResponseFlags::empty(),
        };
        self.record(Exchange {
            outcome: CANCELLED,
            flags,
        });
    }
}

/// Returns true if the other side has sent a complete response.
fn is_answer(exchange: Exchange) -> bool {
    let Outcome { status, answer, .. } = exchange.outcome;
    status != 0 && answer != Answer::Timeout && exchange.flags == ResponseFlags::empty()
}
