//! Hosts: their specification, and the simulated kernel's state of each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use shakedown_env::StoreValue;

use crate::arena::ArenaKey;
use crate::cpu::HostCpu;

/// A host of a run, numbered in the order of addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// Number of the host in its run, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The specification of a host.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Name of the host, unique in the run. Labels its random streams.
    pub name: String,
    /// The only address of the host, unique in the run.
    pub address: IpAddr,
    /// Virtual CPU time of [`WorkKind::Request`](shakedown_env::WorkKind::Request).
    pub request_cost: Duration,
    /// Virtual CPU time of [`WorkKind::Handshake`](shakedown_env::WorkKind::Handshake).
    pub handshake_cost: Duration,
    /// Number of virtual CPUs that share this work in FIFO order; 0 counts as 1.
    pub cost_workers: u32,
}

impl HostSpec {
    /// Creates a host on which the mesh's own work takes no CPU time.
    pub fn new(name: impl Into<String>, address: IpAddr) -> HostSpec {
        HostSpec {
            name: name.into(),
            address,
            request_cost: Duration::ZERO,
            handshake_cost: Duration::ZERO,
            cost_workers: 1,
        }
    }
}

/// The liveness of a host, readable without a lock by everything that belongs to it.
#[derive(Debug)]
pub(crate) struct HostCell {
    pub(crate) id: HostId,
    pub(crate) name: Arc<str>,
    pub(crate) address: IpAddr,
    up: AtomicBool,
    paused: AtomicBool,
    /// Incremented by each crash. Everything that belongs to an earlier incarnation is dead.
    incarnation: AtomicU32,
}

impl HostCell {
    pub(crate) fn incarnation(&self) -> u32 {
        // A run has one thread, so no ordering is needed, here and below.
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Returns true if objects of `incarnation` are alive.
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

/// Ephemeral ports of outgoing connections. Source: Linux, `ip_local_port_range`.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// The kernel's state of a host.
pub(crate) struct SimHost {
    pub(crate) cell: Arc<HostCell>,
    pub(crate) request_cost: Duration,
    pub(crate) handshake_cost: Duration,
    pub(crate) cpu: HostCpu,
    pub(crate) skew_ns: i64,
    /// Survives a crash.
    pub(crate) store: BTreeMap<String, Arc<dyn StoreValue>>,
    /// Maximum number of connections of a listener that wait to be accepted, including those in their
    /// handshake.
    pub(crate) backlog: usize,
    pub(crate) listeners: BTreeMap<u16, ArenaKey>,
    /// Accepted connections by local port and remote address.
    pub(crate) accepted: BTreeMap<(u16, SocketAddr), ArenaKey>,
    /// Local ports of outgoing connections.
    pub(crate) leaving: BTreeSet<u16>,
    /// Not reset by a crash, so that a new connection does not reuse the port of a half-open old one.
    next_port: u16,
}

impl SimHost {
    pub(crate) fn new(id: HostId, spec: HostSpec, backlog: usize) -> SimHost {
        let cell = HostCell {
            id,
            name: spec.name.into(),
            address: spec.address,
            up: AtomicBool::new(true),
            paused: AtomicBool::new(false),
            incarnation: AtomicU32::new(0),
        };
        SimHost {
            cell: Arc::new(cell),
            request_cost: spec.request_cost,
            handshake_cost: spec.handshake_cost,
            cpu: HostCpu::new(spec.cost_workers),
            skew_ns: 0,
            store: BTreeMap::new(),
            backlog,
            listeners: BTreeMap::new(),
            accepted: BTreeMap::new(),
            leaving: BTreeSet::new(),
            next_port: *EPHEMERAL.start(),
        }
    }

    /// Returns the next free ephemeral port; `None` if all 28,232 are in use.
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
