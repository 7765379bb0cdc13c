//! Graceful shutdown of servers: a handle that every connection of a server observes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_env::Wakers;

/// Shuts down a server's connections: gracefully after [`begin`](Drain::begin) or [`retire`](Drain::retire), at once if
/// the server's accept loop is dropped. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct Drain(Rc<DrainState>);

#[derive(Debug, Default)]
struct DrainState {
    stage: Cell<DrainStage>,
    next: Cell<u64>,
    /// The connections, in order of arrival, each with its task's waker once it has been polled.
    members: RefCell<BTreeMap<u64, Option<Waker>>>,
    /// The wakers of the [`DrainWatch`]es.
    watchers: RefCell<Wakers>,
}

/// The progress of a drain. Stages only advance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DrainStage {
    /// Connections serve requests.
    #[default]
    Open,
    /// Each connection closes after its next response. Idle connections stay open.
    Retiring,
    /// Connections finish their current request and close. Idle connections close at once.
    Draining,
    /// Connections close at once.
    Stopped,
}

impl Drain {
    /// Creates a handle without connections.
    pub fn new() -> Drain {
        Drain::default()
    }

    /// Starts a slow drain, as Envoy does for a listener that was removed from its configuration: listeners close, and
    /// each connection closes after its next response. An idle connection stays open.
    pub fn retire(&self) {
        self.advance(DrainStage::Retiring);
    }

    /// Starts the drain: listeners and idle connections close. Busy connections finish their request first, with
    /// `connection: close`.
    pub fn begin(&self) {
        self.advance(DrainStage::Draining);
    }

    /// Closes every connection at once, even in the middle of a request.
    pub fn stop(&self) {
        self.advance(DrainStage::Stopped);
    }

    /// Returns true if the drain has been started by any of [`retire`](Drain::retire), [`begin`](Drain::begin) and
    /// [`stop`](Drain::stop).
    pub fn has_begun(&self) -> bool {
        self.stage() > DrainStage::Open
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.0.members.borrow().len()
    }

    /// Waits until the drain has begun and no connection is left.
    pub async fn finished(&self) {
        let mut watch = self.watch();
        poll_fn(|cx| {
            if self.has_begun() && self.connections() == 0 {
                return Poll::Ready(());
            }
            watch.wait(cx);
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn stage(&self) -> DrainStage {
        self.0.stage.get()
    }

    /// Registers a watch that is woken by each change.
    pub(crate) fn watch(&self) -> DrainWatch {
        DrainWatch {
            drain: self.clone(),
            key: self.0.watchers.borrow_mut().key(),
        }
    }

    fn number(&self) -> u64 {
        self.0.next.replace(self.0.next.get() + 1)
    }

    /// Counts a connection until the member is dropped.
    pub(crate) fn join(&self) -> DrainMember {
        let id = self.number();
        self.0.members.borrow_mut().insert(id, None);
        DrainMember {
            drain: self.clone(),
            id,
            watched: None,
        }
    }

    fn advance(&self, stage: DrainStage) {
        if self.stage() >= stage {
            return;
        }
        self.0.stage.set(stage);
        let members: Vec<Waker> = self
            .0
            .members
            .borrow_mut()
            .values_mut()
            .filter_map(|waker| waker.clone())
            .collect();
        members.iter().for_each(Waker::wake_by_ref);
        self.wake_watchers();
    }

    fn wake_watchers(&self) {
        let watchers = self.0.watchers.borrow_mut().take();
        watchers.for_each(Waker::wake);
    }
}

/// A waiter for changes of a drain.
#[derive(Debug)]
pub(crate) struct DrainWatch {
    drain: Drain,
    key: u64,
}

impl DrainWatch {
    /// Ready when the drain has begun.
    pub(crate) fn poll_begun(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.drain.has_begun() {
            return Poll::Ready(());
        }
        self.wait(cx);
        Poll::Pending
    }

    /// Registers the task to be woken by the next change.
    fn wait(&mut self, cx: &Context<'_>) {
        self.drain.0.watchers.borrow_mut().wait(self.key, cx);
    }
}

impl Drop for DrainWatch {
    fn drop(&mut self) {
        self.drain.0.watchers.borrow_mut().forget(self.key);
    }
}

/// A connection that is registered with a drain.
#[derive(Debug)]
pub(crate) struct DrainMember {
    drain: Drain,
    id: u64,
    /// The waker registered with the drain, kept so that a poll with the same waker does not register it again.
    watched: Option<Waker>,
}

impl DrainMember {
    /// Returns the stage of the drain and registers the task to be woken when it changes.
    pub(crate) fn stage(&mut self, cx: &Context<'_>) -> DrainStage {
        if !self
            .watched
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.watched = Some(cx.waker().clone());
            self.drain
                .0
                .members
                .borrow_mut()
                .insert(self.id, self.watched.clone());
        }
        self.drain.stage()
    }
}

impl Drop for DrainMember {
    fn drop(&mut self) {
        self.drain.0.members.borrow_mut().remove(&self.id);
        if self.drain.has_begun() {
            self.drain.wake_watchers();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_has_one_place_until_it_is_dropped() {
        let drain = Drain::new();
        let mut watch = drain.watch();
        let cx = Context::from_waker(Waker::noop());
        assert!(watch.poll_begun(&cx).is_pending());
        assert!(!drain.0.watchers.borrow().is_empty());
        drop(watch);
        assert!(drain.0.watchers.borrow().is_empty());
    }

    #[test]
    fn a_drain_never_goes_back() {
        let drain = Drain::new();
        assert!(!drain.has_begun());
        drain.begin();
        drain.retire();
        assert_eq!(drain.stage(), DrainStage::Draining);
        drain.stop();
        drain.begin();
        assert_eq!(drain.stage(), DrainStage::Stopped);
    }
}
