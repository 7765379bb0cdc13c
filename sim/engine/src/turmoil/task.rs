//! Tasks on turmoil's hosts. The runner spawns tasks of other hosts (to start pods), but tokio can spawn only on the
//! host that is running. Every task is therefore queued in its host's inbox, and spawned by a root task on that host.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use shakedown_env::{LocalFuture, TaskName, Time};

use super::shared::TurmoilShared;
use crate::{HostId, SimError, panics};

thread_local! {
    /// The tasks to be spawned, by host. Not part of [`TurmoilShared`], because tasks are not `Send`.
    static INBOXES: RefCell<Option<BTreeMap<HostId, VecDeque<TurmoilTask>>>> = const { RefCell::new(None) };
}

/// Reserves this thread for a run.
///
/// # Panics
/// If the thread already has a run.
pub(super) fn claim() {
    INBOXES.with_borrow_mut(|inboxes| {
        assert!(inboxes.is_none(), "a thread executes one run at a time");
        *inboxes = Some(BTreeMap::new());
    });
}

/// Ends this thread's run, and drops the tasks not spawned yet.
pub(super) fn release() {
    // Dropped after the borrow has ended, because a task's destructor may spawn tasks.
    let rest = INBOXES.with_borrow_mut(Option::take);
    drop(rest);
}

/// Drops the tasks in a host's inbox.
pub(super) fn forget(host: HostId) {
    let tasks = INBOXES.with_borrow_mut(|inboxes| inboxes.as_mut()?.remove(&host));
    drop(tasks);
}

/// Queues a task for a host that is up.
pub(super) fn spawn(
    shared: &Arc<TurmoilShared>,
    host: HostId,
    life: u32,
    name: TaskName,
    future: LocalFuture,
) {
    let task = TurmoilTask {
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

/// The root task of one incarnation of a host: spawns the tasks from the host's inbox, and never ends.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment on turmoil uses tokio's executor"
)]
pub(super) async fn root(shared: Arc<TurmoilShared>, host: HostId, life: u32) -> ::turmoil::Result {
    loop {
        let tasks = poll_fn(|cx| poll_inbox(&shared, host, life, cx)).await;
        for task in tasks {
            tokio::task::spawn_local(task);
        }
    }
}

fn poll_inbox(
    shared: &TurmoilShared,
    host: HostId,
    life: u32,
    cx: &Context<'_>,
) -> Poll<VecDeque<TurmoilTask>> {
    let tasks = if shared.life(host) == life {
        INBOXES.with_borrow_mut(|inboxes| inboxes.as_mut()?.remove(&host))
    } else {
        // The tasks belong to the host's next incarnation, which starts after this tick.
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

/// A task that makes no progress while its host is paused or down. A panic ends the run.
struct TurmoilTask {
    shared: Arc<TurmoilShared>,
    host: HostId,
    life: u32,
    name: TaskName,
    born: Time,
    future: LocalFuture,
}

impl TurmoilTask {
    /// Returns true if the task may run. During a pause, its waker is stored and woken at the end of the pause.
    fn may_run(&self, cx: &Context<'_>) -> bool {
        let mut state = self.shared.lock();
        let host = state.host_mut(self.host);
        if !host.up || host.life != self.life {
            // Turmoil drops the task at the end of the tick.
            return false;
        }
        if host.paused {
            host.held.push(cx.waker().clone());
        }
        !host.paused
    }
}

impl Future for TurmoilTask {
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
                let error = if note.message.ends_with("ports exhausted") {
                    SimError::PortsExhausted { host, at }
                } else {
                    SimError::Panicked {
                        host,
                        task: self.name,
                        born: self.born,
                        at,
                        message: note.message,
                        location: note.location,
                    }
                };
                self.shared.fail(error);
                // The task is not polled again, because the run ends with this tick.
                Poll::Ready(())
            }
        }
    }
}
