//! The simulated kernel: hosts, timers, connections, links and names. Plain data under one lock. No foreign code is
//! called under the lock, so due wakers are collected, and woken after it is released.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;

use shakedown_env::{Time, UnixTime};

use crate::arena::{Arena, ArenaKey};
use crate::host::{HostId, HostSpec, SimHost};
use crate::net::endpoint::ConnectionEnd;
use crate::net::link::LinkTable;
use crate::net::packet::Packet;
use crate::net::socket::ListenSocket;
use crate::timer::TimerHeap;

/// The default maximum backlog of a listener. Source: common `somaxconn` settings; the default of Linux is 4096.
const BACKLOG: usize = 1024;

/// A scheduled event.
pub(crate) enum TimedEvent {
    /// A sleep ends.
    Wake(Waker),
    /// A packet arrives.
    Packet(Packet),
    /// Acknowledgements arrive at an endpoint that waits for them.
    Acks(ArenaKey),
    /// The retransmission timer of an endpoint expires.
    Retry(ArenaKey),
}

pub(crate) struct Kernel {
    pub(crate) now: Time,
    pub(crate) seed: u64,
    epoch: UnixTime,
    /// The virtual time at which wall clocks show the epoch.
    pub(crate) epoch_origin: Time,
    pub(crate) timers: TimerHeap<TimedEvent>,
    pub(crate) hosts: Vec<SimHost>,
    pub(crate) by_name: BTreeMap<Arc<str>, HostId>,
    pub(crate) by_address: BTreeMap<IpAddr, HostId>,
    pub(crate) endpoints: Arena<ConnectionEnd>,
    pub(crate) listeners: Arena<ListenSocket>,
    pub(crate) links: LinkTable,
    pub(crate) names: BTreeMap<String, Vec<IpAddr>>,
    /// Wakers to be woken after the lock is released.
    pub(crate) wakes: Vec<Waker>,
    /// Wakers to be dropped after the lock is released.
    pub(crate) discards: Vec<Waker>,
    pub(crate) events: u64,
}

impl Kernel {
    pub(crate) fn new(seed: u64, epoch: UnixTime) -> Kernel {
        Kernel {
            now: Time::ZERO,
            seed,
            epoch,
            epoch_origin: Time::ZERO,
            timers: TimerHeap::new(),
            hosts: Vec::new(),
            by_name: BTreeMap::new(),
            by_address: BTreeMap::new(),
            endpoints: Arena::new(),
            listeners: Arena::new(),
            links: LinkTable::new(seed),
            names: BTreeMap::new(),
            wakes: Vec::new(),
            discards: Vec::new(),
            events: 0,
        }
    }

    pub(crate) fn add_host(&mut self, spec: HostSpec) -> HostId {
        let id = HostId(u32::try_from(self.hosts.len()).expect("a run has fewer than 2^32 hosts"));
        let host = SimHost::new(id, spec, BACKLOG);
        let cell = &host.cell;
        let twin = self.by_name.insert(Arc::clone(&cell.name), id);
        assert!(twin.is_none(), "duplicate host name {}", cell.name);
        let twin = self.by_address.insert(cell.address, id);
        assert!(twin.is_none(), "duplicate host address {}", cell.address);
        self.hosts.push(host);
        id
    }

    pub(crate) fn host(&self, id: HostId) -> &SimHost {
        &self.hosts[id.index()]
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> &mut SimHost {
        &mut self.hosts[id.index()]
    }

    /// Returns the time of a host's wall clock, skew included.
    pub(crate) fn unix_time(&self, id: HostId) -> UnixTime {
        let nanos = i128::from(self.epoch.as_nanos()) + i128::from(self.now.as_nanos())
            - i128::from(self.epoch_origin.as_nanos())
            + i128::from(self.host(id).skew_ns);
        UnixTime::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// Processes all events that are due now, including those that they schedule for the same instant.
    pub(crate) fn fire_due(&mut self) {
        while let Some(due) = self.timers.pop_due(self.now) {
            self.events += 1;
            match due {
                TimedEvent::Wake(waker) => self.wakes.push(waker),
                TimedEvent::Packet(packet) => self.deliver(packet),
                TimedEvent::Acks(endpoint) => self.acks_arrive(endpoint),
                TimedEvent::Retry(endpoint) => self.retry(endpoint),
            }
        }
    }

    /// Crashes a host: its connections are removed without notifying the peers.
    pub(crate) fn crash(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        if !host.cell.is_up() {
            return;
        }
        host.cell.die();
        host.cpu.reset(now);
        let dead: Vec<ArenaKey> = self
            .listeners
            .iter()
            .filter(|(_, l)| l.host == id)
            .map(|(key, _)| key)
            .collect();
        for key in dead {
            self.forget_listener(key);
        }
        let dead: Vec<ArenaKey> = self
            .endpoints
            .iter()
            .filter(|(_, e)| e.host == id)
            .map(|(key, _)| key)
            .collect();
        for key in dead {
            self.remove(key);
        }
    }

    /// Restarts a host, without listeners and connections. A host that is up crashes first.
    pub(crate) fn restart(&mut self, id: HostId) {
        self.crash(id);
        self.host(id).cell.rise();
    }

    pub(crate) fn pause(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        if host.cell.is_up() {
            host.cell.set_paused(true);
            host.cpu.pause(now);
        }
    }

    pub(crate) fn resume(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        host.cell.set_paused(false);
        host.cpu.resume(now);
    }

    /// Crashes all hosts, at the end of the run.
    pub(crate) fn crash_all(&mut self) {
        for id in (0u32..).map(HostId).take(self.hosts.len()) {
            self.crash(id);
        }
    }

    /// Removes the state that may own handles of this simulation, to be dropped with no lock held.
    pub(crate) fn clear(&mut self) -> (TimerHeap<TimedEvent>, LinkTable) {
        let timers = std::mem::replace(&mut self.timers, TimerHeap::new());
        (
            timers,
            std::mem::replace(&mut self.links, LinkTable::new(self.seed)),
        )
    }

    /// Moves the waker of a waiting task to `wakes`.
    pub(crate) fn wake(wakes: &mut Vec<Waker>, waiting: &mut Option<Waker>) {
        wakes.extend(waiting.take());
    }

    /// Stores the waker of a waiting task. A replaced waker is moved to `discards`, because dropping a waker runs
    /// foreign code.
    pub(crate) fn wait(discards: &mut Vec<Waker>, waiting: &mut Option<Waker>, waker: &Waker) {
        if !waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            discards.extend(waiting.replace(waker.clone()));
        }
    }
}
