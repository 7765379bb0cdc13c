//! The futures of a request's attempts: the first is stored in place, which is enough for most requests, and others on
//! the heap.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::send::{AttemptResult, ConnectMark};

/// The futures of the open attempts, by attempt number.
pub(super) struct AttemptSlots<'s, 'c, F> {
    first: Pin<&'s mut Option<F>>,
    /// The number of the attempt that is stored in place.
    number: Option<u32>,
    connected: &'c Cell<bool>,
    more: Vec<AttemptSlot<F>>,
}

struct AttemptSlot<F> {
    number: u32,
    connected: Rc<Cell<bool>>,
    future: Pin<Box<F>>,
}

impl<'s, 'c, F: Future<Output = AttemptResult>> AttemptSlots<'s, 'c, F> {
    pub(super) fn new(first: Pin<&'s mut Option<F>>, connected: &'c Cell<bool>) -> Self {
        AttemptSlots {
            first,
            number: None,
            connected,
            more: Vec::new(),
        }
    }

    /// Adds an attempt, which starts when it is polled.
    pub(super) fn start(&mut self, number: u32, make: impl FnOnce(ConnectMark<'c>) -> F) {
        if self.number.is_none() {
            self.connected.set(false);
            self.first
                .as_mut()
                .set(Some(make(ConnectMark::Lent(self.connected))));
            self.number = Some(number);
        } else {
            let connected = Rc::new(Cell::new(false));
            let future = Box::pin(make(ConnectMark::Own(Rc::clone(&connected))));
            self.more.push(AttemptSlot {
                number,
                connected,
                future,
            });
        }
    }

    /// Drops an attempt, which resets it if it is still in progress.
    pub(super) fn stop(&mut self, number: u32) {
        if self.number == Some(number) {
            self.first.as_mut().set(None);
            self.number = None;
        }
        self.more.retain(|slot| slot.number != number);
    }

    /// Drops all attempts.
    pub(super) fn stop_all(&mut self) {
        self.first.as_mut().set(None);
        self.number = None;
        self.more.clear();
    }

    /// Polls an attempt. One that has returned `Ready` must be stopped, not polled again.
    pub(super) fn poll(&mut self, number: u32, cx: &mut Context<'_>) -> Poll<AttemptResult> {
        if self.number == Some(number) {
            let first = self.first.as_mut().as_pin_mut();
            return first.map_or(Poll::Pending, |first| first.poll(cx));
        }
        let slot = self.more.iter_mut().find(|slot| slot.number == number);
        slot.map_or(Poll::Pending, |slot| slot.future.as_mut().poll(cx))
    }

    /// True if the attempt, not stopped yet, has a connection.
    pub(super) fn is_connected(&self, number: u32) -> bool {
        if self.number == Some(number) {
            return self.connected.get();
        }
        let slot = self.more.iter().find(|slot| slot.number == number);
        slot.is_some_and(|slot| slot.connected.get())
    }
}
