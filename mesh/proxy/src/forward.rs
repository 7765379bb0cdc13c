//! The try loop: choose a host, send, judge; until a try stands.
//!
//! The route's timeout counts from when the request is complete, as in Envoy, and covers every try, every wait between
//! tries, and the response's body. A body that streams through counts from the headers.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use shakedown_config::table::RouteAction;
use shakedown_env::{Env, Flags, Time};
use shakedown_wire::Body;
use smallvec::SmallVec;

use crate::outgoing::Outgoing;
use crate::prepare;
use crate::proxy::Proxy;
use crate::record::Record;
use crate::resolve::resolve;
use crate::respond::{Reject, ResetReason};
use crate::retry::{Failure, Retries, Verdict};
use crate::send::{Bound, Deadline, Sent, send};
use crate::state::{Host, Upstream};

/// What the stages before have decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) upstream: &'a Rc<Upstream>,
    pub(crate) action: &'a RouteAction,
    /// Whether upstreams are told which try it is.
    pub(crate) tell_attempt: bool,
}

/// An upstream's answer.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    pub(crate) response: Response<B>,
    pub(crate) flags: Flags,
    /// When its body must have ended.
    pub(crate) deadline: Option<Time>,
}

/// The bounds of a request in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    per_try: Option<Duration>,
    route: Option<Duration>,
}

/// What a try leads to.
enum Step {
    Answer(Response<Body>, Flags),
    Reject(Reject),
    /// Another try, after this wait; why this one failed.
    Again(Duration, Flags),
}

/// Sends a request until a try stands.
pub(crate) async fn forward(
    proxy: &Rc<Proxy>,
    plan: Plan<'_>,
    mut outgoing: Outgoing,
    record: &mut Record,
) -> Result<Answer<Body>, Reject> {
    let env = proxy.env();
    let complete = env.now();
    let bounds = Bounds::of(plan.action);
    let deadline = bounds.route.map(|span| complete + span);
    let outside = outside_host(env, plan.upstream, &outgoing).await?;
    let repeatable = outgoing.is_repeatable();
    let mut retries = plan
        .action
        .retry
        .as_ref()
        .filter(|_| repeatable)
        .map(Retries::new);
    let mut tried: SmallVec<[SocketAddr; 4]> = SmallVec::new();
    loop {
        let number = u32::try_from(tried.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let host = match &outside {
            Some(host) => Rc::clone(host),
            None => choose_host(plan, &tried).ok_or(Reject::NoHealthyUpstream)?,
        };
        tried.push(host.address());
        let now = env.now();
        let headers = outgoing.headers_mut();
        prepare::expected_timeout(headers, bounds.per_try, bounds.route, now.since(complete));
        if plan.tell_attempt {
            prepare::attempt_count(headers, number);
        }
        let keep = retries.as_ref().is_some_and(Retries::may_follow);
        let request = outgoing.request(keep);
        let pool = host.pool();
        record.attempt(host);
        let sent = send(env, &pool, request, bounds.deadline(now, deadline)).await;
        if let Sent::Response(response) = &sent {
            record.attempt_answered(response.status().as_u16());
        }
        match judge(proxy, retries.as_mut(), number, sent) {
            Step::Answer(mut response, flags) => {
                prepare::toward_caller(response.headers_mut(), env.now().since(complete));
                return Ok(Answer {
                    response,
                    flags,
                    deadline,
                });
            }
            Step::Reject(reject) => {
                record.end_attempt(reject.try_flags());
                return Err(reject);
            }
            Step::Again(wait, flags) => {
                record.end_attempt(flags);
                pause(env, wait, deadline).await?;
            }
        }
    }
}

/// The host of a request that names it itself.
async fn outside_host(
    env: &Env,
    upstream: &Upstream,
    outgoing: &Outgoing,
) -> Result<Option<Rc<Host>>, Reject> {
    if !upstream.is_original_dst() {
        return Ok(None);
    }
    let authority = outgoing.host().ok_or(Reject::BadAuthority)?;
    let address = resolve(env, authority).await?;
    Ok(Some(upstream.outside(address)))
}

/// A first try takes any host; another looks for one that was not tried.
fn choose_host(plan: Plan<'_>, tried: &[SocketAddr]) -> Option<Rc<Host>> {
    let attempts = match &plan.action.retry {
        Some(policy) if policy.avoid_previous_hosts && !tried.is_empty() => {
            policy.host_selection_attempts
        }
        _ => 0,
    };
    plan.upstream.pick(tried, attempts)
}

/// What follows from how a try ended.
fn judge(proxy: &Proxy, retries: Option<&mut Retries<'_>>, number: u32, sent: Sent) -> Step {
    let retried = number > 1;
    let verdict = |failure: Failure<'_>| match retries {
        Some(retries) => retries.judge(failure, || proxy.next_backoff()),
        None => Verdict::Stands,
    };
    match sent {
        Sent::Response(response) => {
            let status = response.status().as_u16();
            match verdict(Failure::Response {
                status,
                headers: response.headers(),
            }) {
                Verdict::Again(wait) => Step::Again(wait, Flags::NONE),
                Verdict::Exhausted => Step::Answer(response, Flags::URX),
                Verdict::Stands => Step::Answer(response, Flags::NONE),
            }
        }
        Sent::Reset { reason, on_wire } => match verdict(Failure::Reset { reason, on_wire }) {
            Verdict::Again(wait) => Step::Again(wait, reason.flags()),
            verdict => reset(reason, retried, verdict),
        },
        Sent::TimedOut(Bound::Try) => match verdict(Failure::PerTryTimeout) {
            Verdict::Again(wait) => Step::Again(wait, Flags::UT),
            verdict => {
                let exhausted = verdict == Verdict::Exhausted;
                Step::Reject(Reject::PerTryTimeout { exhausted })
            }
        },
        Sent::TimedOut(Bound::Route) => Step::Reject(Reject::RouteTimeout),
        Sent::CallerGone => Step::Reject(Reject::CallerGone),
    }
}

fn reset(reason: ResetReason, retried: bool, verdict: Verdict) -> Step {
    let exhausted = verdict == Verdict::Exhausted;
    Step::Reject(Reject::Reset {
        reason,
        retried,
        exhausted,
    })
}

/// Waits before a retry; the route's timeout goes on.
async fn pause(env: &Env, wait: Duration, deadline: Option<Time>) -> Result<(), Reject> {
    let until = env.now() + wait;
    match deadline {
        Some(deadline) if deadline <= until => {
            env.sleep_until(deadline).await;
            Err(Reject::RouteTimeout)
        }
        _ => {
            env.sleep_until(until).await;
            Ok(())
        }
    }
}

impl Bounds {
    fn of(action: &RouteAction) -> Bounds {
        let route = action.timeout.filter(|span| !span.is_zero());
        let per_try = action
            .retry
            .as_ref()
            .and_then(|policy| policy.per_try_timeout);
        // One that is not shorter than the route's is none. Source: Envoy, `FilterUtility::finalTimeout`.
        let shorter = |span: &Duration| !span.is_zero() && route.is_none_or(|route| *span < route);
        Bounds {
            per_try: per_try.filter(shorter),
            route,
        }
    }

    /// The bound that a try which begins now meets first; the route's on a tie.
    fn deadline(self, now: Time, route: Option<Time>) -> Option<Deadline> {
        let own = self.per_try.map(|span| now + span);
        match (own, route) {
            (Some(own), Some(route)) if own < route => Some(Deadline {
                at: own,
                bound: Bound::Try,
            }),
            (_, Some(route)) => Some(Deadline {
                at: route,
                bound: Bound::Route,
            }),
            (Some(own), None) => Some(Deadline {
                at: own,
                bound: Bound::Try,
            }),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
