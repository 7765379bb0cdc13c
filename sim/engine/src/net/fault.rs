//! Faults of links: partitions, delays and losses between two sets of hosts, one way. Overlaps add up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::link::{Latency, Streams, hits};
use crate::HostId;

/// A fault of links that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkFaultId(u64);

/// A partition is a fault of links like the others.
pub type PartitionId = LinkFaultId;

pub(crate) enum Effect {
    Drop,
    Delay(Latency),
    Loss(u32),
}

pub(crate) struct Fault {
    from: BTreeSet<HostId>,
    to: BTreeSet<HostId>,
    effect: Effect,
    /// Packets that it touched.
    pub(crate) hits: u64,
}

/// All faults in force, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Faults {
    faults: BTreeMap<LinkFaultId, Fault>,
    added: u64,
}

impl Faults {
    pub(crate) fn add(
        &mut self,
        from: BTreeSet<HostId>,
        to: BTreeSet<HostId>,
        effect: Effect,
    ) -> LinkFaultId {
        let id = LinkFaultId(self.added);
        self.added += 1;
        self.faults.insert(
            id,
            Fault {
                from,
                to,
                effect,
                hits: 0,
            },
        );
        id
    }

    pub(crate) fn remove(&mut self, id: LinkFaultId) -> Option<Fault> {
        self.faults.remove(&id)
    }

    pub(crate) fn hits(&self, id: LinkFaultId) -> u64 {
        self.faults.get(&id).map_or(0, |fault| fault.hits)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// What befalls one packet: the delay added, or `None` when it is lost. Every fault that matches counts the packet,
    /// also when an earlier one has dropped it already.
    pub(crate) fn befall(
        &mut self,
        from: HostId,
        to: HostId,
        streams: &mut Streams,
    ) -> Option<Duration> {
        let mut delay = Duration::ZERO;
        let mut lost = false;
        for fault in self.faults.values_mut() {
            if !fault.from.contains(&from) || !fault.to.contains(&to) {
                continue;
            }
            let touched = match &fault.effect {
                Effect::Drop => {
                    lost = true;
                    true
                }
                Effect::Delay(by) => {
                    delay += by.draw(|| streams.fault());
                    true
                }
                Effect::Loss(ppm) => {
                    let hit = hits(*ppm, streams.fault());
                    lost |= hit;
                    hit
                }
            };
            fault.hits += u64::from(touched);
        }
        (!lost).then_some(delay)
    }
}
