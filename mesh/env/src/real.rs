//! The real world: the operating system's clock, sockets, entropy and files. Linux only, for its `timerfd`.
//!
//! One [`Runtime`] is one thread. It may carry several hosts (that is how a whole mesh runs in one process): they share a
//! clock, and each has its own address, randomness, names and store.
//!
//! Invariant: the mesh meets the operating system here and nowhere else.

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
use host::Host;
pub use names::Names;
use timer::Timers;

/// Takes note of a fact of the mesh: when, on which host, what.
pub type OnEvent = Arc<dyn Fn(Time, &str, MeshEvent) + Send + Sync>;

/// One host of the real world.
#[derive(Clone)]
pub struct HostOptions {
    /// The host's name: what [`OnEvent`] calls it, and the scope of its random streams.
    pub name: String,
    /// The address that its connections come from where the caller gives none. An unspecified one leaves it to the system.
    pub address: IpAddr,
    /// The seed of its randomness; the system's entropy where none.
    pub seed: Option<u64>,
    /// Names that are resolved here before the system is asked. Clones share one table.
    pub names: Names,
    /// The directory of its durable store; where none, the store is in memory, and gone with the process.
    pub store: Option<PathBuf>,
    /// Lets several listeners share an address, one a worker thread (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Told of the facts that the host emits.
    pub on_event: Option<OnEvent>,
}

impl HostOptions {
    /// A host of this name, with the system's addresses, entropy and names, and a store in memory.
    pub fn new(name: impl Into<String>) -> HostOptions {
        HostOptions {
            name: name.into(),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            seed: None,
            names: Names::default(),
            store: None,
            reuse_port: false,
            on_event: None,
        }
    }
}

/// A thread's share of the real world: an event loop with precise timers. It stays on the thread that made it.
pub struct Runtime {
    // Dropped in this order: tasks end while the reactor that their sockets and sleeps are registered with still lives.
    tasks: LocalSet,
    timers: Arc<Timers>,
    clock: Clock,
    tokio: runtime::Runtime,
}

impl Runtime {
    /// A runtime whose clock begins now.
    ///
    /// # Errors
    /// The system gives no more file descriptors.
    pub fn new() -> io::Result<Runtime> {
        let tokio = runtime::Builder::new_current_thread().enable_io().build()?;
        let clock = Clock::start();
        let tasks = LocalSet::new();
        let timers = {
            let _entered = tokio.enter();
            Arc::new(Timers::new(clock)?)
        };
        tasks.spawn_local(timer::drive(Arc::clone(&timers)));
        Ok(Runtime {
            tasks,
            timers,
            clock,
            tokio,
        })
    }

    /// Runs a future, and every task that was spawned, until the future ends. Tasks that are left sleep until the next call,
    /// and end with the runtime.
    ///
    /// # Panics
    /// Inside another runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.tokio, future)
    }

    /// A host on this runtime. Its tasks may be spawned only inside [`Runtime::block_on`].
    ///
    /// # Errors
    /// The store's directory, or the system's entropy, cannot be had.
    pub fn host(&self, options: HostOptions) -> io::Result<Env> {
        let handle = self.tokio.handle().clone();
        let host = Host::new(options, self.clock, Arc::clone(&self.timers), handle)?;
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
