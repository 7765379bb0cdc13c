//! The retry loop: picks a host, sends an attempt, decides on its result, until a response is accepted or retries are
//! exhausted.
//!
//! Most requests have one open attempt at a time. Hedged requests have several: the first accepted response wins, and
//! the others are reset. The route's timeout and the per-try timeout start when the request is complete, as in Envoy.
//! The route's timeout covers every attempt, every wait between attempts, and the response's body.

mod attempt_set;
mod attempt_slots;
mod bounds;
mod grpc;

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use shakedown_env::{Env, Time};
use shakedown_wire::ResponseBody;
use shakedown_xds::table::{HedgePolicy, Labels, RouteAction};

use crate::loops::RequestIngress;
use crate::outgoing::Outgoing;
use crate::record::{BodyTimeouts, RequestRecord};
use crate::resolve::resolve;
use crate::respond::LocalReply;
use crate::reusable_timer::ReusableTimer;
use crate::send::Carrier;
use crate::shared::Shared;
use crate::state::{PickContext, Upstream, UpstreamHost};
use attempt_set::{AttemptSet, NextStep};
use attempt_slots::AttemptSlots;
use bounds::AttemptTimeouts;
pub(crate) use grpc::{set_timeout as set_grpc_timeout, timeout as grpc_timeout};

/// The decisions of the earlier steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardPlan<'a> {
    pub(crate) arrival: RequestIngress,
    pub(crate) upstream: &'a Rc<Upstream>,
    pub(crate) action: &'a RouteAction,
    /// The policy of sending it again while attempts are open.
    pub(crate) hedge: HedgePolicy,
    /// True if attempts carry `x-envoy-attempt-count`.
    pub(crate) include_attempt_count: bool,
    /// The longest time without data from either side; `None`: unlimited.
    pub(crate) idle: Option<Duration>,
    /// The hash that picks the host, if the route configures one.
    pub(crate) hash: Option<u64>,
    /// The labels that the route requires of its hosts.
    pub(crate) labels: Option<&'a Labels>,
    /// True if the `x-envoy-*` headers are suppressed.
    pub(crate) suppress_envoy_headers: bool,
    /// The time by which the request must be complete; `None`: unlimited.
    pub(crate) complete_by: Option<Time>,
}

impl ForwardPlan<'_> {
    /// True if the request may be sent more than once.
    pub(crate) fn may_repeat(&self) -> bool {
        self.action.retry.is_some() || self.hedge.after.is_some()
    }
}

/// A response from upstream.
#[derive(Debug)]
pub(crate) struct UpstreamResponse<B> {
    pub(crate) response: Response<B>,
    /// The time bounds of the body.
    pub(crate) rest: BodyTimeouts,
}

/// Sends a request until an attempt's response is accepted. Afterwards the request cannot be sent again.
pub(crate) async fn forward(
    shared: &Rc<Shared>,
    carrier: &impl Carrier,
    plan: ForwardPlan<'_>,
    outgoing: &mut Outgoing,
    record: &mut RequestRecord,
) -> Result<UpstreamResponse<ResponseBody>, LocalReply> {
    let env = &shared.env;
    let bounds = AttemptTimeouts::for_route(plan.action, plan.idle, outgoing.headers());
    let outside = match outside_host(env, plan.upstream, outgoing).await {
        Err(LocalReply::NoHealthyUpstream) => {
            record.attempt_in_vain();
            return Err(LocalReply::NoHealthyUpstream);
        }
        outside => outside?,
    };
    let mut race = AttemptSet::new(shared, plan, bounds, outgoing, record);
    race.outside = outside;
    let connected = std::cell::Cell::new(false);
    let first = pin!(None);
    let mut slots = AttemptSlots::new(first, &connected);
    let mut step = NextStep::Begin { hedge: false };
    let mut alarm = ReusableTimer::new(shared);
    // The response of the last attempt. It stays here, so that it is not moved through the code that judges it.
    let mut landed = None;
    loop {
        match step {
            NextStep::Begin { hedge } => race.begin(hedge, |number, pool, request| {
                slots.start(number, |mark| carrier.carry(pool, request, mark));
            })?,
            NextStep::Wait => landed = None,
            NextStep::Drop(number) => slots.stop(number),
            NextStep::Win => {
                slots.stop_all();
                race.lost();
                let response = landed.expect("an attempt wins by its response");
                return Ok(race.answer(response));
            }
        }
        let happened = race.next(&mut slots, &mut alarm, &mut landed).await;
        step = race.judge(happened, landed.as_ref())?;
    }
}

/// The host that the request's authority names, for an `ORIGINAL_DST` cluster.
async fn outside_host(
    env: &Env,
    upstream: &Upstream,
    outgoing: &Outgoing,
) -> Result<Option<Rc<UpstreamHost>>, LocalReply> {
    if !upstream.is_original_dst() {
        return Ok(None);
    }
    let authority = outgoing.host().ok_or(LocalReply::BadAuthority)?;
    let address = resolve(env, authority).await?;
    Ok(Some(upstream.outside(address)))
}

/// Picks a host. The first attempt takes any host. A retry prefers an untried host if its policy asks for that, and a
/// hedge always does.
fn choose_host(
    plan: ForwardPlan<'_>,
    tried: &[SocketAddr],
    hedge: bool,
) -> Option<Rc<UpstreamHost>> {
    /// The number of picks before a tried host is accepted. Istio uses the same number for retries.
    const HEDGE_ATTEMPTS: u32 = 5;
    let attempts = match &plan.action.retry {
        _ if tried.is_empty() => 0,
        Some(policy) if policy.avoid_previous_hosts => policy.host_selection_attempts,
        _ => 0,
    };
    let attempts = if hedge {
        attempts.max(HEDGE_ATTEMPTS)
    } else {
        attempts
    };
    plan.upstream.pick(&PickContext {
        hash: plan.hash,
        labels: plan.labels,
        tried,
        attempts,
    })
}

#[cfg(test)]
mod tests;
