//! Hosts: what the stage says of one, and what the simulated kernel keeps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use shakedown_env::StoreValue;

use crate::arena::Key;
use crate::cpu::Cpu;

/// A host of one run, numbered in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// Its number in the run, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A host as the stage asks for it.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Its name, unique in the run; names its random streams.
    pub name: String,
    /// Its one address, unique in the run.
    pub address: IpAddr,
    /// The number of its zone, for whoever asks.
    pub zone: u16,
    /// What [`Work::Request`](shakedown_env::Work::Request) costs in virtual CPU time.
    pub request_cost: Duration,
    /// What [`Work::Handshake`](shakedown_env::Work::Handshake) costs in virtual CPU time.
    pub handshake_cost: Duration,
    /// How many virtual CPUs share that work, first in, first out; 0 counts as 1.
    pub cost_workers: u32,
}

impl HostSpec {
    /// A host in zone 0, of whose CPU the mesh's own work takes nothing.
    pub fn new(name: impl Into<String>, address: IpAddr) -> HostSpec {
        HostSpec {
            name: name.into(),
            address,
            zone: 0,
            request_cost: Duration::ZERO,
            handshake_cost: Duration::ZERO,
            cost_workers: 1,
        }
    }
}

/// Whether a host lives, readable without a lock by everything that belongs to it.
#[derive(Debug)]
pub(crate) struct HostCell {
    pub(crate) id: HostId,
    pub(crate) name: Arc<str>,
    pub(crate) address: IpAddr,
    up: AtomicBool,
    paused: AtomicBool,
    /// Raised by each crash: what belongs to an earlier one is dead.
    incarnation: AtomicU32,
}

impl HostCell {
    pub(crate) fn incarnation(&self) -> u32 {
        // One run is one thread: no ordering is needed, here and below.
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Whether what belongs to `incarnation` is alive.
    pub(crate) fn lives(&self, incarnation: u32) -> bool {
        self.is_up() && self.incarnation() == incarnation
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn die(&self) {
        self.up.store(false, Ordering::Relaxed);
        self.set_paused(false);
        self.incarnation.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rise(&self) {
        self.up.store(true, Ordering::Relaxed);
    }
}

/// Ports that a connection may leave from. Source: Linux, `ip_local_port_range`.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// What the kernel keeps of a host.
pub(crate) struct Host {
    pub(crate) cell: Arc<HostCell>,
    pub(crate) zone: u16,
    pub(crate) request_cost: Duration,
    pub(crate) handshake_cost: Duration,
    pub(crate) cpu: Cpu,
    pub(crate) skew_ns: i64,
    /// Survives a crash.
    pub(crate) store: BTreeMap<String, Arc<dyn StoreValue>>,
    /// Connections of one listener that may wait to be accepted, those in their handshake included.
    pub(crate) backlog: usize,
    pub(crate) listeners: BTreeMap<u16, Key>,
    /// Accepted connections by our port and their address.
    pub(crate) accepted: BTreeMap<(u16, SocketAddr), Key>,
    /// Ports that connections of ours leave from.
    pub(crate) leaving: BTreeSet<u16>,
    /// Goes on after a crash, so that a new connection does not meet the half-open remains of an old one.
    next_port: u16,
}

impl Host {
    pub(crate) fn new(id: HostId, spec: HostSpec, backlog: usize) -> Host {
        let cell = HostCell {
            id,
            name: spec.name.into(),
            address: spec.address,
            up: AtomicBool::new(true),
            paused: AtomicBool::new(false),
            incarnation: AtomicU32::new(0),
        };
        Host {
            cell: Arc::new(cell),
            zone: spec.zone,
            request_cost: spec.request_cost,
            handshake_cost: spec.handshake_cost,
            cpu: Cpu::new(spec.cost_workers),
            skew_ns: 0,
            store: BTreeMap::new(),
            backlog,
            listeners: BTreeMap::new(),
            accepted: BTreeMap::new(),
            leaving: BTreeSet::new(),
            next_port: *EPHEMERAL.start(),
        }
    }

    /// The next free ephemeral port; `None` when all 28,232 are in use.
    pub(crate) fn free_port(&mut self) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL.end() {
                *EPHEMERAL.start()
            } else {
                port + 1
            };
            if !self.leaving.contains(&port) && !self.listeners.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}
