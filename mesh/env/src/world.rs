//! What a world must offer: the trait behind [`Env`](crate::Env), implemented by the real one and by the simulator's.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use shakedown_types::MeshEvent;

use crate::{BoxListener, BoxStream, Rng, Time, UnixTime};

/// A sendable future of a world.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A task: it stays on the thread that spawned it, so it need not be `Send`.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;
/// A sleep. Polling it again after it has elapsed is allowed and gives ready. Dropping it cancels it.
pub type Sleep = Pin<Box<dyn SleepFuture>>;
/// What a task is called in a panic message and in a trace of the run.
pub type TaskName = &'static str;

/// A cancellable sleep that can be moved to another deadline without a new allocation.
pub trait SleepFuture: Future<Output = ()> + Send + Sync {
    /// Moves the deadline; a sleep that had elapsed sleeps again.
    fn reset(self: Pin<&mut Self>, deadline: Time);
}

/// Kinds of work that a proxy declares. The world prices them: the simulator in virtual CPU time, the real one at nothing,
/// since there the processor charges by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// One request through one side of a proxy.
    Request,
    /// One TLS handshake.
    Handshake,
}

/// A value of a durable store. A store in memory keeps it as it is, so that what hosts of one process share is not copied.
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

/// One host's view of a world. All methods are cheap; none blocks.
pub trait World: Send + Sync {
    /// Monotonic time since the world began.
    fn now(&self) -> Time;
    /// The host's wall clock.
    fn unix_time(&self) -> UnixTime;
    /// A sleep that ends at `deadline` (at once when it has passed).
    fn sleep_until(&self, deadline: Time) -> Sleep;
    /// A sleep that ends as close to `deadline` as the world can, at the price of processor time.
    fn sleep_precisely_until(&self, deadline: Time) -> Sleep {
        self.sleep_until(deadline)
    }
    /// The processor time that this thread has used, without what it spent on [precise
    /// sleeps](World::sleep_precisely_until); `None` where time costs nothing.
    fn cpu_time(&self) -> Option<Duration> {
        None
    }
    /// Ready when everything that had arrived at the host's sockets by now has been handed to its readers; `None` in a world
    /// that hands it over at once.
    fn catch_up(&self) -> Option<BoxFuture<()>> {
        None
    }
    /// Opens a connection, from a given source address where one is given.
    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>>;
    /// Listens on an address of this host.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener>;
    /// Checks that an address could be listened on now.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    fn check_listen(&self, addr: SocketAddr) -> io::Result<()> {
        self.listen(addr).map(drop)
    }
    /// The addresses of a name, in the resolver's order.
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>>;
    /// A random stream of its own for this label, on this host: the same label gives the same stream from its start.
    fn rng(&self, label: &str) -> Rng;
    /// Runs a task on this thread until it ends or its host dies.
    fn spawn(&self, name: TaskName, task: LocalFuture);
    /// Charges the host for work; `None` when it costs no time.
    fn spend(&self, work: Work) -> Option<BoxFuture<()>>;
    /// Reads a key of the host's durable store.
    fn store_read(&self, key: &str) -> Option<Vec<u8>>;
    /// Writes a key of the host's durable store, durably before it returns.
    ///
    /// # Errors
    /// The store could not be written.
    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()>;
    /// Takes note of a fact of the mesh.
    fn emit(&self, event: MeshEvent);
}
