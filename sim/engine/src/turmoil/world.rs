//! The environment of one host on turmoil. As in the native engine, a handle belongs to one incarnation of its host.

use std::future::{pending, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::turmoil::net::TcpStream;
use shakedown_env::{
    BoxFuture, BoxListener, BoxStream, LocalFuture, Rng, Sleep, StoreValue, TaskName, Time,
    UnixTime, WorkKind, World, stream_seed,
};
use shakedown_types::MeshEvent;

use super::shared::TurmoilShared;
use super::sleep::TurmoilSleep;
use super::socket::{TurmoilListener, stream};
use super::task;
use crate::HostId;

pub(super) struct TurmoilWorld {
    shared: Arc<TurmoilShared>,
    host: HostId,
    life: u32,
    name: Arc<str>,
    address: IpAddr,
}

impl TurmoilWorld {
    pub(super) fn new(shared: Arc<TurmoilShared>, host: HostId) -> TurmoilWorld {
        let (life, name, address) = {
            let state = shared.lock();
            let host = state.host(host);
            (host.life, Arc::clone(&host.name), host.address)
        };
        TurmoilWorld {
            shared,
            host,
            life,
            name,
            address,
        }
    }

    fn lives(&self) -> bool {
        self.shared.lives(self.host, self.life)
    }

    fn dead(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::NetworkDown,
            format!("host {} has crashed", self.name),
        )
    }

    fn not_ours(&self, address: IpAddr) -> io::Error {
        io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("{address} is not an address of host {}", self.name),
        )
    }
}

impl World for TurmoilWorld {
    fn now(&self) -> Time {
        self.shared.now()
    }

    fn unix_time(&self) -> UnixTime {
        let now = self.shared.now().as_nanos();
        let state = self.shared.lock();
        let zero = i128::from(state.epoch.as_nanos()) - i128::from(state.origin.as_nanos());
        let nanos = u64::try_from(zero + i128::from(now)).unwrap_or(0);
        UnixTime::from_nanos(nanos)
    }

    fn sleep_until(&self, deadline: Time) -> Sleep {
        Box::pin(TurmoilSleep::new(Arc::clone(&self.shared), deadline))
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> BoxFuture<io::Result<BoxStream>> {
        if !self.lives() {
            return Box::pin(pending());
        }
        if let Some(other) = from.filter(|from| *from != self.address) {
            return Box::pin(ready(Err(self.not_ours(other))));
        }
        Box::pin(async move { stream(TcpStream::connect(to).await?) })
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<BoxListener> {
        if !self.lives() {
            return Err(self.dead());
        }
        if addr.ip() != self.address && !addr.ip().is_unspecified() {
            return Err(self.not_ours(addr.ip()));
        }
        if addr.port() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "listening on port 0 is not supported on turmoil",
            ));
        }
        let shared = Arc::clone(&self.shared);
        let listener = TurmoilListener::new(shared, self.host, self.life, addr)?;
        Ok(Box::new(listener))
    }

    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        if !self.lives() {
            return Box::pin(pending());
        }
        if let Ok(address) = name.parse() {
            return Box::pin(ready(Ok(vec![address])));
        }
        let answer = self.shared.lock().names.get(name).cloned();
        let answer = answer.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("host name not found: {name}"),
            )
        });
        Box::pin(ready(answer))
    }

    fn rng(&self, label: &str) -> Rng {
        // The same random streams as in the native engine, so that outcomes can be compared.
        stream_seed(self.shared.seed, &self.name, label)
    }

    fn seeded_secrets(&self, label: &str) -> Option<Rng> {
        Some(self.rng(&format!("secrets/{label}")))
    }

    fn spawn(&self, name: TaskName, future: LocalFuture) {
        // If the host has crashed, the task is dropped here, with no lock held.
        if self.lives() {
            task::spawn(&self.shared, self.host, self.life, name, future);
        }
    }

    fn spend(&self, _work: WorkKind) -> Option<BoxFuture<()>> {
        None
    }

    fn store_read(&self, key: &str) -> Option<Vec<u8>> {
        let state = self.shared.lock();
        let value = state.host(self.host).store.get(key);
        value.map(|value| value.to_vec())
    }

    fn store_write(&self, key: &str, value: Arc<dyn StoreValue>) -> io::Result<()> {
        if !self.lives() {
            return Err(self.dead());
        }
        let mut state = self.shared.lock();
        let store = &mut state.host_mut(self.host).store;
        store.insert(key.to_owned(), value);
        Ok(())
    }

    fn emit(&self, event: MeshEvent) {
        if self.lives() {
            self.shared.sink.emit(self.shared.now(), self.host, event);
        }
    }
}
