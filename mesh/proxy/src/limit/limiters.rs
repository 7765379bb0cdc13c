//! The token buckets in force: those of each local rate limit, and those of each connection.
//!
//! Source: Envoy, the local rate limit filter and its `local_rate_limit_per_downstream_connection`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use shakedown_env::Time;
use shakedown_xds::table::RateLimit;

use super::{DescriptorEntry, LimitDecision, Limiter};

/// The limiters of all rate limits of a proxy. A limiter belongs to one configured limit, so that its buckets begin full
/// with each new configuration, as in Envoy.
#[derive(Debug, Default)]
pub(crate) struct Limiters {
    /// Keyed by the limit's address, which stays unique because the entry itself keeps the limit alive. The order has no
    /// meaning.
    by_limit: RefCell<BTreeMap<usize, (Arc<RateLimit>, Limiter)>>,
}

/// The limiter of one connection, for limits that count each connection by itself. The first such limit that a request of
/// the connection passes creates it, because in Envoy a connection has one set of buckets.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLimiter(RefCell<Option<Limiter>>);

impl Limiters {
    /// Takes a token for a request with these descriptions.
    pub(crate) fn admit(
        &self,
        limit: &Arc<RateLimit>,
        descriptions: &[Vec<DescriptorEntry>],
        now: Time,
    ) -> LimitDecision {
        let mut limiters = self.by_limit.borrow_mut();
        let (_, limiter) = limiters
            .entry(Arc::as_ptr(limit).addr())
            .or_insert_with(|| (Arc::clone(limit), Limiter::new(limit, now)));
        limiter.admit(descriptions, now)
    }

    /// Drops the limiters of limits that no configuration contains any more.
    pub(crate) fn sweep(&self) {
        let in_force = |limit: &Arc<RateLimit>| Arc::strong_count(limit) > 1;
        self.by_limit
            .borrow_mut()
            .retain(|_, (limit, _)| in_force(limit));
    }
}

impl ConnectionLimiter {
    /// Takes a token for a request with these descriptions.
    pub(crate) fn admit(
        &self,
        limit: &RateLimit,
        descriptions: &[Vec<DescriptorEntry>],
        now: Time,
    ) -> LimitDecision {
        let mut limiter = self.0.borrow_mut();
        let limiter = limiter.get_or_insert_with(|| Limiter::new(limit, now));
        limiter.admit(descriptions, now)
    }
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
        let limits = Limiters::default();
        let asks = |limit: &Arc<RateLimit>| limits.admit(limit, &[], Time::ZERO).allowed;
        let old = of_one();
        assert!(asks(&old) && !asks(&old));
        let new = of_one();
        assert!(asks(&new) && !asks(&new));
        drop(old);
        limits.sweep();
        assert_eq!(limits.by_limit.borrow().len(), 1);
        assert!(!asks(&new), "what is in force keeps its state");
    }
}
