//! A bounded queue before a number of equal servers: an app's workers, or its cores if they serve in order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_scenarios::scenario::Order;

use super::visit::Gone;

#[derive(Debug)]
pub(crate) struct Servers {
    count: u32,
    limit: Option<u32>,
    order: Order,
    /// True if a request whose caller has disconnected is dropped when its turn is reached.
    drops_gone: bool,
    state: RefCell<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    busy: u32,
    waiting: VecDeque<Rc<QueueTicket>>,
    /// Number of entries in `waiting` that have left the queue. They are skipped, and removed when they make
    /// up half of it, because searching the queue for each would be quadratic if all leave at once (their pod
    /// has died).
    left: usize,
}

/// The result of entering the queue.
pub(crate) enum QueueAdmission {
    /// A server was free.
    Admitted(ServerGuard),
    /// All servers are busy: wait.
    Queued(Wait),
    /// All servers are busy and the queue is full.
    Full,
}

/// The caller had disconnected when its turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallerGone;

/// An entry of the queue.
#[derive(Debug)]
struct QueueTicket {
    turn: Cell<QueueTurn>,
    gone: Gone,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueTurn {
    Waits,
    Granted,
    Shed,
    /// Removed from the queue before its turn.
    Left,
    /// The waiter has seen that it was granted or shed.
    Over,
}

impl Servers {
    pub(crate) fn new(
        count: u32,
        limit: Option<u32>,
        order: Order,
        drops_gone: bool,
    ) -> Rc<Servers> {
        Rc::new(Servers {
            count,
            limit,
            order,
            drops_gone,
            state: RefCell::default(),
        })
    }

    /// Takes a free server, or an entry in the queue.
    pub(crate) fn enter(self: &Rc<Servers>, gone: &Gone) -> QueueAdmission {
        let mut state = self.state.borrow_mut();
        if state.busy < self.count {
            state.busy += 1;
            return QueueAdmission::Admitted(ServerGuard(Rc::clone(self)));
        }
        if self
            .limit
            .is_some_and(|limit| state.waiting.len() - state.left >= limit as usize)
        {
            return QueueAdmission::Full;
        }
        let ticket = Rc::new(QueueTicket {
            turn: Cell::new(QueueTurn::Waits),
            gone: gone.clone(),
            waker: RefCell::default(),
        });
        state.waiting.push_back(Rc::clone(&ticket));
        QueueAdmission::Queued(Wait {
            servers: Rc::clone(self),
            ticket,
        })
    }

    pub(crate) fn busy(&self) -> u32 {
        self.state.borrow().busy
    }

    /// Passes a freed server to the next entry in the queue.
    fn release(&self) {
        loop {
            let next = {
                let mut state = self.state.borrow_mut();
                let next = match self.order {
                    Order::Fifo => state.waiting.pop_front(),
                    Order::Lifo => state.waiting.pop_back(),
                };
                if next.is_none() {
                    state.busy -= 1;
                }
                next
            };
            let Some(ticket) = next else { return };
            if ticket.turn.get() == QueueTurn::Left {
                self.state.borrow_mut().left -= 1;
                continue;
            }
            let sheds = self.drops_gone && ticket.gone.is();
            ticket.turn.set(if sheds {
                QueueTurn::Shed
            } else {
                QueueTurn::Granted
            });
            if let Some(waker) = ticket.waker.take() {
                waker.wake();
            }
            if !sheds {
                return;
            }
        }
    }

    fn leave(&self, ticket: &Rc<QueueTicket>) {
        ticket.turn.set(QueueTurn::Left);
        let mut state = self.state.borrow_mut();
        state.left += 1;
        if state.left * 2 > state.waiting.len() {
            state.left = 0;
            state
                .waiting
                .retain(|other| other.turn.get() != QueueTurn::Left);
        }
    }
}

/// A permit for one server. Dropping it frees the server.
pub(crate) struct ServerGuard(Rc<Servers>);

impl Drop for ServerGuard {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Waits for a server.
pub(crate) struct Wait {
    servers: Rc<Servers>,
    ticket: Rc<QueueTicket>,
}

impl Future for Wait {
    type Output = Result<ServerGuard, CallerGone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ticket.turn.get() {
            QueueTurn::Granted => {
                self.ticket.turn.set(QueueTurn::Over);
                Poll::Ready(Ok(ServerGuard(Rc::clone(&self.servers))))
            }
            QueueTurn::Shed => {
                self.ticket.turn.set(QueueTurn::Over);
                Poll::Ready(Err(CallerGone))
            }
            QueueTurn::Waits | QueueTurn::Left | QueueTurn::Over => {
                *self.ticket.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        match self.ticket.turn.get() {
            QueueTurn::Waits => self.servers.leave(&self.ticket),
            // Granted, but dropped before it was polled again.
            QueueTurn::Granted => self.servers.release(),
            QueueTurn::Shed | QueueTurn::Left | QueueTurn::Over => {}
        }
    }
}

#[cfg(test)]
mod tests;
