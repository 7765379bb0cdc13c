//! What Envoy's circuit breaker counts for one cluster and priority: connections, pending and active requests, over the
//! pools of all its hosts (source: Envoy, `source/common/upstream/resource_manager_impl.h`).
//!
//! A pool asks before it connects, queues or sends, and holds a permit for as long as that lasts; a permit gives itself
//! back however it is dropped. A host without any connection gets one whatever the limit, as in Envoy, so that the count of
//! connections may exceed its limit by the number of hosts; the other two never do.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// The counts of one cluster and priority, and their limits. Clones share them.
#[derive(Clone)]
pub struct Quota(Rc<Counts>);

/// One number for each [`Bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Connections, those being opened included.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests that have a connection, or a stream of one, until the end of their response.
    pub requests: u32,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// Envoy's `max_connections`.
    Connections,
    /// Envoy's `max_pending_requests`.
    Pending,
    /// Envoy's `max_requests`.
    Requests,
}

const BOUNDS: [Bound; 3] = [Bound::Connections, Bound::Pending, Bound::Requests];

type Listener = Rc<dyn Fn(Bound, bool)>;

struct Counts {
    limits: Cell<QuotaLimits>,
    used: [Cell<u32>; 3],
    /// Whether each is at its limit, as last told to the listener.
    open: [Cell<bool>; 3],
    listener: RefCell<Option<Listener>>,
}

impl Default for QuotaLimits {
    /// Envoy's 1024 of each.
    fn default() -> QuotaLimits {
        QuotaLimits {
            connections: 1024,
            pending: 1024,
            requests: 1024,
        }
    }
}

impl QuotaLimits {
    fn of(&self, bound: Bound) -> u32 {
        match bound {
            Bound::Connections => self.connections,
            Bound::Pending => self.pending,
            Bound::Requests => self.requests,
        }
    }
}

impl Quota {
    /// Nothing is in use yet.
    pub fn new(limits: QuotaLimits) -> Quota {
        Quota(Rc::new(Counts {
            limits: Cell::new(limits),
            used: Default::default(),
            open: BOUNDS.map(|bound| Cell::new(limits.of(bound) == 0)),
            listener: RefCell::default(),
        }))
    }

    /// Changes the limits. What is in use beyond them goes on; only what is asked for later is refused.
    pub fn set_limits(&self, limits: QuotaLimits) {
        self.0.limits.set(limits);
        BOUNDS.iter().for_each(|bound| self.note(*bound));
    }

    /// The limits.
    pub fn limits(&self) -> QuotaLimits {
        self.0.limits.get()
    }

    /// What is in use.
    pub fn in_use(&self) -> QuotaLimits {
        QuotaLimits {
            connections: self.used(Bound::Connections).get(),
            pending: self.used(Bound::Pending).get(),
            requests: self.used(Bound::Requests).get(),
        }
    }

    /// Whether a count is at its limit: Envoy's `cx_open`, `rq_pending_open` and `rq_open`.
    pub fn is_open(&self, bound: Bound) -> bool {
        self.used(bound).get() >= self.limits().of(bound)
    }

    /// Calls `f` whenever a count comes to its limit (true) or below it again (false); of one that is at its limit already
    /// it hears when that ends. A later `f` takes the place of an earlier one.
    ///
    /// `f` is called in the middle of a pool's work: it must not send, nor drop what a pool has given.
    pub fn on_change(&self, f: impl Fn(Bound, bool) + 'static) {
        self.0.listener.replace(Some(Rc::new(f)));
    }

    /// One more, where the limit allows it.
    pub fn take(&self, bound: Bound) -> Option<Permit> {
        (!self.is_open(bound)).then(|| self.take_anyway(bound))
    }

    /// One more, whatever the limit.
    pub(super) fn take_anyway(&self, bound: Bound) -> Permit {
        let used = self.used(bound);
        used.set(used.get() + 1);
        self.note(bound);
        Permit {
            quota: self.clone(),
            bound,
        }
    }

    fn used(&self, bound: Bound) -> &Cell<u32> {
        &self.0.used[bound as usize]
    }

    /// Tells the listener where a count has crossed its limit.
    fn note(&self, bound: Bound) {
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

/// One of what a quota counts; gives itself back when dropped.
#[derive(Debug)]
pub struct Permit {
    quota: Quota,
    bound: Bound,
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
