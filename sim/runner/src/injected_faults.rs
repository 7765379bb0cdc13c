//! Injected faults of a pod's app, which add up while they overlap.
//!
//! Faults belong to the pod, so they survive a crash of the app. Work in progress is not affected: its length
//! is computed once, when it starts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use shakedown_scenarios::scenario::{Draw, DrawId, EndpointId, ServiceId, StepFailure};
use shakedown_scenarios::value::{Ratio, Share};

/// An injected fault, shared by all pods that it hits.
#[derive(Debug)]
pub(crate) struct InjectedFault {
    /// Index into the fault plan.
    pub(crate) fault: usize,
    pub(crate) kind: InjectedFaultKind,
    /// Number of work items (`Slow`) or requests (`Fail`) that it has affected.
    pub(crate) hits: Cell<u64>,
}

#[derive(Debug)]
pub(crate) enum InjectedFaultKind {
    /// Multiplies the length of every `work` step by `factor`, then adds `add`.
    Slow { factor: Ratio, add: Option<Draw> },
    /// A share of requests fails before the first step.
    Fail {
        rate: Share,
        with: StepFailure,
        /// Restricts the fault to one endpoint; `None` matches all endpoints.
        only: Option<(ServiceId, EndpointId)>,
        /// Random stream of the `rate` draw.
        draw_id: DrawId,
    },
}

/// All faults of a pod that are in force.
#[derive(Debug, Default)]
pub(crate) struct InjectedFaults(RefCell<Vec<Rc<InjectedFault>>>);

impl InjectedFault {
    fn hit(&self) {
        self.hits.set(self.hits.get() + 1);
    }
}

impl InjectedFaults {
    pub(crate) fn add(&self, injected: &Rc<InjectedFault>) {
        self.0.borrow_mut().push(Rc::clone(injected));
    }

    /// Clears the fault with this index.
    pub(crate) fn clear(&self, fault: usize) {
        self.0
            .borrow_mut()
            .retain(|injected| injected.fault != fault);
    }

    /// Returns the length of `work` at this pod: all factors are multiplied first, then all additions are
    /// summed.
    pub(crate) fn stretch(&self, work: Duration, draw: impl Fn(&Draw) -> Duration) -> Duration {
        let faults = self.0.borrow();
        let mut added = Duration::ZERO;
        let mut span = work;
        for injected in faults.iter() {
            if let InjectedFaultKind::Slow { factor, add } = &injected.kind {
                span = times(span, *factor);
                if let Some(add) = add {
                    added = added.saturating_add(draw(add));
                }
                injected.hit();
            }
        }
        span.saturating_add(added)
    }

    /// Returns the failure of a request at an endpoint before its first step, if any. The
    /// first fault in force that matches decides. The later ones draw too, since each fault counts its own
    /// hits.
    pub(crate) fn fails(
        &self,
        at: (ServiceId, EndpointId),
        chance: impl Fn(DrawId, Share) -> bool,
    ) -> Option<StepFailure> {
        let faults = self.0.borrow();
        let hits = faults.iter().map(|injected| match &injected.kind {
            InjectedFaultKind::Fail {
                rate,
                with,
                only,
                draw_id,
            } if only.is_none_or(|only| only == at) && chance(*draw_id, *rate) => {
                injected.hit();
                Some(*with)
            }
            _ => None,
        });
        hits.fold(None, Option::or)
    }
}

/// A span times a factor, to the nearest nanosecond.
fn times(span: Duration, factor: Ratio) -> Duration {
    let nanos = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    let product = Ratio::whole(nanos).checked_mul(factor);
    let nanos = product.and_then(|product| u64::try_from(product.rounded()).ok());
    Duration::from_nanos(nanos.unwrap_or(u64::MAX))
}
