//! Overload protection of the application: the controllers in force of the adaptive concurrency filter, which is Envoy's,
//! and of shedding by queue time, which is ours; and the [`OverloadPermit`] that a request keeps of them until it is over.
//!
//! The policies themselves are in `adaptive` and `shed`, and read no clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::StatusCode;
use rand::Rng as _;
use shakedown_env::{Env, Rng, Sleep, Time};
use shakedown_types::ResponseFlags;
use shakedown_xds::table;

use crate::adaptive::Adaptive;
use crate::respond::{LocalReply, Overloaded, status};
use crate::shed::{ShedAdmission, ShedQueue, ShedTicket, ShedTurn};

/// The local reply to a request that waited too long, or found the queue full.
const SHED: Overloaded = Overloaded {
    status: StatusCode::SERVICE_UNAVAILABLE,
    body: "shed by queue time",
    details: "shed_by_queue_time",
    flags: ResponseFlags::OM,
};

/// The controllers of all filters of a proxy. A controller belongs to one configured filter, and a new configuration of
/// the filter begins with a new controller.
#[derive(Debug)]
pub(crate) struct Overload {
    env: Env,
    random: Rc<RefCell<Rng>>,
    adaptive: ByFilter<table::AdaptiveConcurrency, RefCell<Adaptive>>,
    queues: ByFilter<table::Shed, FilterQueue>,
}

/// Values by filter. The key is the filter's address, which stays unique because the entry itself keeps the filter alive.
/// The order has no meaning.
type ByFilter<F, T> = RefCell<BTreeMap<usize, (Arc<F>, Rc<T>)>>;

/// A request's slot in a controller, given back on drop.
#[derive(Debug)]
pub(crate) struct OverloadPermit(PermitKind);

enum PermitKind {
    Adaptive {
        controller: Rc<RefCell<Adaptive>>,
        random: Rc<RefCell<Rng>>,
        env: Env,
        started: Time,
        answered: Cell<bool>,
    },
    Queue(Rc<FilterQueue>),
}

impl Overload {
    pub(crate) fn new(env: Env) -> Overload {
        Overload {
            random: Rc::new(RefCell::new(env.rng("proxy/overload"))),
            env,
            adaptive: RefCell::default(),
            queues: RefCell::default(),
        }
    }

    /// Drops the controllers of filters that no configuration contains any more.
    pub(crate) fn sweep(&self) {
        self.adaptive
            .borrow_mut()
            .retain(|_, (filter, _)| Arc::strong_count(filter) > 1);
        self.queues
            .borrow_mut()
            .retain(|_, (filter, _)| Arc::strong_count(filter) > 1);
    }

    /// Admits a request below the concurrency limit, or refuses it.
    pub(crate) fn admit(
        &self,
        filter: &Arc<table::AdaptiveConcurrency>,
    ) -> Result<OverloadPermit, LocalReply> {
        let now = self.env.now();
        let controller = {
            let mut known = self.adaptive.borrow_mut();
            let (_, controller) = known.entry(Arc::as_ptr(filter).addr()).or_insert_with(|| {
                let controller = Rc::new(RefCell::new(Adaptive::new(**filter, now)));
                (Arc::clone(filter), controller)
            });
            Rc::clone(controller)
        };
        if !controller.borrow_mut().admit(now) {
            return Err(LocalReply::Overloaded(Overloaded {
                status: status(filter.status),
                body: "reached concurrency limit",
                details: "reached_concurrency_limit",
                flags: ResponseFlags::empty(),
            }));
        }
        Ok(OverloadPermit(PermitKind::Adaptive {
            controller,
            random: Rc::clone(&self.random),
            env: self.env.clone(),
            started: now,
            answered: Cell::new(false),
        }))
    }

    /// Admits a request once the queue lets it run, or refuses it. Dropping the future leaves the queue.
    pub(crate) async fn queue(
        &self,
        filter: &Arc<table::Shed>,
    ) -> Result<OverloadPermit, LocalReply> {
        let queue = {
            let mut known = self.queues.borrow_mut();
            let (_, queue) = known.entry(Arc::as_ptr(filter).addr()).or_insert_with(|| {
                let shed = RefCell::new(ShedQueue::new(**filter, self.env.now()));
                let queue = FilterQueue {
                    env: self.env.clone(),
                    shed,
                    waiting: RefCell::default(),
                };
                (Arc::clone(filter), Rc::new(queue))
            });
            Rc::clone(queue)
        };
        let arrival = queue.shed.borrow_mut().arrive(self.env.now());
        let runs = match arrival {
            ShedAdmission::Run => true,
            ShedAdmission::Refuse => false,
            ShedAdmission::Wait(ticket) => QueueWait::decided(&queue, ticket).await,
        };
        if runs {
            Ok(OverloadPermit(PermitKind::Queue(queue)))
        } else {
            Err(LocalReply::Overloaded(SHED))
        }
    }
}

impl OverloadPermit {
    /// Marks the request as answered, so that its latency becomes a sample. A request that was cancelled gives none.
    pub(crate) fn answered(&self) {
        if let PermitKind::Adaptive { answered, .. } = &self.0 {
            answered.set(true);
        }
    }
}

impl Drop for PermitKind {
    fn drop(&mut self) {
        match self {
            PermitKind::Adaptive {
                controller,
                random,
                env,
                started,
                answered,
            } => {
                let mut controller = controller.borrow_mut();
                if answered.get() {
                    let random = || random.borrow_mut().next_u64();
                    controller.finished(*started, env.now(), random);
                } else {
                    controller.cancelled();
                }
            }
            PermitKind::Queue(queue) => {
                queue.shed.borrow_mut().finished();
                queue.decide();
            }
        }
    }
}

impl std::fmt::Debug for PermitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PermitKind::Adaptive { .. } => "adaptive concurrency",
            PermitKind::Queue(_) => "queue slot",
        })
    }
}

/// The queue of one filter, and the requests that wait in it.
#[derive(Debug)]
struct FilterQueue {
    env: Env,
    shed: RefCell<ShedQueue>,
    waiting: RefCell<BTreeMap<ShedTicket, Rc<WaiterSlot>>>,
}

/// A waiting request's decision and waker.
#[derive(Debug, Default)]
struct WaiterSlot {
    /// `Some(true)`: run; `Some(false)`: refuse; `None`: undecided.
    decision: Cell<Option<bool>>,
    waker: RefCell<Option<Waker>>,
}

impl FilterQueue {
    /// Decides on every request whose turn has come, and wakes the oldest of the others to set its timer.
    fn decide(&self) {
        let now = self.env.now();
        loop {
            let turn = self.shed.borrow_mut().next(now);
            let (ticket, runs) = match turn {
                Some(ShedTurn::Run(ticket)) => (ticket, true),
                Some(ShedTurn::Refuse(ticket)) => (ticket, false),
                None => break,
            };
            let slot = self.waiting.borrow_mut().remove(&ticket);
            let slot = slot.expect("a ticket stays in the map until it is decided or cancelled");
            slot.decision.set(Some(runs));
            slot.wake();
        }
        let oldest = self.shed.borrow().oldest();
        let slot = oldest.and_then(|ticket| self.waiting.borrow().get(&ticket).cloned());
        if let Some(slot) = slot {
            slot.wake();
        }
    }
}

impl WaiterSlot {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A place in the queue, given up on drop.
struct QueueWait {
    queue: Rc<FilterQueue>,
    ticket: ShedTicket,
    slot: Rc<WaiterSlot>,
    /// Set in the oldest waiting request only, because one timer per queue is enough.
    sleep: Option<Sleep>,
}

impl QueueWait {
    /// Waits for the decision: true to run, false to refuse.
    async fn decided(queue: &Rc<FilterQueue>, ticket: ShedTicket) -> bool {
        let slot = Rc::<WaiterSlot>::default();
        queue.waiting.borrow_mut().insert(ticket, Rc::clone(&slot));
        let mut waiting = QueueWait {
            queue: Rc::clone(queue),
            ticket,
            slot,
            sleep: None,
        };
        poll_fn(|cx| Pin::new(&mut waiting).poll(cx)).await
    }
}

impl Future for QueueWait {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        loop {
            if let Some(runs) = this.slot.decision.take() {
                return Poll::Ready(runs);
            }
            this.slot.waker.replace(Some(cx.waker().clone()));
            let wake_at = {
                let shed = this.queue.shed.borrow();
                let is_oldest = shed.oldest() == Some(this.ticket);
                is_oldest
                    .then(|| shed.wake_at(this.queue.env.now()))
                    .flatten()
            };
            let Some(at) = wake_at else {
                return Poll::Pending;
            };
            std::task::ready!(this.queue.env.poll_until(&mut this.sleep, at, cx));
            this.queue.decide();
        }
    }
}

impl Drop for QueueWait {
    fn drop(&mut self) {
        // A decision that `poll` has not taken yet must be undone.
        match self.slot.decision.take() {
            Some(true) => {
                self.queue.shed.borrow_mut().finished();
                self.queue.decide();
            }
            Some(false) => {}
            None => {
                let known = self.queue.waiting.borrow_mut().remove(&self.ticket);
                if known.is_some() && self.queue.shed.borrow_mut().leave(self.ticket) {
                    self.queue.decide();
                }
            }
        }
    }
}
