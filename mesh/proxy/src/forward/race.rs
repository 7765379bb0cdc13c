//! One request on its way through its tries: which are open, and what follows from what happens.

mod timeouts;
mod verdict;
mod wait;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use shakedown_env::Time;
use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_wire::{Body, Pool};
use shakedown_xds::table::RequestView;
use smallvec::SmallVec;

use super::bounds::Bounds;
use super::{Answer, Plan, choose_host, grpc};
use crate::breaker::RetryPermit;
use crate::hedge::Hedges;
use crate::outgoing::Outgoing;
use crate::outlier::Outcome;
use crate::prepare;
use crate::record::{Record, Rest};
use crate::respond::{Reject, ResetReason, grpc_status};
use crate::retry::{Failure, Retries, Verdict};
use crate::shared::Shared;
use crate::state::{Host, PoolKind};
use crate::upgrade::is_upgrade;

/// How long a caller may be silent over a body where nothing else bounds it: no peer is waited for without end.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// A request and its tries.
pub(super) struct Race<'a> {
    shared: &'a Rc<Shared>,
    plan: Plan<'a>,
    bounds: Bounds,
    /// When it was complete; `None` while its body still comes.
    complete: Option<Time>,
    deadline: Option<Time>,
    idle_at: Option<Time>,
    /// How much of its body had come when it was last looked at.
    arrived: usize,
    /// Whether its caller speaks gRPC.
    grpc: bool,
    outgoing: &'a mut Outgoing,
    record: &'a mut Record,
    /// The host, where the request names it itself.
    pub(super) outside: Option<Rc<Host>>,
    retries: Option<Retries<'a>>,
    hedges: Hedges,
    /// Counts a retry from its verdict to the next.
    permit: Option<RetryPermit>,
    /// When the retry that waits begins.
    retry_at: Option<Time>,
    /// Whether there has been a retry.
    retried: bool,
    tried: SmallVec<[SocketAddr; 4]>,
    open: SmallVec<[Open; 1]>,
}

/// A try that has not ended.
pub(super) struct Open {
    number: u32,
    host: Rc<Host>,
    started: Time,
    /// Whether its host has been said to be reachable.
    connected: bool,
    timeout_at: Option<Time>,
    idle_at: Option<Time>,
    /// Whether it has met its timeout and goes on.
    timed_out: bool,
    /// Whether another has begun because of it.
    superseded: bool,
}

/// What the loop does next.
pub(super) enum Step {
    Begin {
        hedge: bool,
    },
    /// An answer that has come is not the one.
    Wait,
    /// Reset this one.
    Drop(u32),
    /// The answer that has come is the one.
    Win,
}

/// What the loop has waited for.
pub(super) enum Happened {
    /// Headers came.
    Answered(Open),
    Reset {
        open: Open,
        reason: ResetReason,
        on_wire: bool,
    },
    CallerGone {
        number: u32,
        malformed: bool,
    },
    /// A try met its timeout, or, if so it is, its idle timeout.
    TryTimeout {
        number: u32,
        idle: bool,
    },
    RetryDue,
    HedgeDue,
    RouteTimeout,
    Idle,
    /// The request should be complete by now.
    Incomplete,
}

impl Open {
    /// Its time begins.
    fn begin(&mut self, bounds: &Bounds, now: Time) {
        self.timeout_at = bounds.per_try.map(|span| now + span);
        self.idle_at = bounds.per_try_idle.map(|span| now + span);
    }
}

impl<'a> Race<'a> {
    pub(super) fn new(
        shared: &'a Rc<Shared>,
        plan: Plan<'a>,
        bounds: Bounds,
        outgoing: &'a mut Outgoing,
        record: &'a mut Record,
    ) -> Race<'a> {
        let policy = plan.action.retry.as_ref();
        let retries = policy
            .map(|policy| Retries::new(policy, || view(outgoing)))
            .filter(|_| policy.is_some_and(|policy| !policy.on.is_empty()));
        let idle = bounds.idle.unwrap_or(BODY_TIMEOUT);
        let now = shared.env.now();
        let early = outgoing.awaits_answer();
        Race {
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

    /// Begins a try, and has it `start`ed; but no hedge for which there is no host.
    pub(super) fn begin(
        &mut self,
        hedge: bool,
        start: impl FnOnce(u32, Pool, Request<Body>),
    ) -> Result<(), Reject> {
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
            return Err(Reject::NoHealthyUpstream);
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
        self.open.push(Open {
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

    /// The request of one try.
    fn request(&mut self, number: u32, now: Time) -> Request<Body> {
        let expected = self.bounds.expected(self.elapsed(now));
        let retry = self.retries.as_ref().is_some_and(Retries::may_follow);
        let keep = retry || self.hedges.may_follow();
        let quiet = self.plan.quiet;
        let scribe = &self.shared.scribe;
        self.outgoing.request(keep, &self.shared.heads, |headers| {
            if let Some(expected) = expected {
                if !quiet {
                    prepare::expected_timeout(headers, expected, scribe);
                }
                if self.bounds.tell_grpc {
                    grpc::set_timeout(headers, expected);
                }
            }
            if self.plan.tell_attempt {
                prepare::attempt_count(headers, number);
            }
        })
    }

    /// How long ago the request was complete.
    fn elapsed(&self, now: Time) -> Duration {
        self.complete
            .map_or(Duration::ZERO, |complete| now.since(complete))
    }

    /// What follows from what happened; `landed` is the answer, if one has come.
    pub(super) fn judge(
        &mut self,
        happened: Happened,
        landed: Option<&Response<Body>>,
    ) -> Result<Step, Reject> {
        match happened {
            Happened::Answered(open) => {
                let response = landed.expect("the answer has landed");
                Ok(self.answered(&open, response))
            }
            Happened::Reset {
                open,
                reason,
                on_wire,
            } => self.reset(&open, reason, on_wire),
            Happened::CallerGone { number, malformed } => {
                let reject = if malformed {
                    Reject::BadBody
                } else {
                    Reject::CallerGone
                };
                Err(self.give_up(number, reject))
            }
            Happened::TryTimeout { number, idle } => self.try_timeout(number, idle),
            Happened::RetryDue => {
                self.retry_at = None;
                Ok(Step::Begin { hedge: false })
            }
            Happened::HedgeDue => {
                let now = self.shared.env.now();
                if !self.outgoing.is_repeatable() {
                    self.hedges.stop();
                    return Ok(Step::Wait);
                }
                let share = self.plan.hedge.budget_ppm;
                if self.plan.upstream.may_hedge(now, share) {
                    return Ok(Step::Begin { hedge: true });
                }
                self.hedges.stop();
                Ok(Step::Wait)
            }
            Happened::RouteTimeout => Err(self.route_timeout()),
            Happened::Idle => {
                self.end_all(ResponseFlags::SI);
                Err(match self.complete {
                    Some(_) => Reject::StreamIdle,
                    None => Reject::SlowRequest,
                })
            }
            Happened::Incomplete => {
                self.end_all(ResponseFlags::DC);
                Err(Reject::RequestTimeout)
            }
        }
    }

    fn answered(&mut self, open: &Open, response: &Response<Body>) -> Step {
        let status = response.status().as_u16();
        let grpc = self.grpc.then(|| grpc_status(response.headers())).flatten();
        self.record
            .attempt_answered(open.number, status, grpc.clone().and_then(Result::ok));
        // A status that is not a number counts as an unknown one. Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
        let seen = grpc.map_or(status, |grpc| grpc.unwrap_or(GrpcStatus::Unknown).to_http());
        self.observe(open, Outcome::Status(seen));
        let failure = Failure::Response {
            status,
            headers: response.headers(),
        };
        let verdict = self.verdict(open, failure);
        if let Verdict::Again(_) = verdict {
            self.record.end_attempt(open.number, ResponseFlags::empty());
            return Step::Wait;
        }
        let bad = match (&self.retries, verdict) {
            (_, Verdict::Exhausted | Verdict::Overflow) => true,
            (Some(retries), _) if open.superseded => retries.would_retry(failure),
            (Some(_), _) => false,
            // Without a word on what is worth another try, a hedge is there for failures.
            (None, _) => status >= 500,
        };
        if bad && self.others_may_answer() {
            self.record.end_attempt(open.number, ResponseFlags::empty());
            return Step::Wait;
        }
        Step::Win
    }

    /// What the caller gets of the answer that is the one.
    pub(super) fn answer(&self, mut response: Response<Body>) -> Answer<Body> {
        let now = self.shared.env.now();
        // Of a request that has not ended nothing is told. Source: Envoy, `Filter::onUpstreamHeaders`.
        let took = self.complete.filter(|_| !self.plan.quiet);
        let took = took.map(|complete| now.since(complete));
        let upgrade = self.outgoing.is_upgrade() && is_upgrade(response.headers());
        let scribe = &self.shared.scribe;
        prepare::toward_caller(response.headers_mut(), took, upgrade, scribe);
        Answer {
            response,
            rest: Rest {
                // The whole line knows.
                stream: None,
                deadline: self.deadline,
                idle: self.bounds.idle,
                per_try_idle: self.bounds.per_try_idle,
            },
        }
    }

    fn reset(&mut self, open: &Open, reason: ResetReason, on_wire: bool) -> Result<Step, Reject> {
        // A limit of the cluster says nothing about the host.
        if reason != ResetReason::Overflow {
            self.observe(open, Outcome::Failed);
        }
        let verdict = self.verdict(open, Failure::Reset { reason, on_wire });
        self.record.end_attempt(open.number, reason.flags());
        if matches!(verdict, Verdict::Again(_)) || self.others_may_answer() {
            return Ok(Step::Wait);
        }
        Err(Reject::Reset {
            reason,
            retried: self.retried,
            exhausted: verdict == Verdict::Exhausted,
        })
    }

    /// Its host is told how a try ended, and after how long.
    fn observe(&self, open: &Open, outcome: Outcome) {
        let now = self.shared.env.now();
        open.host.observe(now.since(open.started), now);
        self.plan.upstream.observe(open.host.health(), outcome);
    }

    fn others_may_answer(&self) -> bool {
        !self.open.is_empty() || self.retry_at.is_some()
    }

    /// Nobody reads an answer, or none can come.
    fn give_up(&mut self, number: u32, reject: Reject) -> Reject {
        self.record.end_attempt(number, reject.try_flags());
        reject
    }

    /// The tries that another has beaten.
    pub(super) fn lost(&mut self) {
        self.end_all(ResponseFlags::LR);
    }

    /// All open tries end so.
    fn end_all(&mut self, flags: ResponseFlags) {
        for open in std::mem::take(&mut self.open) {
            self.record.end_attempt(open.number, flags);
        }
    }
}

/// The request as policies look at it.
fn view(outgoing: &Outgoing) -> RequestView<'_> {
    RequestView {
        method: outgoing.method(),
        path: outgoing.path(),
        authority: outgoing.host().unwrap_or_default(),
        scheme: "http",
        headers: outgoing.headers(),
    }
}
