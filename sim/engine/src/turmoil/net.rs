//! What all hosts of a run share, and the hand that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use shakedown_env::{Env, StoreValue, Time, UnixTime};
use shakedown_types::MeshEvent;

use super::world::TurmoilWorld;
use super::{TurmoilOptions, task};
use crate::sink::EventSink;
use crate::{HostId, SimError};

/// What a run's hosts share.
pub(super) struct Shared {
    /// The time of the tick, ns.
    now: AtomicU64,
    pub(super) seed: u64,
    pub(super) sink: EventSink,
    state: Mutex<State>,
}

/// The part of it that changes.
pub(super) struct State {
    pub(super) hosts: Vec<Host>,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) epoch: UnixTime,
    /// When the wall clocks show the epoch.
    pub(super) origin: Time,
    commands: Vec<Command>,
    failure: Option<SimError>,
}

/// One host.
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) address: IpAddr,
    /// Raised by each crash: what belongs to an earlier one is dead.
    pub(super) life: u32,
    pub(super) up: bool,
    pub(super) paused: bool,
    /// Ports that are listened on.
    pub(super) ports: BTreeSet<u16>,
    pub(super) store: BTreeMap<String, Arc<dyn StoreValue>>,
    /// The task that starts the host's tasks, while it waits for some.
    pub(super) root: Option<Waker>,
    /// Tasks that were to run during a pause.
    pub(super) held: Vec<Waker>,
}

/// What is done to hosts and links between two ticks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Crash(HostId),
    Restart(HostId),
    /// A link's latency from now on.
    Latency(HostId, HostId, Duration),
}

impl Shared {
    pub(super) fn new(options: TurmoilOptions) -> Shared {
        Shared {
            now: AtomicU64::new(0),
            seed: options.seed,
            sink: EventSink::default(),
            state: Mutex::new(State {
                hosts: Vec::new(),
                names: BTreeMap::new(),
                epoch: options.epoch,
                origin: Time::ZERO,
                commands: Vec::new(),
                failure: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
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
        let host = HostId(u32::try_from(hosts.len()).expect("turmoil carries some dozens"));
        hosts.push(Host {
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

    pub(super) fn commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.lock().commands)
    }

    pub(super) fn failure(&self) -> Option<SimError> {
        self.lock().failure.clone()
    }

    /// The run is over. The first failure counts.
    pub(super) fn fail(&self, error: SimError) {
        self.lock().failure.get_or_insert(error);
    }

    /// All hosts are gone, and nobody listens any more.
    pub(super) fn close(&self) {
        for host in &mut self.lock().hosts {
            host.up = false;
        }
        self.sink.set(None);
    }
}

impl State {
    pub(super) fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.index()]
    }

    pub(super) fn host_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.index()]
    }
}

/// What may be done to the hosts of a run while it runs.
#[derive(Clone)]
pub struct TurmoilNet {
    shared: Arc<Shared>,
}

impl TurmoilNet {
    pub(super) fn new(shared: Arc<Shared>) -> TurmoilNet {
        TurmoilNet { shared }
    }

    /// A handle of a host, valid until its next crash.
    pub fn env(&self, host: HostId) -> Env {
        Env::new(Arc::new(TurmoilWorld::new(Arc::clone(&self.shared), host)))
    }

    /// The host is gone in silence; its tasks end with the tick.
    pub fn crash(&self, host: HostId) {
        {
            let mut state = self.shared.lock();
            let gone = state.host_mut(host);
            if !gone.up {
                return;
            }
            gone.up = false;
            gone.life += 1;
            gone.paused = false;
            gone.ports.clear();
            gone.held.clear();
            state.commands.push(Command::Crash(host));
        }
        task::forget(host);
    }

    /// The host is up again, empty but for its store. One that was up crashes first.
    pub fn restart(&self, host: HostId) -> Env {
        self.crash(host);
        {
            let mut state = self.shared.lock();
            state.host_mut(host).up = true;
            state.commands.push(Command::Restart(host));
        }
        self.env(host)
    }

    /// Nothing of the host runs; its sockets stay open.
    pub fn pause(&self, host: HostId) {
        self.shared.lock().host_mut(host).paused = true;
    }

    /// Ends a pause.
    pub fn resume(&self, host: HostId) {
        let held = {
            let mut state = self.shared.lock();
            let host = state.host_mut(host);
            host.paused = false;
            std::mem::take(&mut host.held)
        };
        held.into_iter().for_each(Waker::wake);
    }

    /// Renames a host on which nothing has run yet: its random streams are named after it.
    pub fn rename(&self, host: HostId, name: &str) {
        self.shared.lock().host_mut(host).name = name.into();
    }

    /// The time that a packet takes between two hosts, both ways, from the next tick on; at least a
    /// [`TICK`](super::TICK), and a whole number of them.
    pub fn set_latency(&self, a: HostId, b: HostId, latency: Duration) {
        let command = Command::Latency(a, b, latency);
        self.shared.lock().commands.push(command);
    }

    /// Gives a name to addresses.
    pub fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
        self.shared.lock().names.insert(name, addresses);
    }

    /// Makes every wall clock show the run's epoch at `zero`.
    pub fn set_epoch_origin(&self, zero: Time) {
        self.shared.lock().origin = zero;
    }

    /// Who is told of the facts that hosts emit.
    pub fn set_event_sink(&self, sink: Box<dyn FnMut(Time, HostId, MeshEvent) + Send>) {
        self.shared.sink.set(Some(sink));
    }
}
