//! The local rate limit filter: takes a token for a request, or refuses it. Source: Envoy's local rate limit filter.

use std::sync::Arc;

use rand::Rng as _;
use shakedown_xds::table::RateLimit;

use super::FilterContext;
use crate::headers;
use crate::limit::describe::describe;
use crate::request_head::RequestHead;
use crate::respond::{Limited, LocalReply, status};
use crate::response_context::ResponseContext;

/// Admits a request, or refuses it with the limit's status. A limit that is enabled but not enforced for the request only
/// adds its request headers.
pub(super) fn admit<'t>(
    passing: FilterContext<'t, '_>,
    limit: &'t Arc<RateLimit>,
    head: &mut RequestHead,
    reply: &mut ResponseContext<'t>,
) -> Result<(), LocalReply> {
    let shared = passing.shared;
    if !limit
        .enabled
        .takes(|| shared.random.filters.borrow_mut().next_u64())
    {
        return Ok(());
    }
    let route = passing.found.map(|found| found.route);
    let descriptions = describe(limit, route, &head.view()?);
    let now = shared.env.now();
    let decision = if limit.per_connection {
        passing.connection.admit(limit, &descriptions, now)
    } else {
        shared.rate_limits.admit(limit, &descriptions, now)
    };
    reply.limit = decision.state.filter(|_| limit.report_state);
    if decision.allowed {
        return Ok(());
    }
    if !limit
        .enforced
        .takes(|| shared.random.filters.borrow_mut().next_u64())
    {
        headers::change_request(&limit.request_headers, head)?;
        return Ok(());
    }
    reply.limited = Some(limit);
    Err(LocalReply::Limited(Limited {
        status: status(limit.status),
        resource_exhausted: limit.resource_exhausted,
    }))
}
