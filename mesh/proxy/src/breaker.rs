//! The circuit breaker of one cluster and priority. Like Envoy's it is a set of limits: it is open while a limit is
//! reached.
//!
//! Connections, pending and active requests are counted in the pools ([`Quota`]). Retries are counted here, from the
//! decision to retry until the retry has received response headers or has failed, including the backoff.
//! Source: Envoy, `source/common/upstream/resource_manager_impl.h`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use shakedown_types::BreakerLimit;
use shakedown_wire::{Quota, QuotaBound, QuotaLimits};
use shakedown_xds::table::Limits;

use crate::budget::retries_allowed;

/// The limits and current counts of one cluster and priority. Clones share them.
#[derive(Clone)]
pub struct CircuitBreaker(Rc<BreakerShared>);

type BreakerObserver = Rc<dyn Fn(BreakerLimit, bool)>;

struct BreakerShared {
    limits: Cell<Limits>,
    quota: Quota,
    retries: Cell<u32>,
    /// True if retries were at their limit in the last report.
    retries_open: Cell<bool>,
    listener: RefCell<Option<BreakerObserver>>,
}

/// A counted retry, which is released when dropped.
#[derive(Debug)]
pub struct RetryPermit(CircuitBreaker);

impl CircuitBreaker {
    /// Creates a breaker with all counts at zero.
    pub fn new(limits: Limits) -> CircuitBreaker {
        CircuitBreaker(Rc::new(BreakerShared {
            quota: Quota::new(quota_limits(&limits)),
            retries: Cell::new(0),
            retries_open: Cell::new(retries_allowed(&limits, 0) == 0),
            listener: RefCell::default(),
            limits: Cell::new(limits),
        }))
    }

    /// Changes the limits. Requests beyond a new limit continue.
    pub fn set_limits(&self, limits: Limits) {
        if self.0.limits.replace(limits) == limits {
            return;
        }
        self.0.quota.set_limits(quota_limits(&limits));
        self.note_retries();
    }

    /// The quota shared with the cluster's pools.
    pub fn quota(&self) -> &Quota {
        &self.0.quota
    }

    /// Starts a retry, unless the limit or the budget is exhausted.
    pub fn retry(&self) -> Option<RetryPermit> {
        if self.is_open() {
            return None;
        }
        self.0.retries.set(self.0.retries.get() + 1);
        self.note_retries();
        Some(RetryPermit(self.clone()))
    }

    /// The number of retries in progress.
    pub fn retries(&self) -> u32 {
        self.0.retries.get()
    }

    /// The current limit of concurrent retries.
    pub fn retries_allowed(&self) -> u64 {
        let used = self.0.quota.in_use();
        let requests = u64::from(used.requests) + u64::from(used.pending);
        retries_allowed(&self.0.limits.get(), requests)
    }

    /// Calls `f` whenever a count reaches its limit (true) or falls below it again (false). With a retry budget, whose
    /// limit varies with the requests, retries are only compared when one begins or ends.
    ///
    /// `f` must not send requests nor drop objects of a pool, because it is called during the pools' work.
    pub fn on_change(&self, f: impl Fn(BreakerLimit, bool) + 'static) {
        let f: BreakerObserver = Rc::new(f);
        self.0.listener.replace(Some(Rc::clone(&f)));
        self.0
            .quota
            .on_change(move |bound, open| f(limit(bound), open));
    }

    fn is_open(&self) -> bool {
        u64::from(self.0.retries.get()) >= self.retries_allowed()
    }

    fn note_retries(&self) {
        let open = self.is_open();
        if self.0.retries_open.replace(open) == open {
            return;
        }
        let listener = self.0.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(BreakerLimit::Retries, open);
        }
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        let breaker = &self.0;
        breaker.0.retries.set(breaker.0.retries.get() - 1);
        breaker.note_retries();
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("quota", &self.0.quota)
            .field("retries", &self.0.retries.get())
            .finish_non_exhaustive()
    }
}

/// Returns true if a change of limits opens or closes an unused breaker.
pub(crate) fn is_opened_or_closed(before: Limits, after: Limits) -> bool {
    let open = |limits: Limits| {
        [
            limits.connections == 0,
            limits.pending == 0,
            limits.requests == 0,
            retries_allowed(&limits, 0) == 0,
        ]
    };
    open(before) != open(after)
}

fn quota_limits(limits: &Limits) -> QuotaLimits {
    QuotaLimits {
        connections: limits.connections,
        pending: limits.pending,
        requests: limits.requests,
    }
}

fn limit(bound: QuotaBound) -> BreakerLimit {
    match bound {
        QuotaBound::Connections => BreakerLimit::Connections,
        QuotaBound::Pending => BreakerLimit::Pending,
        QuotaBound::Requests => BreakerLimit::Requests,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shakedown_xds::table::RetryBudget;

    use super::*;

    fn limits(retries: u32) -> Limits {
        Limits {
            retries,
            ..Limits::ENVOY
        }
    }

    #[test]
    fn retries_stop_at_their_limit_and_go_on_below_it() {
        let breaker = CircuitBreaker::new(limits(2));
        let (first, second) = (breaker.retry(), breaker.retry());
        assert!(first.is_some() && second.is_some());
        assert!(breaker.retry().is_none());
        drop(first);
        assert!(breaker.retry().is_some());
    }

    #[test]
    fn a_change_is_told_once_each_way() {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&reports);
        let breaker = CircuitBreaker::new(limits(1));
        breaker.on_change(move |limit, open| sink.borrow_mut().push((limit, open)));
        let permit = breaker.retry();
        assert!(breaker.retry().is_none());
        drop(permit);
        let both = [
            (BreakerLimit::Retries, true),
            (BreakerLimit::Retries, false),
        ];
        assert_eq!(*reports.borrow(), both);
    }

    #[test]
    fn a_limit_of_zero_is_open_from_the_start_and_never_told() {
        let breaker = CircuitBreaker::new(limits(0));
        breaker.on_change(|_, _| panic!("nothing changes"));
        assert!(breaker.retry().is_none());
    }

    #[test]
    fn other_limits_count_for_what_comes_and_leave_what_is_there() {
        let breaker = CircuitBreaker::new(limits(3));
        let permits: Vec<_> = (0..3).filter_map(|_| breaker.retry()).collect();
        breaker.set_limits(limits(1));
        assert_eq!((permits.len(), breaker.retries()), (3, 3));
        assert!(breaker.retry().is_none());
        drop(permits);
        assert_eq!(breaker.retries(), 0);
        assert!(breaker.retry().is_some());
    }

    #[test]
    fn other_limits_count_for_what_pools_take() {
        let breaker = CircuitBreaker::new(Limits {
            pending: 2,
            ..Limits::ENVOY
        });
        breaker.set_limits(Limits {
            pending: 1,
            ..Limits::ENVOY
        });
        let first = breaker.quota().take(QuotaBound::Pending);
        assert!(first.is_some() && breaker.quota().take(QuotaBound::Pending).is_none());
    }

    #[test]
    fn each_limit_is_told_by_its_own_name() {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&reports);
        let breaker = CircuitBreaker::new(Limits {
            connections: 1,
            pending: 1,
            requests: 1,
            ..Limits::ENVOY
        });
        breaker.on_change(move |limit, open| sink.borrow_mut().push((limit, open)));
        let taken = [
            QuotaBound::Connections,
            QuotaBound::Pending,
            QuotaBound::Requests,
        ]
        .map(|bound| breaker.quota().take(bound));
        let all = [
            BreakerLimit::Connections,
            BreakerLimit::Pending,
            BreakerLimit::Requests,
        ];
        assert_eq!(*reports.borrow(), all.map(|limit| (limit, true)));
        drop(taken);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        Drop(usize),
        Limits(u32, Option<(u32, u32)>),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Take),
            3 => (0..20usize).prop_map(Step::Drop),
            1 => (0..6u32, prop::option::of((0..=1_000_000u32, 0..6u32)))
                .prop_map(|(retries, budget)| Step::Limits(retries, budget)),
        ]
    }

    proptest! {
        #[test]
        fn no_retry_is_admitted_past_the_limit_and_no_permit_is_lost(
            steps in prop::collection::vec(step(), 0..100),
        ) {
            let breaker = CircuitBreaker::new(limits(3));
            let mut permits = Vec::new();
            for step in steps {
                match step {
                    Step::Take => {
                        let allowed = breaker.retries_allowed();
                        let before = permits.len() as u64;
                        permits.extend(breaker.retry());
                        prop_assert_eq!(permits.len() as u64 > before, before < allowed);
                    }
                    Step::Drop(index) if index < permits.len() => {
                        permits.swap_remove(index);
                    }
                    Step::Drop(_) => {}
                    Step::Limits(retries, budget) => {
                        let retry_budget = budget.map(|(share_ppm, min_concurrency)| RetryBudget {
                            share_ppm,
                            min_concurrency,
                        });
                        breaker.set_limits(Limits { retries, retry_budget, ..Limits::ENVOY });
                    }
                }
                prop_assert_eq!(breaker.retries() as usize, permits.len());
            }
            drop(permits);
            prop_assert_eq!(breaker.retries(), 0);
        }
    }
}
