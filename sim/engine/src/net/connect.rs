//! The future of a connection attempt. Dropping it cancels the attempt.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use shakedown_env::BoxStream;

use super::stream::SimStream;
use crate::arena::ArenaKey;
use crate::host::HostCell;
use crate::shared::SimShared;

pub(crate) struct Connect {
    shared: Arc<SimShared>,
    host: Arc<HostCell>,
    incarnation: u32,
    to: SocketAddr,
    from: Option<IpAddr>,
    /// Set from the first poll until the stream is returned.
    endpoint: Option<ArenaKey>,
}

impl Connect {
    pub(crate) fn new(
        shared: Arc<SimShared>,
        host: Arc<HostCell>,
        incarnation: u32,
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> Connect {
        Connect {
            shared,
            host,
            incarnation,
            to,
            from,
            endpoint: None,
        }
    }
}

impl Future for Connect {
    type Output = io::Result<BoxStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let this = &mut *self;
        if !this.host.lives(this.incarnation) {
            return Poll::Pending;
        }
        let endpoint = match this.endpoint {
            Some(endpoint) => endpoint,
            None => {
                let opened = this
                    .shared
                    .with(|kernel| kernel.connect(this.host.id, this.to, this.from));
                *this.endpoint.insert(opened?)
            }
        };
        this.shared
            .with(|kernel| kernel.connected(endpoint, cx.waker()))
            .map(|connected| {
                this.endpoint = None;
                let (local, peer) = connected?;
                let stream: BoxStream = Box::new(SimStream::new(
                    Arc::clone(&this.shared),
                    endpoint,
                    local,
                    peer,
                ));
                Ok(stream)
            })
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint {
            self.shared.with(|kernel| kernel.close(endpoint, false));
        }
    }
}
