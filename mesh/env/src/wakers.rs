//! Wakers of tasks that wait for the same event.

use std::task::{Context, Waker};

/// The wakers of the waiters of an event. Each waiter has one waker even if different tasks poll it, so that the length
/// is bounded by the number of waiters and not by the number of polls.
#[derive(Debug, Default)]
pub struct Wakers {
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Wakers {
    /// Returns the key of a new waiter.
    pub fn key(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Registers the task to be woken by the next event, in place of any task that polled this waiter before.
    pub fn wait(&mut self, key: u64, cx: &Context<'_>) {
        match self.waiting.iter_mut().find(|(known, _)| *known == key) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => self.waiting.push((key, cx.waker().clone())),
        }
    }

    /// Removes a waiter.
    pub fn forget(&mut self, key: u64) {
        self.waiting.retain(|(known, _)| *known != key);
    }

    /// Takes out all wakers, so that they can be woken without a borrow of this list.
    pub fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(_, waker)| waker)
    }

    /// Returns true if no waiter is known.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_waiter_has_one_waker_whichever_task_polls_it() {
        let mut wakers = Wakers::default();
        let keys = [wakers.key(), wakers.key(), wakers.key()];
        let tasks: Vec<Arc<Task>> = (0..1_000).map(|_| Arc::default()).collect();
        for task in &tasks {
            let waker = Waker::from(Arc::clone(task));
            for key in keys {
                wakers.wait(key, &Context::from_waker(&waker));
            }
        }
        assert_eq!(wakers.waiting.len(), 3);
        wakers.forget(keys[1]);
        wakers.take().for_each(Waker::wake);
        assert!(wakers.is_empty());
        let woken: Vec<usize> = tasks
            .iter()
            .map(|task| task.0.load(Ordering::Relaxed))
            .collect();
        assert_eq!(woken[999], 2);
        assert_eq!(woken.iter().sum::<usize>(), 2);
    }
}
