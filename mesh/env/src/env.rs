//! The handle of a host to its [`World`]: cheap to clone and passed explicitly.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable};
use shakedown_types::MeshEvent;

use crate::world::{BoxFuture, Sleep, StoreValue, TaskName, WorkKind, World};
use crate::{BoxListener, BoxStream, Rng, Time, UnixTime, step_aside};

/// Everything that the mesh may request from its execution environment, for one host.
#[derive(Clone)]
pub struct Env {
    world: Arc<dyn World>,
}

/// Error of a deadline that passed before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct Elapsed;

impl Env {
    /// The handle for one host.
    pub fn new(world: Arc<dyn World>) -> Env {
        Env { world }
    }

    /// Monotonic time since the environment started.
    pub fn now(&self) -> Time {
        self.world.now()
    }

    /// The host's wall clock (in simulation: the scenario's epoch plus the host's skew).
    pub fn unix_time(&self) -> UnixTime {
        self.world.unix_time()
    }

    /// Sleeps until `deadline`.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        self.world.sleep_until(deadline)
    }

    /// Sleeps for `span` from now.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.world.sleep_until(self.now() + span)
    }

    /// Sleeps until `deadline`, as exactly as the backend can and at the price of processor time. For the few instants
    /// that must not be rounded.
    pub fn sleep_precisely_until(&self, deadline: Time) -> Sleep {
        self.world.sleep_precisely_until(deadline)
    }

    /// The processor time that this thread has used for work; `None` on a backend with virtual time.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.world.cpu_time()
    }

    /// Waits until everything that has arrived at the host's sockets by now is delivered to its readers, and they have
    /// run.
    pub async fn catch_up(&self) {
        let Some(handed_over) = self.world.catch_up() else {
            return;
        };
        handed_over.await;
        // The first yield runs the connection's task, which wakes the task that waits for the response. The second runs
        // that one.
        step_aside().await;
        step_aside().await;
    }

    /// Returns ready at `at`, by a reusable timer: `sleep` is created on the first call and moved on each later one.
    /// The task is woken for the latest `at` only, never for that of an earlier call.
    pub fn poll_until(
        &self,
        sleep: &mut Option<Sleep>,
        at: Time,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let sleep = match sleep {
            Some(sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            None => sleep.insert(self.sleep_until(at)),
        };
        sleep.as_mut().poll(cx)
    }

    /// Runs `future` until `deadline` at the latest. The future is polled before the timer, so that a result which is
    /// ready at the deadline counts.
    ///
    /// # Errors
    /// [`Elapsed`] if the deadline passes first.
    pub async fn deadline<F: Future>(
        &self,
        deadline: Time,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        // The timer is created on the first pending poll, so that a future which is ready immediately costs no timer.
        let mut sleep = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let sleep = sleep.get_or_insert_with(|| self.sleep_until(deadline));
            sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Runs `future` for at most `span`.
    ///
    /// # Errors
    /// [`Elapsed`] if the future is not ready by then.
    pub async fn timeout<F: Future>(
        &self,
        span: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        self.deadline(self.now() + span, future).await
    }

    /// Opens a connection. The future has no timeout of its own: wrap it.
    pub fn connect(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> BoxFuture<io::Result<BoxStream>> {
        self.world.connect(to, from)
    }

    /// Listens on an address of this host.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    pub fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener> {
        self.world.listen(addr)
    }

    /// Checks that a listener could be opened on an address now.
    ///
    /// # Errors
    /// The address is in use, or not the host's.
    pub fn check_listen(&self, addr: SocketAddr) -> io::Result<()> {
        self.world.check_listen(addr)
    }

    /// The addresses of a name. The future has no timeout of its own: wrap it.
    pub fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        self.world.resolve(name)
    }

    /// A random stream for this label, independent of every other label's.
    pub fn rng(&self, label: &str) -> Rng {
        self.world.rng(label)
    }

    /// The random stream of this label from which the host makes its secrets. `None` if they must come from the operating
    /// system.
    pub fn seeded_secrets(&self, label: &str) -> Option<Rng> {
        self.world.seeded_secrets(label)
    }

    /// Runs a task until it ends or its host dies.
    pub fn spawn(&self, name: TaskName, task: impl Future<Output = ()> + 'static) {
        self.world.spawn(name, Box::pin(task));
    }

    /// Runs a task until it ends, its host dies or the returned owner is dropped.
    pub fn spawn_owned(&self, name: TaskName, task: impl Future<Output = ()> + 'static) -> Owned {
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration);
        self.spawn(name, async move {
            // A task is aborted only by dropping its owner, so the result has no recipient.
            let _ = task.await;
        });
        Owned(handle)
    }

    /// Declares work of a kind and waits for the time that the backend charges for it.
    pub async fn spend(&self, work: WorkKind) {
        if let Some(charge) = self.world.spend(work) {
            charge.await;
        }
    }

    /// The host's small durable store.
    pub fn store(&self) -> Store<'_> {
        Store(self)
    }

    /// Reports an event of the mesh.
    pub fn emit(&self, event: MeshEvent) {
        self.world.emit(event);
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// The owner of a task. Dropping it aborts the task.
#[derive(Debug)]
pub struct Owned(AbortHandle);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A small durable key-value store: the certificate authority's root, a canary's progress, the last good configuration.
pub struct Store<'a>(&'a Env);

impl Store<'_> {
    /// The value last written under `key`.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        self.0.world.store_read(key)
    }

    /// Writes `value` under `key`. The value is durable once this returns.
    ///
    /// # Errors
    /// The store could not be written.
    pub fn write(&self, key: &str, value: &[u8]) -> io::Result<()> {
        self.write_shared(key, Arc::new(Box::<[u8]>::from(value)))
    }

    /// Writes a value that others may share under `key`. The value is durable once this returns.
    ///
    /// # Errors
    /// The store could not be written.
    pub fn write_shared(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        self.0.world.store_write(key, value)
    }
}
