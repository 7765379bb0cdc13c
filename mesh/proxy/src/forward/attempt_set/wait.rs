//! Waiting for the next event of a request: an attempt's result, its own body, or a timeout.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};

use http::Response;
use shakedown_env::Time;
use shakedown_wire::ResponseBody;

use super::{AttemptSet, AttemptSetEvent, BODY_TIMEOUT};
use crate::forward::attempt_slots::AttemptSlots;
use crate::outlier::AttemptOutcome;
use crate::reusable_timer::ReusableTimer;
use crate::send::AttemptResult;

impl AttemptSet<'_> {
    /// Waits for the first event. A response is stored in `landed`. Attempts are polled before timers, so that a
    /// response at the deadline counts. The route's timer is checked before those of attempts, because it ends all of
    /// them.
    pub(in crate::forward) async fn next<F: Future<Output = AttemptResult>>(
        &mut self,
        slots: &mut AttemptSlots<'_, '_, F>,
        alarm: &mut ReusableTimer,
        landed: &mut Option<Response<ResponseBody>>,
    ) -> AttemptSetEvent {
        poll_fn(|cx| {
            self.poll_body(cx);
            if let Poll::Ready(happened) = self.poll_tries(slots, landed, cx) {
                return Poll::Ready(happened);
            }
            let Some((at, happened)) = self.next_timer() else {
                return Poll::Pending;
            };
            alarm.poll(at, cx).map(|()| happened)
        })
        .await
    }

    /// Polls the request's body. Its end starts the timeouts that count from there. Until then, arriving data restarts
    /// the idle timeout. Source: Envoy, `Filter::onRequestComplete`.
    fn poll_body(&mut self, cx: &Context<'_>) {
        if self.complete.is_some() {
            return;
        }
        let now = self.shared.env.now();
        if self.outgoing.poll_complete(cx).is_ready() {
            self.complete = Some(now);
            self.record.receive();
            self.deadline = self.bounds.route.map(|span| now + span);
            self.idle_at = self.bounds.idle.map(|span| now + span);
            for open in self.open.iter_mut().filter(|open| open.connected) {
                open.begin(&self.bounds, now);
            }
        } else if self.arrived != self.outgoing.arrived() {
            self.arrived = self.outgoing.arrived();
            self.idle_at = Some(now + self.bounds.idle.unwrap_or(BODY_TIMEOUT));
        }
    }

    fn poll_tries<F: Future<Output = AttemptResult>>(
        &mut self,
        slots: &mut AttemptSlots<'_, '_, F>,
        landed: &mut Option<Response<ResponseBody>>,
        cx: &mut Context<'_>,
    ) -> Poll<AttemptSetEvent> {
        for index in 0..self.open.len() {
            let number = self.open[index].number;
            let polled = slots.poll(number, cx);
            let connected = slots.is_connected(number);
            if polled.is_ready() {
                slots.stop(number);
            }
            if connected && !self.open[index].connected {
                self.connected(index);
            }
            if let Poll::Ready(sent) = polled {
                let open = self.open.remove(index);
                return Poll::Ready(match sent {
                    AttemptResult::Response(response) => {
                        *landed = Some(response);
                        AttemptSetEvent::Answered(open)
                    }
                    AttemptResult::Reset { reason, on_wire } => AttemptSetEvent::Reset {
                        open,
                        reason,
                        on_wire,
                    },
                    AttemptResult::CallerGone { malformed } => {
                        AttemptSetEvent::CallerGone { number, malformed }
                    }
                });
            }
        }
        Poll::Pending
    }

    /// Notes that an attempt has its connection, and starts its timeouts if the request is complete. Source: Envoy,
    /// `UpstreamRequest::onPoolReady`.
    fn connected(&mut self, index: usize) {
        let now = self.shared.env.now();
        let open = &mut self.open[index];
        open.connected = true;
        self.record.attempt_connected(open.number, now);
        if self.complete.is_some() || self.outgoing.awaits_answer() {
            open.begin(&self.bounds, now);
        }
        self.plan
            .upstream
            .observe(open.host.health(), AttemptOutcome::Connected);
    }

    /// The earliest timer. Of timers at the same time, the first listed here wins.
    fn next_timer(&self) -> Option<(Time, AttemptSetEvent)> {
        let mut first: Option<(Time, AttemptSetEvent)> = None;
        let mut consider = |at: Option<Time>, happened: AttemptSetEvent| {
            if let Some(at) = at
                && first.as_ref().is_none_or(|(earliest, _)| at < *earliest)
            {
                first = Some((at, happened));
            }
        };
        consider(self.deadline, AttemptSetEvent::RouteTimeout);
        let incomplete = self.plan.complete_by.filter(|_| self.complete.is_none());
        consider(incomplete, AttemptSetEvent::Incomplete);
        consider(self.idle_at, AttemptSetEvent::Idle);
        for open in &self.open {
            let number = open.number;
            let timeout = |idle| AttemptSetEvent::TryTimeout { number, idle };
            consider(open.timeout_at, timeout(false));
            consider(open.idle_at, timeout(true));
        }
        consider(self.retry_at, AttemptSetEvent::RetryDue);
        if !self.open.is_empty() {
            consider(self.hedges.due(), AttemptSetEvent::HedgeDue);
        }
        first
    }
}
