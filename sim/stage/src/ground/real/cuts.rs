//! Partitions in force: who is cut off from whom, and who waits for the healing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// All partitions of a run. They overlap freely.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// How many there are: without any, nobody takes the lock.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    cuts: BTreeMap<u64, OneWay>,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct OneWay {
    from: BTreeSet<IpAddr>,
    to: BTreeSet<IpAddr>,
    hits: u64,
}

impl OneWay {
    fn covers(&self, from: IpAddr, to: IpAddr) -> bool {
        from != to && self.from.contains(&from) && self.to.contains(&to)
    }
}

impl Cuts {
    /// Cuts one set of addresses off from another, that way only.
    pub(super) fn add(&self, from: Vec<IpAddr>, to: Vec<IpAddr>) -> u64 {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let cut = OneWay {
            from: from.into_iter().collect(),
            to: to.into_iter().collect(),
            hits: 0,
        };
        state.cuts.insert(id, cut);
        self.count.store(state.cuts.len(), Ordering::Relaxed);
        id
    }

    /// Takes a cut back; the answer is how much it held up.
    pub(super) fn remove(&self, id: u64) -> u64 {
        let mut state = self.lock();
        let hits = state.cuts.remove(&id).map_or(0, |cut| cut.hits);
        self.count.store(state.cuts.len(), Ordering::Relaxed);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        hits
    }

    /// Whether nothing passes that way; if so, the task is woken when a cut is healed.
    pub(super) fn holds(&self, from: IpAddr, to: IpAddr, cx: &Context<'_>) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut state = self.lock();
        if !state.cuts.values().any(|cut| cut.covers(from, to)) {
            return false;
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        true
    }

    /// Something was held up on its way.
    pub(super) fn hit(&self, from: IpAddr, to: IpAddr) {
        let mut state = self.lock();
        for cut in state.cuts.values_mut().filter(|cut| cut.covers(from, to)) {
            cut.hits += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
