//! Counts of Envoy's circuit breaker for one cluster and priority: connections, pending and active requests, over the
//! pools of all hosts (source: Envoy, `source/common/upstream/resource_manager_impl.h`).
//!
//! A pool takes a permit before it connects, queues or sends, and keeps it for as long as that lasts. A permit is
//! returned on drop. A host without a connection gets one regardless of the limit, as in Envoy, so the count of
//! connections may exceed its limit by the number of hosts. The other two counts never exceed theirs.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// The counts of one cluster and priority, with their limits. Clones share them.
#[derive(Clone)]
pub struct Quota(Rc<QuotaCounts>);

/// A number for each [`QuotaBound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Connections, including those being opened.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests that have a connection or an HTTP/2 stream, until the end of their response.
    pub requests: u32,
}

/// A resource that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaBound {
    /// Envoy's `max_connections`.
    Connections,
    /// Envoy's `max_pending_requests`.
    Pending,
    /// Envoy's `max_requests`.
    Requests,
}

const BOUNDS: [QuotaBound; 3] = [
    QuotaBound::Connections,
    QuotaBound::Pending,
    QuotaBound::Requests,
];

type QuotaObserver = Rc<dyn Fn(QuotaBound, bool)>;

struct QuotaCounts {
    limits: Cell<QuotaLimits>,
    used: [Cell<u32>; 3],
    /// True for each count that is at its limit, as last reported to the listener.
    open: [Cell<bool>; 3],
    listener: RefCell<Option<QuotaObserver>>,
}

impl Default for QuotaLimits {
    /// Envoy's default of 1024 for each bound.
    fn default() -> QuotaLimits {
        QuotaLimits {
            connections: 1024,
            pending: 1024,
            requests: 1024,
        }
    }
}

impl QuotaLimits {
    fn limit(&self, bound: QuotaBound) -> u32 {
        match bound {
            QuotaBound::Connections => self.connections,
            QuotaBound::Pending => self.pending,
            QuotaBound::Requests => self.requests,
        }
    }
}

impl Quota {
    /// Creates a quota with nothing in use.
    pub fn new(limits: QuotaLimits) -> Quota {
        Quota(Rc::new(QuotaCounts {
            limits: Cell::new(limits),
            used: Default::default(),
            open: BOUNDS.map(|bound| Cell::new(limits.limit(bound) == 0)),
            listener: RefCell::default(),
        }))
    }

    /// Changes the limits. Existing permits beyond the new limits stay valid, and only later ones are refused.
    pub fn set_limits(&self, limits: QuotaLimits) {
        self.0.limits.set(limits);
        BOUNDS.iter().for_each(|bound| self.note(*bound));
    }

    pub fn limits(&self) -> QuotaLimits {
        self.0.limits.get()
    }

    /// Returns the current counts.
    pub fn in_use(&self) -> QuotaLimits {
        QuotaLimits {
            connections: self.used(QuotaBound::Connections).get(),
            pending: self.used(QuotaBound::Pending).get(),
            requests: self.used(QuotaBound::Requests).get(),
        }
    }

    /// Returns true if a count is at its limit: Envoy's `cx_open`, `rq_pending_open` and `rq_open`.
    pub fn is_open(&self, bound: QuotaBound) -> bool {
        self.used(bound).get() >= self.limits().limit(bound)
    }

    /// Calls `f` whenever a count reaches its limit (true) or falls below it (false). For a count that is already at
    /// its limit, the first call is the one with false. A later `f` replaces an earlier one.
    ///
    /// `f` is called in the middle of a pool's work, so it must not send requests or drop values obtained from a pool.
    pub fn on_change(&self, f: impl Fn(QuotaBound, bool) + 'static) {
        self.0.listener.replace(Some(Rc::new(f)));
    }

    /// Takes a permit if the limit allows it.
    pub fn take(&self, bound: QuotaBound) -> Option<Permit> {
        (!self.is_open(bound)).then(|| self.take_despite_limit(bound))
    }

    /// Takes a permit regardless of the limit.
    pub(super) fn take_despite_limit(&self, bound: QuotaBound) -> Permit {
        let used = self.used(bound);
        used.set(used.get() + 1);
        self.note(bound);
        Permit {
            quota: self.clone(),
            bound,
        }
    }

    fn used(&self, bound: QuotaBound) -> &Cell<u32> {
        &self.0.used[bound as usize]
    }

    /// Notifies the listener if a count has crossed its limit.
    fn note(&self, bound: QuotaBound) {
        let open = self.is_open(bound);
        if self.0.open[bound as usize].replace(open) == open {
            return;
        }
        let listener = self.0.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(bound, open);
        }
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("in_use", &self.in_use())
            .field("limits", &self.limits())
            .finish_non_exhaustive()
    }
}

/// The limit that does not allow another permit.
#[derive(Debug)]
pub(super) struct QuotaExceeded(pub(super) QuotaBound);

/// A permit for one unit of a counted resource. Returned to the quota on drop.
#[derive(Debug)]
pub struct Permit {
    quota: Quota,
    bound: QuotaBound,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let used = self.quota.used(self.bound);
        used.set(used.get() - 1);
        self.quota.note(self.bound);
    }
}

#[cfg(test)]
mod tests;
