//! The try loop: choose a host, send, judge; until a try stands.
//!
//! Most requests have one try open at a time. Hedged ones have several; the first good answer wins, and the others are
//! reset. The route's timeout, and that of each try, count from when the request is complete, as in Envoy; the route's covers
//! every try, every wait between tries, and the response's body.

mod bounds;
mod grpc;
mod lanes;
mod race;

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use shakedown_env::{Env, Time};
use shakedown_wire::Body;
use shakedown_xds::table::{HedgePolicy, Labels, RouteAction};

use crate::alarm::Alarm;
use crate::loops::Arrival;
use crate::outgoing::Outgoing;
use crate::record::{Record, Rest};
use crate::resolve::resolve;
use crate::respond::Reject;
use crate::send::Carrier;
use crate::shared::Shared;
use crate::state::{Host, PickContext, Upstream};
use bounds::Bounds;
pub(crate) use grpc::{set_timeout as set_grpc_timeout, timeout as grpc_timeout};
use lanes::Lanes;
use race::{Race, Step};

/// What the stages before have decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) arrival: Arrival,
    pub(crate) upstream: &'a Rc<Upstream>,
    pub(crate) action: &'a RouteAction,
    /// When it is sent again while its tries are open.
    pub(crate) hedge: HedgePolicy,
    /// Whether upstreams are told which try it is.
    pub(crate) tell_attempt: bool,
    /// How long it may go without a sign of either side; `None`: as long as it takes.
    pub(crate) idle: Option<Duration>,
    /// What hosts are chosen by, where the route says so.
    pub(crate) hash: Option<u64>,
    /// The labels that its route asks for of its hosts.
    pub(crate) labels: Option<&'a Labels>,
    /// Whether nothing is told in headers of Envoy's own names.
    pub(crate) quiet: bool,
    /// When the request must be complete; `None`: at some time.
    pub(crate) complete_by: Option<Time>,
}

impl Plan<'_> {
    /// Whether it may be sent more than once.
    pub(crate) fn may_repeat(&self) -> bool {
        self.action.retry.is_some() || self.hedge.after.is_some()
    }
}

/// An upstream's answer.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    pub(crate) response: Response<B>,
    /// The bounds of its body.
    pub(crate) rest: Rest,
}

/// Sends a request until a try stands. Nothing of it is left then that could be sent once more.
pub(crate) async fn forward(
    shared: &Rc<Shared>,
    carrier: &impl Carrier,
    plan: Plan<'_>,
    outgoing: &mut Outgoing,
    record: &mut Record,
) -> Result<Answer<Body>, Reject> {
    let env = &shared.env;
    let bounds = Bounds::of(plan.action, plan.idle, outgoing.headers());
    let outside = match outside_host(env, plan.upstream, outgoing).await {
        Err(Reject::NoHealthyUpstream) => {
            record.attempt_in_vain();
            return Err(Reject::NoHealthyUpstream);
        }
        outside => outside?,
    };
    let mut race = Race::new(shared, plan, bounds, outgoing, record);
    race.outside = outside;
    let connected = std::cell::Cell::new(false);
    let first = pin!(None);
    let mut lanes = Lanes::new(first, &connected);
    let mut step = Step::Begin { hedge: false };
    let mut alarm = Alarm::new(shared);
    // The answer of the try that has ended last. It stays here, and is not carried through what judges it.
    let mut landed = None;
    loop {
        match step {
            Step::Begin { hedge } => race.begin(hedge, |number, pool, request| {
                lanes.start(number, |mark| carrier.carry(pool, request, mark));
            })?,
            Step::Wait => landed = None,
            Step::Drop(number) => lanes.stop(number),
            Step::Win => {
                lanes.stop_all();
                race.lost();
                let response = landed.expect("a try wins by its answer");
                return Ok(race.answer(response));
            }
        }
        let happened = race.next(&mut lanes, &mut alarm, &mut landed).await;
        step = race.judge(happened, landed.as_ref())?;
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

/// A first try takes any host; another looks for one that was not tried, and a hedge in any case.
fn choose_host(plan: Plan<'_>, tried: &[SocketAddr], hedge: bool) -> Option<Rc<Host>> {
    /// As often as Istio looks for a retry.
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
