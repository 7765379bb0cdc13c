//! Ejected pods, and circuit breakers at their limit.

use std::collections::BTreeMap;

use shakedown_results::{Event, PartyId, PodId};

use super::board::Board;
use crate::check::Party;
use crate::value::{CLOSED, OPEN};

/// Ejections and open breakers in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Outage {
    /// Pods that are out: whose proxy, which pod; by how many of its clusters.
    ejected: BTreeMap<(PodId, PodId), u32>,
    /// Breakers at their limit: whose proxy, towards whom; how many limits of how many clusters.
    open: BTreeMap<(PodId, PartyId), u32>,
}

impl Outage {
    /// Follows an event.
    pub(super) fn record(&mut self, event: &Event) {
        match event {
            Event::Ejected { at, pod, .. } => {
                *self.ejected.entry((*at, *pod)).or_default() += 1;
            }
            Event::Returned { at, pod } => less(&mut self.ejected, (*at, *pod)),
            Event::Breaker { at, to, open, .. } if *open => {
                *self.open.entry((*at, *to)).or_default() += 1;
            }
            Event::Breaker { at, to, .. } => less(&mut self.open, (*at, *to)),
            // A pod that is gone is ejected nowhere, and its proxy has no state.
            Event::Crashed { pod } | Event::Stopped { pod } => {
                self.ejected
                    .retain(|(at, ejected), _| at != pod && ejected != pod);
                self.open.retain(|(at, _), _| at != pod);
            }
            _ => {}
        }
    }

    /// The number of pods of a party that are ejected by at least one proxy; by those of `from` alone, if given.
    pub(super) fn ejected(&self, of: &Party, from: Option<&Party>, board: &Board) -> i64 {
        let mut pods: Vec<PodId> = self
            .ejected
            .keys()
            .filter(|(at, pod)| {
                board.is_of(*pod, of) && from.is_none_or(|from| board.sent_by(*at, from))
            })
            .map(|(_, pod)| *pod)
            .collect();
        pods.sort_unstable();
        pods.dedup();
        i64::try_from(pods.len()).unwrap_or(i64::MAX)
    }

    /// The state of the breakers of a party's proxies towards another.
    pub(super) fn breaker(&self, from: &Party, to: &Party, board: &Board) -> i64 {
        let is_open = self
            .open
            .keys()
            .any(|(at, callee)| Some(callee.0) == to.party && board.sent_by(*at, from));
        if is_open { OPEN } else { CLOSED }
    }
}

/// Decrements a count and removes it at zero; an unknown one is ignored.
fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
