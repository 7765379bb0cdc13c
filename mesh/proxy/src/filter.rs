//! The listener's HTTP filters, applied to a request in their configured order.
//!
//! Filters apply before the router: also before a route's direct response, and to requests that match no route.

pub(crate) mod cors;
mod fault;
mod rate_limit;

use rand::Rng as _;
use shakedown_xds::table::{Filter, Listener};

use crate::limit::limiters::ConnectionLimiter;
use crate::record::RequestRecord;
use crate::request_head::RequestHead;
use crate::respond::LocalReply;
use crate::response_context::ResponseContext;
use crate::route::MatchedRoute;
use crate::shared::Shared;

/// The filters' inputs, but for the request itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterContext<'t, 'c> {
    pub(crate) shared: &'t Shared,
    pub(crate) listener: &'t Listener,
    pub(crate) connection: &'t ConnectionLimiter,
    /// `None` if no route matches.
    pub(crate) found: Option<MatchedRoute<'t>>,
    /// The cluster that the route selected; `None` if the route does not forward.
    pub(crate) cluster: Option<&'c str>,
}

/// Applies the filters to a request. The first that rejects it ends the chain.
pub(crate) async fn pass<'t>(
    passing: FilterContext<'t, '_>,
    head: &mut RequestHead,
    record: &mut RequestRecord,
    reply: &mut ResponseContext<'t>,
) -> Result<(), LocalReply> {
    let FilterContext { shared, found, .. } = passing;
    let of_route = found.map(|found| &found.route.filters);
    for filter in &passing.listener.filters {
        match filter {
            Filter::Fault(own) => {
                let fault = of_route.and_then(|of| of.fault.as_ref()).or(own.as_ref());
                if let Some(fault) = fault {
                    let request = head.view()?;
                    fault::inject(shared, fault, passing.cluster, &request, record).await?;
                }
            }
            Filter::Cors => {
                // Envoy applies no CORS policy to direct responses and redirects.
                let forwards = found.is_some_and(|found| found.route.forward().is_some());
                let policy = of_route.and_then(|of| of.cors.as_deref());
                if let Some(policy) = policy.filter(|_| forwards) {
                    let random = || shared.random.filters.borrow_mut().next_u64();
                    let allowed = &mut reply.cors;
                    cors::check(
                        policy,
                        random,
                        &head.parts.method,
                        &head.parts.headers,
                        allowed,
                    )?;
                }
            }
            Filter::AdaptiveConcurrency(limit) => record.hold(shared.overload.admit(limit)?),
            Filter::Shed(shed) => record.hold(shared.overload.queue(shed).await?),
            Filter::RateLimit(own) => {
                let of_route = of_route.and_then(|of| of.rate_limit.as_ref());
                if let Some(limit) = of_route.or(own.as_ref()) {
                    rate_limit::admit(passing, limit, head, reply)?;
                }
            }
        }
    }
    Ok(())
}
