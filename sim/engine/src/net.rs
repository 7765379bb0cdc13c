//! The simulated network, and the hand that chaos reaches in with.
//!
//! A packet here is what an application writes at once, up to 64 KiB, as a network card with segmentation offload sees it;
//! a hop takes the link's latency, and packets of one direction of a connection never overtake each other. Modelled:
//!
//! - Handshake: a client is connected after one round trip; the server accepts at one and a half, or at the first data. A
//!   closed port answers RST. A full backlog drops the SYN, as a dead or unknown host does; it is sent again after 1 s,
//!   2 s, ..., six times, then the attempt times out.
//! - Flow control: a receive window and a send buffer of 256 KiB each. A blocked writer is woken when half of its buffer
//!   is free, and the receiver tells of its window when half of it is.
//! - Loss: a lost packet is sent again after the retransmission timeout of RFC 6298 (at least 200 ms, doubling, at most
//!   120 s); after 15 in vain the connection times out. What came in order is readable, what came early waits.
//! - Close: FIN after all data, half-close, RST on close with unread data. A RST travels like data, and what came before
//!   it stays readable.
//! - Crash: the host forgets its connections and says nothing; while it is down packets vanish, after its restart they are
//!   answered with RST. A paused host's kernel works on: it accepts into the backlog, acknowledges and buffers.
//!
//! Not modelled: congestion windows, fast retransmission and retransmissions that turn out needless (only what was truly
//! lost, or whose acknowledgement was, is sent again), delayed acknowledgements, keep-alive, TIME_WAIT, path MTU.

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
pub use link::{Latency, Link};

use crate::shared::Shared;
use crate::stats::Stats;
use crate::world;
use crate::{HostId, HostSpec};
use fault::Effect;

/// The stage's hand in a run: hosts, links, names. Cheap to clone, usable from inside tasks and from the event sink.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

/// Hosts.
impl Net {
    pub(crate) fn new(shared: Arc<Shared>) -> Net {
        Net { shared }
    }

    /// Adds a host, up and empty, and gives its handle.
    ///
    /// # Panics
    /// When a host has that name or address already.
    pub fn add_host(&self, spec: HostSpec) -> Env {
        let id = self.shared.with(|kernel| kernel.add_host(spec));
        world::env(&self.shared, id)
    }

    /// A handle of a host, valid until its next crash. While it is down, one that does nothing.
    pub fn env(&self, host: HostId) -> Env {
        world::env(&self.shared, host)
    }

    /// The host of a name.
    pub fn host_id(&self, name: &str) -> Option<HostId> {
        self.shared.with(|kernel| kernel.by_name.get(name).copied())
    }

    /// The host that has an address.
    pub fn host_at(&self, address: IpAddr) -> Option<HostId> {
        self.shared
            .with(|kernel| kernel.by_address.get(&address).copied())
    }

    /// The name of a host.
    pub fn host_name(&self, host: HostId) -> String {
        self.shared
            .with(|kernel| kernel.host(host).cell.name.to_string())
    }

    /// The address of a host.
    pub fn host_address(&self, host: HostId) -> IpAddr {
        self.shared.with(|kernel| kernel.host(host).cell.address)
    }

    /// The zone that a host was added with.
    pub fn host_zone(&self, host: HostId) -> u16 {
        self.shared.with(|kernel| kernel.host(host).zone)
    }

    /// Whether a host is up.
    pub fn is_up(&self, host: HostId) -> bool {
        self.shared.with(|kernel| kernel.host(host).cell.is_up())
    }

    /// The host is gone in silence: no FIN, no RST; its tasks are dropped before the next poll of any task. A host that is
    /// down stays so.
    pub fn crash(&self, host: HostId) {
        self.shared.with(|kernel| kernel.crash(host));
        self.shared.call_attention();
    }

    /// The host is up again, empty but for its store; one that is up crashes first. Its software is to be spawned anew
    /// through the handle given.
    pub fn restart(&self, host: HostId) -> Env {
        self.shared.with(|kernel| kernel.restart(host));
        self.shared.call_attention();
        world::env(&self.shared, host)
    }

    /// No task of the host runs until it resumes, and its virtual CPU stands still. Its sockets stay open.
    pub fn pause(&self, host: HostId) {
        self.shared.with(|kernel| kernel.pause(host));
    }

    /// Ends a pause: what was woken meanwhile runs now, in that order.
    pub fn resume(&self, host: HostId) {
        self.shared.with(|kernel| kernel.resume(host));
        self.shared.call_attention();
    }

    /// Sets how far the host's wall clock is ahead (behind, when negative).
    pub fn skew(&self, host: HostId, nanos: i64) {
        self.shared
            .with(|kernel| kernel.host_mut(host).skew_ns = nanos);
    }

    /// The longest backlog of the host's listeners, connections in their handshake included; 1024 unless set.
    pub fn set_backlog(&self, host: HostId, connections: usize) {
        self.shared
            .with(|kernel| kernel.host_mut(host).backlog = connections);
    }
}

/// Links.
impl Net {
    /// How one host reaches another, asked once per direction at the first packet. Without a rule all links are
    /// instantaneous and perfect. Setting another rule forgets the answers, not the random streams. A host reaches itself
    /// at once and without loss, always. The rule and the latencies that it gives must not call this world.
    pub fn set_link(&self, rule: Box<dyn Fn(HostId, HostId) -> Link + Send>) {
        let old = self.shared.with(|kernel| kernel.links.set_rule(rule));
        drop(old);
    }

    /// Drops all packets from one set of hosts to another, that way only.
    pub fn partition(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
    ) -> PartitionId {
        self.add_fault(from, to, Effect::Drop)
    }

    /// Adds latency to all packets from one set of hosts to another. Delays add up.
    pub fn add_delay(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
        by: Latency,
    ) -> LinkFaultId {
        self.add_fault(from, to, Effect::Delay(by))
    }

    /// Loses a share of the packets from one set of hosts to another, in parts per million. Losses are independent.
    pub fn add_loss(
        &self,
        from: impl IntoIterator<Item = HostId>,
        to: impl IntoIterator<Item = HostId>,
        loss_ppm: u32,
    ) -> LinkFaultId {
        self.add_fault(from, to, Effect::Loss(loss_ppm))
    }

    /// Takes a partition, a delay or a loss back. The answer is how many packets it touched: dropped, delayed or lost.
    pub fn heal(&self, fault: LinkFaultId) -> u64 {
        let fault = self.shared.with(|kernel| kernel.links.faults.remove(fault));
        fault.map_or(0, |fault| fault.hits)
    }

    /// How many packets a partition, a delay or a loss has touched so far; 0 when it has been taken back.
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

/// Names, clocks, facts and counts.
impl Net {
    /// Gives a name to addresses, in the order in which resolvers answer them. An empty list is an empty answer.
    pub fn set_name(&self, name: impl Into<String>, addresses: Vec<IpAddr>) {
        self.shared
            .with(|kernel| kernel.names.insert(name.into(), addresses));
    }

    /// Takes a name away: resolvers then know nothing of it.
    pub fn remove_name(&self, name: &str) {
        self.shared.with(|kernel| kernel.names.remove(name));
    }

    /// Sends all facts of the mesh to `sink`, at once and with no lock held. What it emits itself follows after it returns.
    pub fn set_event_sink(&self, sink: Box<dyn FnMut(Time, HostId, MeshEvent) + Send>) {
        self.shared.sink.set(Some(sink));
    }

    /// Makes every wall clock show the epoch at `origin` (plus its host's skew).
    pub fn set_epoch_origin(&self, origin: Time) {
        self.shared.with(|kernel| kernel.epoch_origin = origin);
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// Counts so far.
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
