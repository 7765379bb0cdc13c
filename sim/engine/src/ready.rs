//! Who may run: the queue of ready tasks, first in, first out, and the wakers that fill it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use crate::arena::Key;

/// Tasks that have been woken, in that order.
#[derive(Default)]
pub(crate) struct ReadyQueue(Mutex<VecDeque<Key>>);

impl ReadyQueue {
    pub(crate) fn push(&self, task: Key) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(task);
    }

    /// Puts all that is ready into `batch`, which must be empty; its buffer serves the queue from now on.
    pub(crate) fn swap(&self, batch: &mut VecDeque<Key>) {
        std::mem::swap(
            batch,
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// The waker of one task, made once and used for all its polls.
pub(crate) struct TaskWaker {
    task: Key,
    /// It stands in the queue (or with those parked on a paused host): further wakes change nothing.
    queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl TaskWaker {
    /// The waker of a task that stands in the queue from the start.
    pub(crate) fn queued(task: Key, queue: Arc<ReadyQueue>) -> Arc<TaskWaker> {
        queue.push(task);
        Arc::new(TaskWaker {
            task,
            queued: AtomicBool::new(true),
            queue,
        })
    }

    /// The task has left the queue and is about to be polled.
    pub(crate) fn clear(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // One run is one thread: the flag needs no ordering with anything else.
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.queue.push(self.task);
        }
    }
}
