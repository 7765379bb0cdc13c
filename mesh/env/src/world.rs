//! The trait behind [`Env`](crate::Env), implemented by the real backend and by the simulator's.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use shakedown_types::MeshEvent;

use crate::{BoxListener, BoxStream, Rng, Time, UnixTime};

/// A sendable future of a backend.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A task: it stays on the thread that spawned it, so it need not be `Send`.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;
/// A sleep. Polling it after it has elapsed is allowed and returns ready. Dropping it cancels it.
pub type Sleep = Pin<Box<dyn SleepFuture>>;
/// The name of a task in a panic message and in a trace of the run.
pub type TaskName = &'static str;

/// A cancellable sleep that can be moved to another deadline without a new allocation.
pub trait SleepFuture: Future<Output = ()> + Send + Sync {
    /// Moves the deadline. A sleep that had elapsed sleeps again.
    fn reset(self: Pin<&mut Self>, deadline: Time);
}

/// Kinds of work that a proxy declares. The simulator charges virtual CPU time for them. The real backend charges
/// nothing, because there the work itself takes processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkKind {
    /// A request that passes one side of a proxy.
    Request,
    /// A TLS handshake.
    Handshake,
}

/// A value of a durable store. A store in memory keeps the `Arc` itself, so that hosts of one process share the value
/// without a copy.
pub trait StoreValue: Send + Sync {
    /// Calls `sink` with each part of the value's bytes, in order.
    fn parts(&self, sink: &mut dyn FnMut(&[u8]));

    /// The value's bytes.
    fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.parts(&mut |part| bytes.extend_from_slice(part));
        bytes
    }
}

impl StoreValue for Box<[u8]> {
    fn parts(&self, sink: &mut dyn FnMut(&[u8])) {
        sink(self);
    }
}

/// The interface of one host to its execution environment. All methods are cheap. None blocks.
pub trait World: Send + Sync {
    /// Monotonic time since the environment started.
    fn now(&self) -> Time;
    /// The host's wall clock.
    fn unix_time(&self) -> UnixTime;
    /// A sleep that ends at `deadline`, or immediately if it has passed.
    fn sleep_until(&self, deadline: Time) -> Sleep;
    /// A sleep that ends as close to `deadline` as the backend can, at the price of processor time.
    fn sleep_precisely_until(&self, deadline: Time) -> Sleep {
        self.sleep_until(deadline)
    }
    /// The processor time that this thread has used, without the time spent on [precise
    /// sleeps](World::sleep_precisely_until); `None` on a backend with virtual time.
    fn cpu_time(&self) -> Option<Duration> {
        None
    }
    /// Becomes ready once everything that has arrived at the host's sockets by now is delivered to its readers. `None`
    /// on a backend that delivers immediately.
    fn catch_up(&self) -> Option<BoxFuture<()>> {
        None
    }
    /// Opens a connection, from the source address `from` if there is one.
    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>>;
    /// Listens on an address of this host.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener>;
    /// Checks that a listener could be opened on an address now.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    fn check_listen(&self, addr: SocketAddr) -> io::Result<()> {
        self.listen(addr).map(drop)
    }
    /// The addresses of a name, in the resolver's order.
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>>;
    /// The random stream of this label on this host. The same label always returns the same stream from its start.
    fn rng(&self, label: &str) -> Rng;
    /// The random stream of this label from which the host makes its secrets. `None` on a backend whose secrets must come
    /// from the operating system, because its random streams are reproducible by anyone who knows the seed.
    fn seeded_secrets(&self, label: &str) -> Option<Rng>;
    /// Runs a task on this thread until it ends or its host dies.
    fn spawn(&self, name: TaskName, task: LocalFuture);
    /// Charges the host for work; `None` if it costs no time.
    fn spend(&self, work: WorkKind) -> Option<BoxFuture<()>>;
    /// Reads a key of the host's durable store.
    fn store_read(&self, key: &str) -> Option<Vec<u8>>;
    /// Writes a key of the host's durable store, durably before it returns.
    ///
    /// # Errors
    /// The store could not be written.
    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()>;
    /// Records an event of the mesh.
    fn emit(&self, event: MeshEvent);
}
