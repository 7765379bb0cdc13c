//! Connections and listeners of `turmoil::net`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::turmoil::net::{TcpListener, TcpStream};
use shakedown_env::{BoxStream, SocketListener, TokioStream};

use super::shared::TurmoilShared;
use crate::HostId;

/// A connection as a stream.
pub(super) fn stream(socket: TcpStream) -> io::Result<BoxStream> {
    let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
    // turmoil sends a RST only for bytes that were not read. Stories in which one matters are refused before.
    let stream = TokioStream::new(socket, local, peer, |_| {});
    Ok(Box::new(stream))
}

type Accept = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// A listening socket. The port is taken at once; turmoil binds it on the host itself, which is where it is first polled.
pub(super) struct TurmoilListener {
    shared: Arc<TurmoilShared>,
    host: HostId,
    life: u32,
    local: SocketAddr,
    bound: Option<Arc<TcpListener>>,
    accept: Option<Accept>,
}

impl TurmoilListener {
    /// # Errors
    /// The port is in use.
    pub(super) fn new(
        shared: Arc<TurmoilShared>,
        host: HostId,
        life: u32,
        local: SocketAddr,
    ) -> io::Result<TurmoilListener> {
        let free = shared.lock().host_mut(host).ports.insert(local.port());
        if !free {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("{local} is in use"),
            ));
        }
        Ok(TurmoilListener {
            shared,
            host,
            life,
            local,
            bound: None,
            accept: None,
        })
    }

    fn poll_bind(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpListener>> {
        // turmoil takes no other address; a host has but one anyway.
        let any = match self.local {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // It never waits: it is made and polled to its end in one go.
        let bind = pin!(TcpListener::bind(SocketAddr::new(any, self.local.port())));
        bind.poll(cx)
    }
}

impl SocketListener for TurmoilListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let listener = match &self.bound {
            Some(listener) => Arc::clone(listener),
            None => {
                let listener = ready!(self.poll_bind(cx))?;
                Arc::clone(self.bound.insert(Arc::new(listener)))
            }
        };
        let accept = self.accept.get_or_insert_with(|| {
            Box::pin(async move { listener.accept().await.map(|(stream, _)| stream) })
        });
        let accepted = ready!(accept.as_mut().poll(cx));
        self.accept = None;
        Poll::Ready(stream(accepted?))
    }
}

impl Drop for TurmoilListener {
    fn drop(&mut self) {
        if self.shared.lives(self.host, self.life) {
            let mut state = self.shared.lock();
            state.host_mut(self.host).ports.remove(&self.local.port());
        }
    }
}
