//! Tasks on turmoil's hosts. A task may be spawned on one host by another's (that is how the stage starts pods), and tokio
//! spawns only where it runs: so every task goes through its host's inbox, which a root task on the host empties.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use shakedown_env::{LocalFuture, TaskName, Time};

use super::shared::Shared;
use crate::{HostId, SimError, panics};

thread_local! {
    /// Here and not with what hosts share, because tasks stay on their thread.
    static INBOXES: RefCell<Option<BTreeMap<HostId, VecDeque<Task>>>> = const { RefCell::new(None) };
}

/// This thread carries a run from now on.
///
/// # Panics
/// When it carries one already.
pub(super) fn claim() {
    INBOXES.with_borrow_mut(|inboxes| {
        assert!(inboxes.is_none(), "a thread carries one run at a time");
        *inboxes = Some(BTreeMap::new());
    });
}

/// This thread carries no run any more.
pub(super) fn release() {
    // Dropped with nothing borrowed: a task's end may spawn.
    let rest = INBOXES.with_borrow_mut(Option::take);
    drop(rest);
}

/// Drops what a host was to start.
pub(super) fn forget(host: HostId) {
    let tasks = INBOXES.with_borrow_mut(|inboxes| inboxes.as_mut()?.remove(&host));
    drop(tasks);
}

/// Gives a task to a living host.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    host: HostId,
    life: u32,
    name: TaskName,
    future: LocalFuture,
) {
    let task = Task {
        shared: Arc::clone(shared),
        host,
        life,
        name,
        born: shared.now(),
        future,
    };
    let refused = INBOXES.with_borrow_mut(|inboxes| match inboxes {
        Some(inboxes) => {
            inboxes.entry(host).or_default().push_back(task);
            None
        }
        None => Some(task),
    });
    drop(refused);
    let root = shared.lock().host_mut(host).root.take();
    if let Some(root) = root {
        root.wake();
    }
}

/// A host's software in one of its lives: starts the tasks that are given to it, for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to tokio's executor, for this world"
)]
pub(super) async fn root(shared: Arc<Shared>, host: HostId, life: u32) -> ::turmoil::Result {
    loop {
        let tasks = poll_fn(|cx| poll_inbox(&shared, host, life, cx)).await;
        for task in tasks {
            tokio::task::spawn_local(task);
        }
    }
}

fn poll_inbox(shared: &Shared, host: HostId, life: u32, cx: &Context<'_>) -> Poll<VecDeque<Task>> {
    let tasks = if shared.life(host) == life {
        INBOXES.with_borrow_mut(|inboxes| inboxes.as_mut()?.remove(&host))
    } else {
        // They are for the host's next life, which begins after this tick.
        None
    };
    match tasks {
        Some(tasks) => Poll::Ready(tasks),
        None => {
            shared.lock().host_mut(host).root = Some(cx.waker().clone());
            Poll::Pending
        }
    }
}

/// A task that stands still while its host is paused or gone, and whose panic ends the run.
struct Task {
    shared: Arc<Shared>,
    host: HostId,
    life: u32,
    name: TaskName,
    born: Time,
    future: LocalFuture,
}

impl Task {
    /// Whether it may run; if not, it is woken when it may.
    fn may_run(&self, cx: &Context<'_>) -> bool {
        let mut state = self.shared.lock();
        let host = state.host_mut(self.host);
        if !host.up || host.life != self.life {
            // It is dropped when the tick is over.
            return false;
        }
        if host.paused {
            host.held.push(cx.waker().clone());
        }
        !host.paused
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.may_run(cx) {
            return Poll::Pending;
        }
        match panics::catch(|| self.future.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(note) => {
                let host = self.shared.lock().host(self.host).name.to_string();
                let at = self.shared.now();
                // Source: turmoil 0.7.2, src/host.rs::Host::assign_ephemeral_port, which panics.
                let error = match note.message.ends_with("ports exhausted") {
                    true => SimError::PortsExhausted { host, at },
                    false => SimError::Panicked {
                        host,
                        task: self.name,
                        born: self.born,
                        at,
                        message: note.message,
                        location: note.location,
                    },
                };
                self.shared.fail(error);
                // Not polled again: the run ends with this tick.
                Poll::Ready(())
            }
        }
    }
}
