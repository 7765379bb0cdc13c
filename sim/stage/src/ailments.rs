//! Faults of a pod's app, which add up while they overlap. They belong to the pod, so they
//! outlive a crash; work that has begun keeps the length that it began with.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use shakedown_scenarios::story::{Draw, Failure, Place};
use shakedown_scenarios::value::{Ratio, Share};

/// A fault, shared by all pods that it hits.
#[derive(Debug)]
pub(crate) struct Ailment {
    /// Index into the plan.
    pub(crate) fault: usize,
    pub(crate) kind: Kind,
    /// The number of pieces of work, or requests, that it has touched.
    pub(crate) hits: Cell<u64>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Every `work` takes this many times as long, and this much more.
    Slow { factor: Ratio, add: Option<Draw> },
    /// A share of requests fails before the first step.
    Fail {
        rate: Share,
        with: Failure,
        /// Only at this endpoint (service, endpoint).
        only: Option<(usize, u16)>,
        /// The random stream for the chance.
        place: Place,
    },
}

/// All faults of a pod.
#[derive(Debug, Default)]
pub(crate) struct Ailments(RefCell<Vec<Rc<Ailment>>>);

impl Ailment {
    fn hit(&self) {
        self.hits.set(self.hits.get() + 1);
    }
}

impl Ailments {
    /// Adds a fault.
    pub(crate) fn add(&self, ailment: &Rc<Ailment>) {
        self.0.borrow_mut().push(Rc::clone(ailment));
    }

    /// A fault is over.
    pub(crate) fn cure(&self, fault: usize) {
        self.0.borrow_mut().retain(|ailment| ailment.fault != fault);
    }

    /// The length of work at this pod: factors multiply, then additions add up.
    pub(crate) fn stretch(&self, work: Duration, draw: impl Fn(&Draw) -> Duration) -> Duration {
        let ailments = self.0.borrow();
        let mut added = Duration::ZERO;
        let mut span = work;
        for ailment in ailments.iter() {
            if let Kind::Slow { factor, add } = &ailment.kind {
                span = times(span, *factor);
                if let Some(add) = add {
                    added = added.saturating_add(draw(add));
                }
                ailment.hit();
            }
        }
        span.saturating_add(added)
    }

    /// The failure of a request at an endpoint (service, endpoint) before its first step, if any: of the first fault in force
    /// that hits it says. Each of them draws, so that one that is always beaten by an earlier one has its hits too.
    pub(crate) fn fails(
        &self,
        at: (usize, u16),
        chance: impl Fn(Place, Share) -> bool,
    ) -> Option<Failure> {
        let ailments = self.0.borrow();
        let hits = ailments.iter().map(|ailment| match &ailment.kind {
            Kind::Fail {
                rate,
                with,
                only,
                place,
            } if only.is_none_or(|only| only == at) && chance(*place, *rate) => {
                ailment.hit();
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
