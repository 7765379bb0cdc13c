//! The simulated network, and [`Net`], the interface for fault injection.
//!
//! A packet carries one write of an application, up to 64 KiB, like a segment that Linux passes to a network card with
//! segmentation offload. Transit takes the link's latency. Packets of one direction of a connection never overtake each
//! other. Modelled:
//!
//! - Handshake: a client is connected after one round trip. The server accepts after one and a half, or at the first data.
//!   A closed port replies with RST. The SYN is lost if the backlog is full, or the host is down or unknown. It is
//!   retransmitted after 1 s, 2 s, ..., six times, then the attempt times out.
//! - Flow control: a receive window and a send buffer of 256 KiB each. A blocked writer is woken when half of its buffer
//!   is free, and the receiver announces its window when half of it is free.
//! - Loss: a lost packet is retransmitted after the timeout of RFC 6298 (at least 200 ms, doubling, at most 120 s). After
//!   15 failed retransmissions, the connection times out. Data received in order is readable, early data is buffered.
//! - Close: FIN after all data, half-close, RST on close with unread data. A RST travels like data, and data received
//!   before it stays readable.
//! - Crash: the host drops its connections without notifying the peers. Packets to it are lost while it is down, and
//!   answered with RST after its restart. The kernel of a paused host keeps working: it accepts into the backlog,
//!   acknowledges and buffers.
//!
//! Not modelled: congestion windows, fast retransmission, spurious retransmissions (a packet is sent again only if it, or
//! its acknowledgement, was really lost), delayed acknowledgements, keep-alive, TIME_WAIT, path MTU.

pub(crate) mod acks;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod endpoint;
pub(crate) mod fault;
pub(crate) mod flow;
pub(crate) mod handshake;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod packet;
pub(crate) mod recovery;
pub(crate) mod socket;
pub(crate) mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shakedown_env::{Env, Time};
use shakedown_types::MeshEvent;

pub use fault::{LinkFaultId, PartitionId};
pub use link::{LinkLatency, SimLink};

use crate::shared::SimShared;
use crate::stats::Stats;
use crate::world;
use crate::{HostId, HostSpec};
use fault::Effect;

/// The runner's handle to the simulated network: hosts, links, names. Cheap to clone, and usable from tasks and from
/// the event sink.
#[derive(Clone)]
pub struct Net {
    shared: Arc<SimShared>,
}

impl Net {
    pub(crate) fn new(shared: Arc<SimShared>) -> Net {
        Net { shared }
    }

    /// Adds a host, which is up and has no tasks, and returns its handle.
    ///
    /// # Panics
    /// If a host with that name or address exists.
    pub fn add_host(&self, spec: HostSpec) -> Env {
        let id = self.shared.with(|kernel| kernel.add_host(spec));
        world::env(&self.shared, id)
    }

    /// Returns a handle of a host, valid until its next crash. For a host that is down, the handle does nothing.
    pub fn env(&self, host: HostId) -> Env {
        world::env(&self.shared, host)
    }

    pub fn host_id(&self, name: &str) -> Option<HostId> {
        self.shared.with(|kernel| kernel.by_name.get(name).copied())
    }

    pub fn host_at(&self, address: IpAddr) -> Option<HostId> {
        self.shared
            .with(|kernel| kernel.by_address.get(&address).copied())
    }

    pub fn host_name(&self, host: HostId) -> String {
        self.shared
            .with(|kernel| kernel.host(host).cell.name.to_string())
    }

    pub fn host_address(&self, host: HostId) -> IpAddr {
        self.shared.with(|kernel| kernel.host(host).cell.address)
    }

    pub fn is_up(&self, host: HostId) -> bool {
        self.shared.with(|kernel| kernel.host(host).cell.is_up())
    }

    /// Crashes a host without notifying its peers: no FIN, no RST. Its tasks are dropped before the next poll of any
    /// task. Does nothing if the host is down.
    pub fn crash(&self, host: HostId) {
        self.shared.with(|kernel| kernel.crash(host));
        self.shared.call_attention();
    }

    /// Restarts a host, which keeps only its store. A host that is up crashes first. The caller must spawn its tasks
    /// again through the returned handle.
    pub fn restart(&self, host: HostId) -> Env {
        self.shared.with(|kernel| kernel.restart(host));
        self.shared.call_attention();
        world::env(&self.shared, host)
    }

    /// Pauses a host: none of its tasks run, and its virtual CPU makes no progress, until [`Net::resume`]. Its sockets
    /// stay open.
    pub fn pause(&self, host: HostId) {
        self.shared.with(|kernel| kernel.pause(host));
    }

    /// Ends a pause. Tasks woken during the pause run now, in the order in which they were woken.
    pub fn resume(&self, host: HostId) {
        self.shared.with(|kernel| kernel.resume(host));
        self.shared.call_attention();
    }

    /// Sets the offset of the host's wall clock, ns; negative if it is behind.
    pub fn skew(&self, host: HostId, nanos: i64) {
        self.shared
            .with(|kernel| kernel.host_mut(host).skew_ns = nanos);
    }

    /// Sets the maximum backlog of the host's listeners, including connections in their handshake. The default is 1024.
    #[cfg(test)]
    pub(crate) fn set_backlog(&self, host: HostId, connections: usize) {
        self.shared
            .with(|kernel| kernel.host_mut(host).backlog = connections);
    }
}

impl Net {
    /// Sets the rule that defines the link from one host to another. The rule is called once per direction, at the
    /// first packet. Without a rule, all links are instantaneous and lossless. Setting another rule discards the known
    /// links, but not their random streams. A host always reaches itself without latency and loss. The rule and the
    /// latencies it returns must not call this simulation.
    pub fn set_link(&self, rule: Box<dyn Fn(HostId, HostId) -> SimLink + Send>) {
        let old = self.shared.with(|kernel| kernel.links.set_rule(rule));
        drop(old);
    }

    /// Drops all packets from one set of hosts to another, in this direction only.
    pub fn partition(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
    ) -> PartitionId {
        self.add_fault(from, to, Effect::Drop)
    }

    /// Adds latency to all packets from one set of hosts to another. Delays add up. For the chaos action `delay`,
    /// which the scenario language does not have yet.
    pub fn add_delay(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
        by: LinkLatency,
    ) -> LinkFaultId {
        self.add_fault(from, to, Effect::Delay(by))
    }

    /// Loses a share of the packets from one set of hosts to another, in parts per million. Losses are independent.
    /// For the chaos action `loss`, which the scenario language does not have yet.
    pub fn add_loss(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
        loss_ppm: u32,
    ) -> LinkFaultId {
        self.add_fault(from, to, Effect::Loss(loss_ppm))
    }

    /// Clears a partition, a delay or a loss. Returns the number of packets that it dropped, delayed or lost.
    pub fn heal(&self, fault: LinkFaultId) -> u64 {
        let fault = self.shared.with(|kernel| kernel.links.faults.remove(fault));
        fault.map_or(0, |fault| fault.hits)
    }

    /// Returns the number of packets that a partition, a delay or a loss has affected so far; 0 if it has been cleared.
    pub fn hits(&self, fault: LinkFaultId) -> u64 {
        self.shared.with(|kernel| kernel.links.faults.hits(fault))
    }

    fn add_fault(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
        effect: Effect,
    ) -> LinkFaultId {
        let (from, to) = (from.into_iter().collect(), to.into_iter().collect());
        self.shared
            .with(|kernel| kernel.links.faults.add(from, to, effect))
    }
}

impl Net {
    /// Sets the addresses of a name, in the order in which resolvers return them. An empty list resolves to no
    /// addresses.
    pub fn set_name(&self, name: impl Into<String>, addresses: Vec<IpAddr>) {
        self.shared
            .with(|kernel| kernel.names.insert(name.into(), addresses));
    }

    /// Removes a name. Resolving it then fails with `NotFound`.
    #[cfg(test)]
    pub(crate) fn remove_name(&self, name: &str) {
        self.shared.with(|kernel| kernel.names.remove(name));
    }

    /// Sends all mesh events to `sink`, synchronously and with no lock held. Events that the sink itself emits are
    /// delivered after it returns.
    pub fn set_event_sink(&self, sink: Box<dyn FnMut(Time, HostId, MeshEvent) + Send>) {
        self.shared.sink.set(Some(sink));
    }

    /// Sets the virtual time at which every wall clock shows the epoch, plus its host's skew.
    pub fn set_epoch_origin(&self, origin: Time) {
        self.shared.with(|kernel| kernel.epoch_origin = origin);
    }

    pub fn now(&self) -> Time {
        self.shared.now()
    }

    pub fn stats(&self) -> Stats {
        let polls = self.shared.polls.load(Ordering::Relaxed);
        let tasks = self.shared.tasks.load(Ordering::Relaxed);
        self.shared.with(|kernel| Stats {
            polls,
            events: kernel.events,
            packets: kernel.links.packets,
            live_timers: kernel.timers.len(),
            tasks,
            connections: kernel.endpoints.len(),
        })
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
