//! The real backend's [`World`] of one host.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use shakedown_types::MeshEvent;
use tokio::runtime::Handle;

use super::clock::{self, Clock};
use super::store::MemoryStore;
use super::timer::{ReactorTurn, RealSleep, SleepTimers};
use super::{HostOptions, socket};
use crate::world::{BoxFuture, LocalFuture, Sleep, StoreValue, TaskName, WorkKind, World};
use crate::{BoxListener, BoxStream, Rng, Time, UnixTime, stream_seed};

pub(super) struct OsHost {
    options: HostOptions,
    seed: u64,
    store: MemoryStore,
    clock: Clock,
    timers: Arc<SleepTimers>,
    tokio: Handle,
}

impl OsHost {
    pub(super) fn new(
        options: HostOptions,
        clock: Clock,
        timers: Arc<SleepTimers>,
        tokio: Handle,
    ) -> io::Result<OsHost> {
        let seed = options.seed.map_or_else(entropy, Ok)?;
        let store = MemoryStore::open(options.store.clone())?;
        Ok(OsHost {
            options,
            seed,
            store,
            clock,
            timers,
            tokio,
        })
    }
}

/// An unpredictable seed.
fn entropy() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl World for OsHost {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn unix_time(&self) -> UnixTime {
        clock::unix_time()
    }

    fn sleep_until(&self, deadline: Time) -> Sleep {
        Box::pin(RealSleep::new(Arc::clone(&self.timers), deadline))
    }

    fn sleep_precisely_until(&self, deadline: Time) -> Sleep {
        Box::pin(RealSleep::precise(Arc::clone(&self.timers), deadline))
    }

    fn cpu_time(&self) -> Option<Duration> {
        Some(clock::thread_time().saturating_sub(self.timers.spun()))
    }

    fn catch_up(&self) -> Option<BoxFuture<()>> {
        Some(Box::pin(ReactorTurn::new(Arc::clone(&self.timers))))
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>> {
        let own = self.options.address;
        let from = from
            .or_else(|| (!own.is_unspecified() && own.is_ipv4() == to.is_ipv4()).then_some(own));
        Box::pin(socket::connect(to, from))
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener> {
        let _entered = self.tokio.enter();
        socket::listen(addr, self.options.reuse_port)
    }

    fn check_listen(&self, addr: SocketAddr) -> io::Result<()> {
        socket::check_listen(addr, self.options.reuse_port)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the implementation of the environment by the operating system"
    )]
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        if let Some(known) = self.options.names.lookup(name) {
            return Box::pin(std::future::ready(Ok(known)));
        }
        if let Ok(literal) = name.parse() {
            return Box::pin(std::future::ready(Ok(vec![literal])));
        }
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    fn rng(&self, label: &str) -> Rng {
        stream_seed(self.seed, &self.options.name, label)
    }

    fn seeded_secrets(&self, _label: &str) -> Option<Rng> {
        None
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the implementation of the environment by the operating system"
    )]
    fn spawn(&self, _name: TaskName, task: LocalFuture) {
        tokio::task::spawn_local(task);
    }

    fn spend(&self, _work: WorkKind) -> Option<BoxFuture<()>> {
        None
    }

    fn store_read(&self, key: &str) -> Option<Vec<u8>> {
        self.store.read(key)
    }

    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        self.store.write(key, value)
    }

    fn emit(&self, event: MeshEvent) {
        if let Some(on_event) = &self.options.on_event {
            on_event(self.clock.now(), &self.options.name, event);
        }
    }
}
