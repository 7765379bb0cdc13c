//! The state shared by all hosts of a run on turmoil.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use shakedown_env::{StoreValue, Time, UnixTime};

use crate::sink::EventSink;
use crate::{HostId, SimError};

pub(super) struct TurmoilShared {
    /// The time of the current tick, ns.
    now: AtomicU64,
    pub(super) seed: u64,
    pub(super) sink: EventSink,
    state: Mutex<TurmoilState>,
}

pub(super) struct TurmoilState {
    pub(super) hosts: Vec<TurmoilHost>,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) epoch: UnixTime,
    /// The time at which the wall clocks show the epoch.
    pub(super) origin: Time,
    pub(super) commands: Vec<TurmoilCommand>,
    failure: Option<SimError>,
}

pub(super) struct TurmoilHost {
    pub(super) name: Arc<str>,
    pub(super) address: IpAddr,
    /// The host's incarnation: its number of crashes. Handles, sockets and tasks of earlier incarnations are unusable.
    pub(super) life: u32,
    pub(super) up: bool,
    pub(super) paused: bool,
    /// Ports with a listener.
    pub(super) ports: BTreeSet<u16>,
    pub(super) store: BTreeMap<String, Arc<dyn StoreValue>>,
    /// The waker of the host's root task, while its inbox is empty.
    pub(super) root: Option<Waker>,
    /// The tasks that were woken during a pause.
    pub(super) held: Vec<Waker>,
}

/// A change of a host or link, which turmoil can carry out only between two ticks.
#[derive(Clone, Copy, Debug)]
pub(super) enum TurmoilCommand {
    Crash(HostId),
    Restart(HostId),
    /// The latency of the link between two hosts from the next tick on.
    Latency(HostId, HostId, Duration),
}

impl TurmoilShared {
    pub(super) fn new(seed: u64, epoch: UnixTime) -> TurmoilShared {
        TurmoilShared {
            now: AtomicU64::new(0),
            seed,
            sink: EventSink::default(),
            state: Mutex::new(TurmoilState {
                hosts: Vec::new(),
                names: BTreeMap::new(),
                epoch,
                origin: Time::ZERO,
                commands: Vec::new(),
                failure: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, TurmoilState> {
        // No critical section panics with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Time {
        Time::from_nanos(self.now.load(Ordering::Relaxed))
    }

    pub(super) fn set_now(&self, now: Time) {
        self.now.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn add_host(&self, name: &str, address: IpAddr) -> HostId {
        let hosts = &mut self.lock().hosts;
        let host =
            HostId(u32::try_from(hosts.len()).expect("turmoil supports only dozens of hosts"));
        hosts.push(TurmoilHost {
            name: name.into(),
            address,
            life: 0,
            up: true,
            paused: false,
            ports: BTreeSet::new(),
            store: BTreeMap::new(),
            root: None,
            held: Vec::new(),
        });
        host
    }

    pub(super) fn address(&self, host: HostId) -> IpAddr {
        self.lock().host(host).address
    }

    /// The addresses of all other hosts.
    pub(super) fn others(&self, host: HostId) -> Vec<IpAddr> {
        let own = self.address(host);
        let state = self.lock();
        let all = state.hosts.iter().map(|host| host.address);
        all.filter(|address| *address != own).collect()
    }

    pub(super) fn life(&self, host: HostId) -> u32 {
        self.lock().host(host).life
    }

    pub(super) fn lives(&self, host: HostId, life: u32) -> bool {
        let state = self.lock();
        let host = state.host(host);
        host.up && host.life == life
    }

    pub(super) fn commands(&self) -> Vec<TurmoilCommand> {
        std::mem::take(&mut self.lock().commands)
    }

    pub(super) fn failure(&self) -> Option<SimError> {
        self.lock().failure.clone()
    }

    /// Ends the run. Only the first failure is kept.
    pub(super) fn fail(&self, error: SimError) {
        self.lock().failure.get_or_insert(error);
    }

    /// Takes down all hosts and drops the event sink.
    pub(super) fn close(&self) {
        for host in &mut self.lock().hosts {
            host.up = false;
        }
        self.sink.set(None);
    }
}

impl TurmoilState {
    pub(super) fn host(&self, host: HostId) -> &TurmoilHost {
        &self.hosts[host.index()]
    }

    pub(super) fn host_mut(&mut self, host: HostId) -> &mut TurmoilHost {
        &mut self.hosts[host.index()]
    }
}
