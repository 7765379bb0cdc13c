//! The attempts of one request: those that are open, and the decision after each event.

mod timeouts;
mod verdict;
mod wait;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use shakedown_env::Time;
use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_wire::{Body, Pool, ResponseBody};
use shakedown_xds::table::RequestView;
use smallvec::SmallVec;

use super::bounds::AttemptTimeouts;
use super::{ForwardPlan, UpstreamResponse, choose_host, grpc};
use crate::breaker::RetryPermit;
use crate::hedge::Hedges;
use crate::outgoing::Outgoing;
use crate::outlier::AttemptOutcome;
use crate::prepare;
use crate::record::{BodyTimeouts, RequestRecord};
use crate::respond::{LocalReply, ResetReason, grpc_status};
use crate::retry::{AttemptFailure, RetryDecision, RetryState};
use crate::shared::Shared;
use crate::state::{PoolKind, UpstreamHost};
use crate::upgrade::is_upgrade;

/// The longest time that a caller may send no data of a body if the configuration sets no bound, because every wait on
/// a peer must end.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// A request and its attempts.
pub(super) struct AttemptSet<'a> {
    shared: &'a Rc<Shared>,
    plan: ForwardPlan<'a>,
    bounds: AttemptTimeouts,
    /// The time at which the request was complete; `None` while its body arrives.
    complete: Option<Time>,
    deadline: Option<Time>,
    idle_at: Option<Time>,
    /// The bytes of the body that had arrived at the last poll.
    arrived: usize,
    /// True if the caller uses gRPC.
    grpc: bool,
    outgoing: &'a mut Outgoing,
    record: &'a mut RequestRecord,
    /// The host of a request that names it itself.
    pub(super) outside: Option<Rc<UpstreamHost>>,
    retries: Option<RetryState<'a>>,
    hedges: Hedges,
    /// The slot of the retry in the circuit breaker, kept until the next retry decision.
    permit: Option<RetryPermit>,
    /// The end of the wait before the scheduled retry.
    retry_at: Option<Time>,
    /// True once a retry has started.
    retried: bool,
    tried: SmallVec<[SocketAddr; 4]>,
    open: SmallVec<[OpenAttempt; 1]>,
}

/// An attempt in progress.
pub(super) struct OpenAttempt {
    number: u32,
    host: Rc<UpstreamHost>,
    started: Time,
    /// True once its connection has been reported to the host's outlier detection.
    connected: bool,
    timeout_at: Option<Time>,
    idle_at: Option<Time>,
    /// True once the attempt has passed a soft timeout and continues.
    timed_out: bool,
    /// True if a hedge was scheduled because of its timeout.
    superseded: bool,
}

/// The next action of the loop.
pub(super) enum NextStep {
    Begin {
        hedge: bool,
    },
    /// Discard the response, if there is any, and wait for other attempts.
    Wait,
    /// Reset this attempt.
    Drop(u32),
    /// Return the response to the caller.
    Win,
}

/// The events of the loop.
pub(super) enum AttemptSetEvent {
    /// Response headers were received.
    Answered(OpenAttempt),
    Reset {
        open: OpenAttempt,
        reason: ResetReason,
        on_wire: bool,
    },
    CallerGone {
        number: u32,
        malformed: bool,
    },
    /// An attempt reached its timeout, or its idle timeout if `idle`.
    TryTimeout {
        number: u32,
        idle: bool,
    },
    RetryDue,
    HedgeDue,
    RouteTimeout,
    Idle,
    /// The request's body has not been received by [`ForwardPlan::complete_by`].
    Incomplete,
}

impl OpenAttempt {
    /// Starts the attempt's timeouts.
    fn begin(&mut self, bounds: &AttemptTimeouts, now: Time) {
        self.timeout_at = bounds.per_try.map(|span| now + span);
        self.idle_at = bounds.per_try_idle.map(|span| now + span);
    }
}

impl<'a> AttemptSet<'a> {
    pub(super) fn new(
        shared: &'a Rc<Shared>,
        plan: ForwardPlan<'a>,
        bounds: AttemptTimeouts,
        outgoing: &'a mut Outgoing,
        record: &'a mut RequestRecord,
    ) -> AttemptSet<'a> {
        let policy = plan.action.retry.as_ref();
        let retries = policy
            .map(|policy| RetryState::new(policy, || view(outgoing)))
            .filter(|_| policy.is_some_and(|policy| !policy.on.is_empty()));
        let idle = bounds.idle.unwrap_or(BODY_TIMEOUT);
        let now = shared.env.now();
        let early = outgoing.awaits_answer();
        AttemptSet {
            shared,
            plan,
            bounds,
            complete: None,
            deadline: bounds.route.filter(|_| early).map(|span| now + span),
            idle_at: Some(now + idle),
            arrived: outgoing.arrived(),
            grpc: outgoing.is_grpc(),
            outgoing,
            record,
            outside: None,
            retries,
            hedges: Hedges::new(plan.hedge),
            permit: None,
            retry_at: None,
            retried: false,
            tried: SmallVec::new(),
            open: SmallVec::new(),
        }
    }

    /// Begins an attempt and passes it to `start`. Without a host, a hedge is skipped and any other attempt rejected.
    pub(super) fn begin(
        &mut self,
        hedge: bool,
        start: impl FnOnce(u32, Pool, Request<Body>),
    ) -> Result<(), LocalReply> {
        let host = match &self.outside {
            Some(host) => Some(Rc::clone(host)),
            None => choose_host(self.plan, &self.tried, hedge),
        };
        let arrival = self.plan.arrival;
        let host = host.filter(|host| !arrival.leads_back(self.shared, host.address()));
        let Some(host) = host else {
            if hedge {
                self.hedges.stop();
                return Ok(());
            }
            self.record.attempt_in_vain();
            return Err(LocalReply::NoHealthyUpstream);
        };
        let now = self.shared.env.now();
        if self.tried.is_empty() {
            if self.hedges.may_follow() {
                self.plan.upstream.count_request(now);
            }
        } else if hedge {
            self.hedges.begin();
        } else {
            self.retried = true;
        }
        self.tried.push(host.address());
        let number = self.record.attempt(Rc::clone(&host), now);
        let kind = PoolKind {
            priority: self.plan.action.priority,
            over_http2: self.outgoing.is_over_http2(),
        };
        let pool = self.plan.upstream.pool_of(&host, kind);
        self.hedges.try_begun(now);
        self.open.push(OpenAttempt {
            number,
            host,
            started: now,
            connected: false,
            timeout_at: None,
            idle_at: None,
            timed_out: false,
            superseded: false,
        });
        start(number, pool, self.request(number, now));
        Ok(())
    }

    /// Builds the request of one attempt.
    fn request(&mut self, number: u32, now: Time) -> Request<Body> {
        let expected = self.bounds.expected(self.elapsed(now));
        let retry = self.retries.as_ref().is_some_and(RetryState::may_follow);
        let keep = retry || self.hedges.may_follow();
        let suppress_envoy_headers = self.plan.suppress_envoy_headers;
        let writer = &self.shared.header_writer;
        self.outgoing.request(keep, &self.shared.heads, |headers| {
            if let Some(expected) = expected {
                if !suppress_envoy_headers {
                    prepare::expected_timeout(headers, expected, writer);
                }
                if self.bounds.set_grpc_timeout {
                    grpc::set_timeout(headers, expected);
                }
            }
            if self.plan.include_attempt_count {
                prepare::attempt_count(headers, number);
            }
        })
    }

    /// The time since the request was complete.
    fn elapsed(&self, now: Time) -> Duration {
        self.complete
            .map_or(Duration::ZERO, |complete| now.since(complete))
    }

    /// Decides on the next step after an event. `landed` is the response of a finished attempt.
    pub(super) fn judge(
        &mut self,
        happened: AttemptSetEvent,
        landed: Option<&Response<ResponseBody>>,
    ) -> Result<NextStep, LocalReply> {
        match happened {
            AttemptSetEvent::Answered(open) => {
                let response = landed.expect("the response has been received");
                Ok(self.answered(&open, response))
            }
            AttemptSetEvent::Reset {
                open,
                reason,
                on_wire,
            } => self.reset(&open, reason, on_wire),
            AttemptSetEvent::CallerGone { number, malformed } => {
                let reject = if malformed {
                    LocalReply::BadBody
                } else {
                    LocalReply::CallerGone
                };
                Err(self.give_up(number, reject))
            }
            AttemptSetEvent::TryTimeout { number, idle } => self.try_timeout(number, idle),
            AttemptSetEvent::RetryDue => {
                self.retry_at = None;
                Ok(NextStep::Begin { hedge: false })
            }
            AttemptSetEvent::HedgeDue => {
                let now = self.shared.env.now();
                if !self.outgoing.is_repeatable() {
                    self.hedges.stop();
                    return Ok(NextStep::Wait);
                }
                let share = self.plan.hedge.budget_ppm;
                if self.plan.upstream.may_hedge(now, share) {
                    return Ok(NextStep::Begin { hedge: true });
                }
                self.hedges.stop();
                Ok(NextStep::Wait)
            }
            AttemptSetEvent::RouteTimeout => Err(self.route_timeout()),
            AttemptSetEvent::Idle => {
                self.end_all(ResponseFlags::SI);
                Err(match self.complete {
                    Some(_) => LocalReply::StreamIdle,
                    None => LocalReply::SlowRequest,
                })
            }
            AttemptSetEvent::Incomplete => {
                self.end_all(ResponseFlags::DC);
                Err(LocalReply::RequestTimeout)
            }
        }
    }

    fn answered(&mut self, open: &OpenAttempt, response: &Response<ResponseBody>) -> NextStep {
        let status = response.status().as_u16();
        let grpc = self.grpc.then(|| grpc_status(response.headers())).flatten();
        self.record
            .attempt_answered(open.number, status, grpc.clone().and_then(Result::ok));
        // An invalid `grpc-status` counts as UNKNOWN. Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
        let seen = grpc.map_or(status, |grpc| grpc.unwrap_or(GrpcStatus::Unknown).to_http());
        self.observe(open, AttemptOutcome::Status(seen));
        let failure = AttemptFailure::Response {
            status,
            headers: response.headers(),
        };
        let verdict = self.verdict(open, failure);
        if let RetryDecision::Again(_) = verdict {
            self.record.end_attempt(open.number, ResponseFlags::empty());
            return NextStep::Wait;
        }
        let bad = match (&self.retries, verdict) {
            (_, RetryDecision::Exhausted | RetryDecision::Overflow) => true,
            (Some(retries), _) if open.superseded => retries.would_retry(failure),
            (Some(_), _) => false,
            // Without a retry policy, the hedges' results are preferred to a server error.
            (None, _) => status >= 500,
        };
        if bad && self.others_may_answer() {
            self.record.end_attempt(open.number, ResponseFlags::empty());
            return NextStep::Wait;
        }
        NextStep::Win
    }

    /// Prepares the accepted response for the caller.
    pub(super) fn answer(
        &self,
        mut response: Response<ResponseBody>,
    ) -> UpstreamResponse<ResponseBody> {
        let now = self.shared.env.now();
        // The upstream's time is not reported while the request is incomplete. Source: Envoy,
        // `Filter::onUpstreamHeaders`.
        let took = self.complete.filter(|_| !self.plan.suppress_envoy_headers);
        let took = took.map(|complete| now.since(complete));
        let upgrade = self.outgoing.is_upgrade() && is_upgrade(response.headers());
        let writer = &self.shared.header_writer;
        prepare::toward_caller(response.headers_mut(), took, upgrade, writer);
        UpstreamResponse {
            response,
            rest: BodyTimeouts {
                // Set by `in_time` in handle.rs, which knows the stream's deadline.
                stream: None,
                deadline: self.deadline,
                idle: self.bounds.idle,
                per_try_idle: self.bounds.per_try_idle,
            },
        }
    }

    fn reset(
        &mut self,
        open: &OpenAttempt,
        reason: ResetReason,
        on_wire: bool,
    ) -> Result<NextStep, LocalReply> {
        // Overflow is a limit of the cluster, and no evidence about the host.
        if reason != ResetReason::Overflow {
            self.observe(open, AttemptOutcome::Failed);
        }
        let verdict = self.verdict(open, AttemptFailure::Reset { reason, on_wire });
        self.record.end_attempt(open.number, reason.flags());
        if matches!(verdict, RetryDecision::Again(_)) || self.others_may_answer() {
            return Ok(NextStep::Wait);
        }
        Err(LocalReply::Reset {
            reason,
            retried: self.retried,
            exhausted: verdict == RetryDecision::Exhausted,
        })
    }

    /// Reports an attempt's outcome and latency to its host.
    fn observe(&self, open: &OpenAttempt, outcome: AttemptOutcome) {
        let now = self.shared.env.now();
        open.host.observe(now.since(open.started), now);
        self.plan.upstream.observe(open.host.health(), outcome);
    }

    fn others_may_answer(&self) -> bool {
        !self.open.is_empty() || self.retry_at.is_some()
    }

    /// Ends an attempt whose caller is gone or has sent an invalid body.
    fn give_up(&mut self, number: u32, reject: LocalReply) -> LocalReply {
        self.record.end_attempt(number, reject.try_flags());
        reject
    }

    /// Ends the attempts that lost against the accepted one.
    pub(super) fn lost(&mut self) {
        self.end_all(ResponseFlags::LR);
    }

    /// Ends all open attempts with these flags.
    fn end_all(&mut self, flags: ResponseFlags) {
        for open in std::mem::take(&mut self.open) {
            self.record.end_attempt(open.number, flags);
        }
    }
}

/// The request as retry policies match it.
fn view(outgoing: &Outgoing) -> RequestView<'_> {
    RequestView {
        method: outgoing.method(),
        path: outgoing.path(),
        authority: outgoing.host().unwrap_or_default(),
        scheme: "http",
        headers: outgoing.headers(),
    }
}
