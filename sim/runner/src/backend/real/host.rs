//! A decorator around a real host's environment, which can crash and pause it.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shakedown_env::{
    BoxFuture, BoxListener, BoxStream, Env, LocalFuture, Rng, Sleep, StoreValue, TaskName, Time,
    UnixTime, WorkKind, World,
};
use shakedown_results::PodId;
use shakedown_types::MeshEvent;

use super::cuts::{Partitions, SYN_RETRY, next_try};
use super::lag::{DelayLine, DelayedLinks};
use super::stream::{HeldListener, HeldStream};
use crate::journal::Journal;

#[derive(Default)]
pub(super) struct Hosts(Mutex<HostEntry>);

#[derive(Default)]
struct HostEntry {
    /// By pod id.
    all: Vec<Arc<RealHost>>,
    by_address: BTreeMap<IpAddr, Arc<RealHost>>,
}

pub(super) struct RealHost {
    pod: PodId,
    address: IpAddr,
    inner: Env,
    journal: Arc<Journal>,
    state: Mutex<HostState>,
}

#[derive(Default)]
struct HostState {
    /// Incremented by each crash. Tasks and sockets of an earlier life are dead.
    life: u64,
    down: bool,
    paused: bool,
    next_task: u64,
    /// Wakers of the host's tasks, woken when its state changes.
    tasks: BTreeMap<u64, Waker>,
    /// Wakers of other hosts' connects, which wait until this host is up.
    callers: Vec<Waker>,
    /// Sockets of the host while it is down: kept open, but silent.
    silent: Vec<Socket>,
}

/// A socket whose owner has died.
pub(super) enum Socket {
    Stream(BoxStream),
    Listener(#[expect(dead_code, reason = "kept so that it stays open")] BoxListener),
}

/// State shared by all hosts of a run.
#[derive(Clone)]
pub(super) struct RealNetwork {
    pub(super) hosts: Arc<Hosts>,
    pub(super) cuts: Arc<Partitions>,
    pub(super) links: Arc<DelayedLinks>,
}

impl RealNetwork {
    /// Returns a handle of a host, valid until its next crash.
    pub(super) fn env(&self, pod: PodId) -> Env {
        let host = self.hosts.host(pod);
        let life = host.lock().life;
        Env::new(Arc::new(ChaosWorld {
            own: HostLife { host, life },
            network: self.clone(),
        }))
    }

    /// Returns the latency that a new connection adds to packets from an address to a host.
    pub(super) fn lag_from(&self, peer: IpAddr, own: &HostLife) -> Option<DelayLine> {
        let peer = self.hosts.pod_at(peer)?;
        self.links.lag(own.env(), peer, own.host.pod)
    }

    /// Returns the latency that a new connection adds to packets from a host to an address.
    fn lag_to(&self, peer: IpAddr, own: &HostLife) -> Option<DelayLine> {
        let peer = self.hosts.pod_at(peer)?;
        self.links.lag(own.env(), own.host.pod, peer)
    }
}

impl Hosts {
    /// Adds the next host, in pod order.
    pub(super) fn add(&self, host: Arc<RealHost>) {
        let mut known = self.lock();
        known.by_address.insert(host.address, Arc::clone(&host));
        known.all.push(host);
    }

    pub(super) fn host(&self, pod: PodId) -> Arc<RealHost> {
        Arc::clone(&self.lock().all[pod.0 as usize])
    }

    fn pod_at(&self, address: IpAddr) -> Option<PodId> {
        self.lock().by_address.get(&address).map(|host| host.pod)
    }

    fn lock(&self) -> MutexGuard<'_, HostEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pending while the host at an address is down: nothing answers there.
    fn poll_up(&self, address: IpAddr, cx: &Context<'_>) -> Poll<()> {
        let Some(host) = self.lock().by_address.get(&address).cloned() else {
            return Poll::Ready(());
        };
        let mut state = host.lock();
        if !state.down {
            return Poll::Ready(());
        }
        if !state
            .callers
            .iter()
            .any(|known| known.will_wake(cx.waker()))
        {
            state.callers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl RealHost {
    pub(super) fn new(pod: PodId, address: IpAddr, inner: Env, journal: Arc<Journal>) -> RealHost {
        RealHost {
            pod,
            address,
            inner,
            journal,
            state: Mutex::default(),
        }
    }

    /// Ends the host's tasks and silences its sockets.
    pub(super) fn crash(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.down = true;
        state.paused = false;
        wake_all(state);
    }

    /// Restarts the host and resets the connections that it had left open.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        if !state.down {
            state.life += 1;
        }
        state.down = false;
        let silent = std::mem::take(&mut state.silent);
        let callers = std::mem::take(&mut state.callers);
        wake_all(state);
        for socket in silent {
            if let Socket::Stream(mut stream) = socket {
                stream.reset_on_drop();
            }
        }
        callers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        wake_all(state);
    }

    fn lock(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_all(state: MutexGuard<'_, HostState>) {
    let wakers: Vec<Waker> = state.tasks.values().cloned().collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// A host in one of its lives.
#[derive(Clone)]
pub(super) struct HostLife {
    host: Arc<RealHost>,
    life: u64,
}

impl HostLife {
    pub(super) fn address(&self) -> IpAddr {
        self.host.address
    }

    pub(super) fn env(&self) -> &Env {
        &self.host.inner
    }

    fn lives(&self) -> bool {
        let state = self.host.lock();
        !state.down && state.life == self.life
    }

    /// Closes a socket. If its host is down, keeps it open and silent instead. If only its owner has died,
    /// resets it.
    pub(super) fn lay_down(&self, socket: Socket) {
        let mut state = self.host.lock();
        if state.down {
            state.silent.push(socket);
            return;
        }
        let dead = state.life != self.life;
        drop(state);
        if let (true, Socket::Stream(mut stream)) = (dead, socket) {
            stream.reset_on_drop();
        }
    }
}

/// A host's view of the real environment, with faults injected.
struct ChaosWorld {
    own: HostLife,
    network: RealNetwork,
}

impl ChaosWorld {
    fn inner(&self) -> &Env {
        &self.own.host.inner
    }
}

impl World for ChaosWorld {
    fn now(&self) -> Time {
        self.inner().now()
    }

    fn unix_time(&self) -> UnixTime {
        self.inner().unix_time()
    }

    fn sleep_until(&self, deadline: Time) -> Sleep {
        self.inner().sleep_until(deadline)
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>> {
        if !self.own.lives() {
            return Box::pin(pending());
        }
        let connect = self.inner().connect(to, from);
        let (own, network) = (self.own.clone(), self.network.clone());
        Box::pin(async move {
            let (hosts, cuts) = (&network.hosts, &network.cuts);
            let (here, there) = (own.address(), to.ip());
            let start = own.env().now();
            let (mut held, mut waited) = (false, false);
            poll_fn(|cx| {
                // A SYN must reach the peer, its answer must return, and the peer must be up to answer.
                if cuts.holds(here, there, cx) || cuts.holds(there, here, cx) {
                    if !std::mem::replace(&mut held, true) {
                        cuts.hit(here, there);
                        cuts.hit(there, here);
                    }
                    waited = true;
                    return Poll::Pending;
                }
                let up = hosts.poll_up(there, cx);
                waited |= up.is_pending();
                up
            })
            .await;
            if waited {
                let now = own.env().now();
                own.env().sleep_until(next_try(start, now, SYN_RETRY)).await;
            }
            let connected = connect.await;
            let mut back = network.lag_from(there, &own);
            let mut forth = network.lag_to(there, &own);
            let directions = [&mut forth, &mut back].into_iter().flatten();
            let round_trip: Duration = directions.map(DelayLine::draw).sum();
            own.env().sleep(round_trip).await;
            let stream = HeldStream::new(connected?, own, network.cuts, back);
            Ok(Box::new(stream) as BoxStream)
        })
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener> {
        if !self.own.lives() {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        let inner = self.inner().listen(addr)?;
        Ok(Box::new(HeldListener::new(
            inner,
            self.own.clone(),
            self.network.clone(),
        )))
    }

    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        self.inner().resolve(name)
    }

    fn rng(&self, label: &str) -> Rng {
        self.inner().rng(label)
    }

    fn seeded_secrets(&self, label: &str) -> Option<Rng> {
        self.inner().seeded_secrets(label)
    }

    fn spawn(&self, name: TaskName, task: LocalFuture) {
        if !self.own.lives() {
            return;
        }
        let id = {
            let mut state = self.own.host.lock();
            state.next_task += 1;
            state.next_task
        };
        self.inner().spawn(
            name,
            Guarded {
                own: self.own.clone(),
                id,
                seen: None,
                task: Some(task),
            },
        );
    }

    fn spend(&self, _work: WorkKind) -> Option<BoxFuture<()>> {
        None
    }

    fn store_read(&self, key: &str) -> Option<Vec<u8>> {
        self.inner().store().read(key)
    }

    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        self.inner().store().write_shared(key, value)
    }

    fn emit(&self, event: MeshEvent) {
        if self.own.lives() {
            self.own
                .host
                .journal
                .receive(self.now(), self.own.host.pod, event);
        }
    }
}

/// A task that ends with its host's life, and is suspended while its host is paused.
struct Guarded {
    own: HostLife,
    id: u64,
    /// The waker that is registered in the host's `tasks`.
    seen: Option<Waker>,
    task: Option<LocalFuture>,
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let paused = {
            let own = self.own.clone();
            let mut state = own.host.lock();
            if state.down || state.life != own.life {
                drop(state);
                self.task = None;
                return Poll::Ready(());
            }
            if !self
                .seen
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                state.tasks.insert(self.id, cx.waker().clone());
                self.seen = Some(cx.waker().clone());
            }
            state.paused
        };
        if paused {
            return Poll::Pending;
        }
        match &mut self.task {
            Some(task) => task.as_mut().poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The task's own drop may lock the host's state, so it must run before the lock is taken.
        self.task = None;
        self.own.host.lock().tasks.remove(&self.id);
    }
}
