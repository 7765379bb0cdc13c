//! The local rate limit: the buckets in force, and what a request meets in them. Envoy's local rate limit filter.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::request::Parts;
use rand_core::Rng as _;
use shakedown_env::Time;
use shakedown_xds::table::RateLimit;

use super::Passing;
use crate::headers;
use crate::limit::{Decision, Entry, Limiter, describe::describe};
use crate::reply::Reply;
use crate::respond::{Limited, Reject, status};
use crate::route;

/// The buckets of all limits. A limit's buckets are its own, and so begin full with each new configuration, as in Envoy.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// By identity, of which the limit itself, held here, makes sure; the order is of no account.
    limiters: RefCell<BTreeMap<usize, (Arc<RateLimit>, Limiter)>>,
}

/// The buckets of one connection, for limits that give each its own. The first such limit that it meets makes them, as in
/// Envoy, where a connection has one set.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLimit(RefCell<Option<Limiter>>);

impl Limits {
    fn admit(&self, limit: &Arc<RateLimit>, descriptions: &[Vec<Entry>], now: Time) -> Decision {
        let mut limiters = self.limiters.borrow_mut();
        let (_, limiter) = limiters
            .entry(Arc::as_ptr(limit).addr())
            .or_insert_with(|| (Arc::clone(limit), Limiter::new(limit, now)));
        limiter.admit(descriptions, now)
    }

    /// Lets go of the buckets of limits that no configuration has any more.
    pub(crate) fn sweep(&self) {
        let in_force = |limit: &Arc<RateLimit>| Arc::strong_count(limit) > 1;
        self.limiters
            .borrow_mut()
            .retain(|_, (limit, _)| in_force(limit));
    }
}

impl ConnectionLimit {
    fn admit(&self, limit: &RateLimit, descriptions: &[Vec<Entry>], now: Time) -> Decision {
        let mut limiter = self.0.borrow_mut();
        let limiter = limiter.get_or_insert_with(|| Limiter::new(limit, now));
        limiter.admit(descriptions, now)
    }
}

/// Lets a request pass, or answers it.
pub(super) fn admit<'t>(
    passing: Passing<'t, '_>,
    limit: &'t Arc<RateLimit>,
    head: &mut Parts,
    scheme: &'static str,
    reply: &mut Reply<'t>,
) -> Result<(), Reject> {
    let proxy = passing.proxy;
    if !limit.enabled.takes(|| proxy.faults().next_u64()) {
        return Ok(());
    }
    let route = passing.found.map(|found| found.route);
    let descriptions = describe(limit, route, &route::view(head, scheme)?);
    let now = proxy.env().now();
    let decision = if limit.per_connection {
        passing.connection.admit(limit, &descriptions, now)
    } else {
        proxy.limits().admit(limit, &descriptions, now)
    };
    reply.limit = decision.state.filter(|_| limit.tell);
    if decision.allowed {
        return Ok(());
    }
    if !limit.enforced.takes(|| proxy.faults().next_u64()) {
        headers::change_request(&limit.request_headers, head, scheme)?;
        return Ok(());
    }
    reply.limited = Some(limit);
    Err(Reject::Limited(Limited {
        status: status(limit.status),
        resource_exhausted: limit.resource_exhausted,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shakedown_xds::table::Bucket;

    use super::*;
    use crate::limit::tests::limit;

    fn of_one() -> Arc<RateLimit> {
        Arc::new(limit(Some(Bucket {
            max: 1,
            per_fill: 1,
            interval: Duration::from_secs(1),
        })))
    }

    #[test]
    fn a_new_configuration_begins_with_full_buckets_and_the_old_ones_go() {
        let limits = Limits::default();
        let asks = |limit: &Arc<RateLimit>| limits.admit(limit, &[], Time::ZERO).allowed;
        let old = of_one();
        assert!(asks(&old) && !asks(&old));
        let new = of_one();
        assert!(asks(&new) && !asks(&new));
        drop(old);
        limits.sweep();
        assert_eq!(limits.limiters.borrow().len(), 1);
        assert!(!asks(&new), "what is in force keeps its state");
    }
}
