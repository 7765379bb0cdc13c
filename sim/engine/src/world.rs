//! The simulated environment of one host. A handle belongs to one incarnation of its host. After a crash, its futures
//! never complete, its events are discarded, and its listens and store writes fail.

use std::future::{Future, pending, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use shakedown_env::{
    BoxFuture, BoxListener, BoxStream, Env, LocalFuture, Rng, Sleep, StoreValue, TaskName, Time,
    UnixTime, WorkKind, World, stream_seed,
};
use shakedown_types::MeshEvent;

use crate::executor;
use crate::host::{HostCell, HostId};
use crate::net::connect::Connect;
use crate::net::listener::SimListener;
use crate::shared::SimShared;
use crate::sleep::{SimSleep, Spend};

/// Returns a handle to a host, valid until its next crash.
pub(crate) fn env(shared: &Arc<SimShared>, host: HostId) -> Env {
    let cell = shared.with(|kernel| Arc::clone(&kernel.host(host).cell));
    Env::new(Arc::new(SimWorld::new(Arc::clone(shared), cell)))
}

struct SimWorld {
    shared: Arc<SimShared>,
    host: Arc<HostCell>,
    incarnation: u32,
}

impl SimWorld {
    fn new(shared: Arc<SimShared>, host: Arc<HostCell>) -> SimWorld {
        let incarnation = host.incarnation();
        SimWorld {
            shared,
            host,
            incarnation,
        }
    }

    fn lives(&self) -> bool {
        self.host.lives(self.incarnation)
    }

    fn dead(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::NetworkDown,
            format!("host {} has crashed", self.host.name),
        )
    }

    fn sleep(&self, deadline: Time) -> SimSleep {
        SimSleep::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.host),
            self.incarnation,
            deadline,
        )
    }
}

impl World for SimWorld {
    fn now(&self) -> Time {
        self.shared.now()
    }

    fn unix_time(&self) -> UnixTime {
        self.shared.with(|kernel| kernel.unix_time(self.host.id))
    }

    fn sleep_until(&self, deadline: Time) -> Sleep {
        Box::pin(self.sleep(deadline))
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>> {
        Box::pin(Connect::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.host),
            self.incarnation,
            to,
            from,
        ))
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener> {
        if !self.lives() {
            return Err(self.dead());
        }
        let (socket, local) = self
            .shared
            .with(|kernel| kernel.listen(self.host.id, addr))?;
        Ok(Box::new(SimListener::new(
            Arc::clone(&self.shared),
            socket,
            local,
        )))
    }

    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        if !self.lives() {
            return Box::pin(pending());
        }
        if let Ok(address) = name.parse() {
            return Box::pin(ready(Ok(vec![address])));
        }
        let answer = self.shared.with(|kernel| kernel.names.get(name).cloned());
        let answer = answer.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("host name not found: {name}"),
            )
        });
        Box::pin(ready(answer))
    }

    fn rng(&self, label: &str) -> Rng {
        stream_seed(
            self.shared.with(|kernel| kernel.seed),
            &self.host.name,
            label,
        )
    }

    fn seeded_secrets(&self, label: &str) -> Option<Rng> {
        Some(self.rng(&format!("secrets/{label}")))
    }

    fn spawn(&self, name: TaskName, task: LocalFuture) {
        // If the host has crashed, the task is dropped here, with no lock held.
        if self.lives() {
            executor::spawn(&self.shared, &self.host, self.incarnation, name, task);
        }
    }

    fn spend(&self, work: WorkKind) -> Option<BoxFuture<()>> {
        let done_at = self.shared.with(|kernel| {
            let now = kernel.now;
            let host = kernel.host_mut(self.host.id);
            let cost = match work {
                WorkKind::Request => host.request_cost,
                WorkKind::Handshake => host.handshake_cost,
            };
            // A handle of an earlier incarnation charges nothing, because the CPU belongs to the current one.
            let charged = !cost.is_zero() && self.lives();
            charged.then(|| (host.cpu.charge(now, cost), host.cpu.clock(now)))
        });
        let (done_at, clock) = match done_at {
            Some(done) => done,
            None if self.lives() => return None,
            None => return Some(Box::pin(pending())),
        };
        let sleep = self.sleep(self.shared.now() + done_at.since(clock));
        let spend: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(Spend::new(sleep, done_at));
        Some(spend)
    }

    fn store_read(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.with(|kernel| {
            let value = kernel.host(self.host.id).store.get(key);
            value.map(|value| value.to_vec())
        })
    }

    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        if !self.lives() {
            return Err(self.dead());
        }
        self.shared.with(|kernel| {
            kernel
                .host_mut(self.host.id)
                .store
                .insert(key.to_owned(), value)
        });
        Ok(())
    }

    fn emit(&self, event: MeshEvent) {
        if self.lives() {
            self.shared
                .sink
                .emit(self.shared.now(), self.host.id, event);
        }
    }
}
