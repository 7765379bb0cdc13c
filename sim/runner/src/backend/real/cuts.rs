//! Partitions in force, and the tasks that wait for one to heal.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use shakedown_env::Time;

/// Delay of the first retransmission of data. Each later one waits twice as long. The same applies to
/// [`SYN_RETRY`]. Sources: Linux, `TCP_RTO_MIN`; RFC 6298, 2.1.
pub(super) const DATA_RETRY: Duration = Duration::from_millis(200);
pub(super) const SYN_RETRY: Duration = Duration::from_secs(1);

/// Returns the time of the first retransmission at `now` or later, for data blocked since `since`.
pub(super) fn next_try(since: Time, now: Time, first: Duration) -> Time {
    let (mut at, mut step) = (since + first, first);
    while at < now {
        step *= 2;
        at += step;
    }
    at
}

/// All partitions of a run. They may overlap.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Number of partitions. The lock is not taken while it is 0.
    count: AtomicUsize,
    state: Mutex<PartitionState>,
}

#[derive(Debug, Default)]
struct PartitionState {
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

impl Partitions {
    /// Cuts the path from one set of addresses to another, in that direction only, and returns the id of the
    /// cut.
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

    /// Removes a cut, and returns the number of times that it blocked data or a connection.
    pub(super) fn remove(&self, id: u64) -> u64 {
        let mut state = self.lock();
        let hits = state.cuts.remove(&id).map_or(0, |cut| cut.hits);
        self.count.store(state.cuts.len(), Ordering::Relaxed);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        hits
    }

    /// Returns true if the path is cut. The task is then woken when any cut is removed.
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

    /// Counts data or a connection that was blocked.
    pub(super) fn hit(&self, from: IpAddr, to: IpAddr) {
        let mut state = self.lock();
        for cut in state.cuts.values_mut().filter(|cut| cut.covers(from, to)) {
            cut.hits += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, PartitionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_twice_as_long_each_time() {
        let millis = |millis: u64| Time::ZERO + Duration::from_millis(millis);
        let next = |now| next_try(millis(0), millis(now), DATA_RETRY);
        assert_eq!(
            [0, 200, 201, 601, 1_401].map(next),
            [200, 200, 600, 1_400, 3_000].map(millis)
        );
    }

    #[test]
    fn a_partition_blocks_one_direction_until_healed_and_counts_blocked_traffic() {
        let [a, b] = [1, 2].map(|last| IpAddr::from([127, 16, 0, last]));
        let cx = Context::from_waker(Waker::noop());
        let cuts = Partitions::default();
        let cut = cuts.add(vec![a], vec![a, b]);
        assert_eq!(
            [(a, b), (b, a), (a, a)].map(|(from, to)| cuts.holds(from, to, &cx)),
            [true, false, false]
        );
        cuts.hit(a, b);
        cuts.hit(b, a);
        assert_eq!(cuts.remove(cut), 1);
        assert!(!cuts.holds(a, b, &cx));
    }
}
