//! A value under a lock that tasks can wait on. Every change increments a version and wakes the waiting tasks in the
//! order in which they started to watch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A watched value.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    state: Mutex<WatchState<T>>,
}

#[derive(Debug)]
struct WatchState<T> {
    value: T,
    version: u64,
    next_watcher: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl<T> Watched<T> {
    /// A watched value at version 0.
    pub(crate) fn new(value: T) -> Watched<T> {
        Watched {
            state: Mutex::new(WatchState {
                value,
                version: 0,
                next_watcher: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// Calls `access` with the value and its version, without counting as a change. `access` must not use this watch:
    /// it runs under the lock.
    pub(crate) fn with<R>(&self, access: impl FnOnce(&mut T, u64) -> R) -> R {
        let mut state = self.lock();
        let version = state.version;
        access(&mut state.value, version)
    }

    /// Changes the value and wakes all waiting tasks. `change` must not use this watch: it runs under the lock.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        let waiting = {
            let mut state = self.lock();
            change(&mut state.value);
            state.version += 1;
            std::mem::take(&mut state.waiting)
        };
        // Woken after the lock is released: a waker may poll immediately.
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    /// The number of changes so far.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Starts to watch for changes after version `seen`.
    pub(crate) fn watcher(self: &Arc<Self>, seen: u64) -> Watcher<T> {
        let mut state = self.lock();
        let id = state.next_watcher;
        state.next_watcher += 1;
        drop(state);
        Watcher {
            watch: Arc::clone(self),
            id,
            seen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, WatchState<T>> {
        // A panic elsewhere ends the run or the process. The version and the wakers are consistent in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription to changes. Dropping it removes its waker.
#[derive(Debug)]
pub(crate) struct Watcher<T> {
    watch: Arc<Watched<T>>,
    id: u64,
    seen: u64,
}

impl<T> Watcher<T> {
    /// Returns ready with the newest version once this watcher has not seen it.
    pub(crate) fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        let mut state = self.watch.lock();
        if state.version > self.seen {
            self.seen = state.version;
            return Poll::Ready(state.version);
        }
        match state.waiting.get_mut(&self.id) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                state.waiting.insert(self.id, cx.waker().clone());
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        let waker = self.watch.lock().waiting.remove(&self.id);
        // Dropped after the lock is released: a waker's drop may run arbitrary code.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_watcher_sees_each_burst_of_changes_once() {
        let watch = Arc::new(Watched::new(1));
        let mut watcher = watch.watcher(0);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(watcher.poll_changed(&mut cx), Poll::Pending);
        watch.change(|value| *value = 2);
        watch.change(|value| *value = 3);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(watcher.poll_changed(&mut cx), Poll::Ready(2));
        assert_eq!(watcher.poll_changed(&mut cx), Poll::Pending);
        assert_eq!(watch.with(|value, version| (*value, version)), (3, 2));
    }

    #[test]
    fn a_dropped_watcher_is_not_woken() {
        let watch = Arc::new(Watched::new(()));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut watcher = watch.watcher(0);
        assert!(
            watcher
                .poll_changed(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(watcher);
        watch.change(|()| ());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
