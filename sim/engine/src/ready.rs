//! The FIFO queue of ready tasks, and the wakers that fill it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use crate::arena::ArenaKey;

/// Tasks in the order in which they were woken.
#[derive(Default)]
pub(crate) struct ReadyQueue(Mutex<VecDeque<ArenaKey>>);

impl ReadyQueue {
    pub(crate) fn push(&self, task: ArenaKey) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(task);
    }

    /// Moves all ready tasks into `batch`, which must be empty. Its buffer becomes the queue's.
    pub(crate) fn swap(&self, batch: &mut VecDeque<ArenaKey>) {
        std::mem::swap(
            batch,
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// The waker of one task, created once and used for all its polls.
pub(crate) struct TaskWaker {
    task: ArenaKey,
    /// True if the task is in the queue, or parked on a paused host. Further wakes then have no effect.
    queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl TaskWaker {
    /// Creates the waker of a task and queues the task.
    pub(crate) fn queued(task: ArenaKey, queue: Arc<ReadyQueue>) -> Arc<TaskWaker> {
        queue.push(task);
        Arc::new(TaskWaker {
            task,
            queued: AtomicBool::new(true),
            queue,
        })
    }

    /// Must be called when the task has left the queue, before it is polled.
    pub(crate) fn clear(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A run has one thread, so the flag needs no ordering.
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.queue.push(self.task);
        }
    }
}
