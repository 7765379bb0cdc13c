//! Ending servers gracefully: one handle that every connection of a server looks at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::wakers::Wakers;

/// Ends a server's connections: gracefully when begun, at once when the server's accept loop has gone.
/// Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Drain(Rc<State>);

#[derive(Debug, Default)]
struct State {
    stage: Cell<Stage>,
    next: Cell<u64>,
    /// The connections, by order of arrival; each with its task's waker once it has been polled.
    members: RefCell<BTreeMap<u64, Option<Waker>>>,
    /// Those who wait for a change: the [`Watch`]es.
    watchers: RefCell<Wakers>,
}

/// How far a drain has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Connections serve.
    #[default]
    Open,
    /// Connections serve until their next response, which is their last.
    Retiring,
    /// Connections finish the request that they have, and close.
    Draining,
    /// Connections end now.
    Stopped,
}

impl Drain {
    /// A handle that nothing uses yet.
    pub fn new() -> Drain {
        Drain::default()
    }

    /// Begins slowly: listeners close, and each connection with its next response; one without requests stays. As Envoy
    /// drains a listener that has left its configuration.
    pub fn retire(&self) {
        self.advance(Stage::Retiring);
    }

    /// Begins: listeners close, idle connections close, busy ones finish their request first, with `connection: close`.
    pub fn begin(&self) {
        self.advance(Stage::Draining);
    }

    /// Ends every connection at once, whatever it does.
    pub fn stop(&self) {
        self.advance(Stage::Stopped);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.stage() > Stage::Open
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.0.members.borrow().len()
    }

    /// Waits until it has begun and no connection is left.
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

    pub(crate) fn stage(&self) -> Stage {
        self.0.stage.get()
    }

    /// A place among those who are woken by each change.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            drain: self.clone(),
            key: self.0.watchers.borrow_mut().key(),
        }
    }

    fn number(&self) -> u64 {
        self.0.next.replace(self.0.next.get() + 1)
    }

    /// Counts a connection in until the member is dropped.
    pub(crate) fn join(&self) -> Member {
        let id = self.number();
        self.0.members.borrow_mut().insert(id, None);
        Member {
            drain: self.clone(),
            id,
            watched: None,
        }
    }

    fn advance(&self, stage: Stage) {
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

/// A place among those who wait for a change of a drain.
#[derive(Debug)]
pub(crate) struct Watch {
    drain: Drain,
    key: u64,
}

impl Watch {
    /// Pending until the drain begins.
    pub(crate) fn poll_begun(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.drain.has_begun() {
            return Poll::Ready(());
        }
        self.wait(cx);
        Poll::Pending
    }

    /// Has the task woken by the next change.
    fn wait(&mut self, cx: &Context<'_>) {
        self.drain.0.watchers.borrow_mut().wait(self.key, cx);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.drain.0.watchers.borrow_mut().forget(self.key);
    }
}

/// One connection's place in a drain.
#[derive(Debug)]
pub(crate) struct Member {
    drain: Drain,
    id: u64,
    /// The waker left with the drain, so that a poll that brings the same one costs nothing.
    watched: Option<Waker>,
}

impl Member {
    /// How far the drain has gone; the task is woken when that changes.
    pub(crate) fn stage(&mut self, cx: &Context<'_>) -> Stage {
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

impl Drop for Member {
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
        assert_eq!(drain.stage(), Stage::Draining);
        drain.stop();
        drain.begin();
        assert_eq!(drain.stage(), Stage::Stopped);
    }
}
