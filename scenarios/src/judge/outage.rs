//! Ejected pods and open circuit breakers.

use std::collections::BTreeMap;

use shakedown_results::{Event, ParticipantId, PodId};

use super::board::PodBoard;
use crate::check::ParticipantSelector;
use crate::value::{CLOSED, OPEN};

/// The ejections and open breakers in force.
#[derive(Clone, Debug, Default)]
pub(super) struct OutageState {
    /// Ejected pods by (proxy, pod), with the number of the proxy's clusters that ejected the pod.
    ejected: BTreeMap<(PodId, PodId), u32>,
    /// Open breakers by (proxy, callee), with the number of reached limits in all clusters.
    open: BTreeMap<(PodId, ParticipantId), u32>,
}

impl OutageState {
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
            // A pod that is gone does not count as ejected, and its own proxy has lost its state.
            Event::Crashed { pod } | Event::Stopped { pod } => {
                self.ejected
                    .retain(|(at, ejected), _| at != pod && ejected != pod);
                self.open.retain(|(at, _), _| at != pod);
            }
            _ => {}
        }
    }

    /// The number of pods of a service or part of it that are ejected by at least one proxy (of `from`, if given).
    pub(super) fn ejected(
        &self,
        of: &ParticipantSelector,
        from: Option<&ParticipantSelector>,
        board: &PodBoard,
    ) -> i64 {
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

    /// The state of the breakers of `from`'s proxies towards `to`.
    pub(super) fn breaker(
        &self,
        from: &ParticipantSelector,
        to: &ParticipantSelector,
        board: &PodBoard,
    ) -> i64 {
        let is_open = self
            .open
            .keys()
            .any(|(at, callee)| Some(*callee) == to.participant && board.sent_by(*at, from));
        if is_open { OPEN } else { CLOSED }
    }
}

/// Decrements a count and removes it at zero. Ignores unknown keys.
fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
