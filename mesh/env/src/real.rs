//! The real backend: the operating system's clock, sockets, entropy and files. Linux only, since timers use `timerfd`.
//!
//! A [`Runtime`] uses one thread. It may run several hosts, which is how a whole mesh runs in one process. The hosts
//! share a clock, and each has its own address, randomness, names and store.
//!
//! Invariant: the mesh calls the operating system only here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_types::MeshEvent;
use tokio::runtime;
use tokio::task::LocalSet;

use crate::{Env, Time};

mod clock;
mod host;
mod names;
mod socket;
mod store;
mod timer;

use clock::Clock;
use host::OsHost;
pub use names::HostTable;
use timer::SleepTimers;

/// Receives each event of the mesh, with its time and the name of the host that emitted it.
pub type OnEvent = Arc<dyn Fn(Time, &str, MeshEvent) + Send + Sync>;

/// The configuration of one host on the real backend.
#[derive(Clone)]
pub struct HostOptions {
    /// The host's name: passed to [`OnEvent`], and the scope of its random streams.
    pub name: String,
    /// The source address of its connections if the caller gives none. If unspecified, the system chooses.
    pub address: IpAddr,
    /// The seed of its randomness; `None` uses the system's entropy.
    pub seed: Option<u64>,
    /// Names that are resolved here before the system's resolver is used. Clones share one table.
    pub names: HostTable,
    /// The directory of its durable store. `None` keeps the store in memory, where it is lost when the process ends.
    pub store: Option<PathBuf>,
    /// True if several listeners, one per worker thread, may share an address (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// The callback for events that the host emits.
    pub on_event: Option<OnEvent>,
}

impl HostOptions {
    /// A host with this name, the system's addresses, entropy and names, and a store in memory.
    pub fn new(name: impl Into<String>) -> HostOptions {
        HostOptions {
            name: name.into(),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            seed: None,
            names: HostTable::default(),
            store: None,
            reuse_port: false,
            on_event: None,
        }
    }
}

/// The event loop of one thread, with precise timers. It stays on the thread that created it.
pub struct Runtime {
    // Fields are dropped in this order: tasks must end before the reactor that their sockets and sleeps are registered
    // with.
    tasks: LocalSet,
    timers: Arc<SleepTimers>,
    clock: Clock,
    tokio: runtime::Runtime,
}

impl Runtime {
    /// A runtime whose clock starts now.
    ///
    /// # Errors
    /// The process has no file descriptors left.
    pub fn new() -> io::Result<Runtime> {
        let tokio = runtime::Builder::new_current_thread().enable_io().build()?;
        let clock = Clock::start();
        let tasks = LocalSet::new();
        let timers = {
            let _entered = tokio.enter();
            Arc::new(SleepTimers::new(clock)?)
        };
        tasks.spawn_local(timer::drive(Arc::clone(&timers)));
        Ok(Runtime {
            tasks,
            timers,
            clock,
            tokio,
        })
    }

    /// Runs a future and all spawned tasks until the future ends. Unfinished tasks pause until the next call and are
    /// dropped with the runtime.
    ///
    /// # Panics
    /// If called inside another runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.tokio, future)
    }

    /// Creates a host on this runtime. Its tasks may be spawned only inside [`Runtime::block_on`].
    ///
    /// # Errors
    /// The store's directory cannot be created, or the system's entropy cannot be read.
    pub fn host(&self, options: HostOptions) -> io::Result<Env> {
        let handle = self.tokio.handle().clone();
        let host = OsHost::new(options, self.clock, Arc::clone(&self.timers), handle)?;
        Ok(Env::new(Arc::new(host)))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("now", &self.clock.now())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HostOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostOptions")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("seed", &self.seed)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
