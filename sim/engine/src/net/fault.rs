//! Faults of links: partitions, delays and losses between two sets of hosts, in one direction. Overlapping
//! faults add up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::link::{LinkLatency, Streams, hits};
use crate::HostId;

/// Identifies a link fault that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkFaultId(u64);

/// Identifies a partition, which is a link fault like the others.
pub type PartitionId = LinkFaultId;

pub(crate) enum Effect {
    Drop,
    Delay(LinkLatency),
    Loss(u32),
}

pub(crate) struct LinkFault {
    from: BTreeSet<HostId>,
    to: BTreeSet<HostId>,
    effect: Effect,
    /// Number of packets that it has affected.
    pub(crate) hits: u64,
}

/// All faults in force, in order of addition.
#[derive(Default)]
pub(crate) struct Faults {
    faults: BTreeMap<LinkFaultId, LinkFault>,
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
            LinkFault {
                from,
                to,
                effect,
                hits: 0,
            },
        );
        id
    }

    pub(crate) fn remove(&mut self, id: LinkFaultId) -> Option<LinkFault> {
        self.faults.remove(&id)
    }

    pub(crate) fn hits(&self, id: LinkFaultId) -> u64 {
        self.faults.get(&id).map_or(0, |fault| fault.hits)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Applies all faults to one packet. Returns the added delay, or `None` if the packet is lost. Every
    /// matching fault counts the packet, even if an earlier one has already dropped it.
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
