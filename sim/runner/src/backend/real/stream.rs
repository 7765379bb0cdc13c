//! Sockets of a host that can crash, pause and be partitioned.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use shakedown_env::{BoxListener, BoxStream, Sleep, SocketListener, Stream, Time};

use super::cuts::{DATA_RETRY, Partitions, next_try};
use super::host::{HostLife, RealNetwork, Socket};
use super::lag::DelayLine;

/// Maximum number of bytes per connection that a partition buffers here. Beyond it they stay in the kernel.
const HELD_MAX: usize = 64 * 1024;

/// A stream whose received bytes are withheld during a partition, and which becomes silent when its host
/// crashes.
pub(super) struct HeldStream {
    /// `None` after [`HostLife::lay_down`] has taken it.
    inner: Option<BoxStream>,
    own: HostLife,
    peer: IpAddr,
    cuts: Arc<Partitions>,
    /// Data in flight to this end; `None` if the link has no latency.
    lag: Option<DelayLine>,
    held: VecDeque<u8>,
    /// End of the withheld bytes: regular, or an error.
    end: Option<io::Result<()>>,
    /// Time since which data is withheld; `None` if nothing is withheld or it may be read.
    since: Option<Time>,
    /// Completes at the time of the retransmission that gets through.
    retry: Option<Sleep>,
}

impl HeldStream {
    pub(super) fn new(
        inner: BoxStream,
        own: HostLife,
        cuts: Arc<Partitions>,
        lag: Option<DelayLine>,
    ) -> HeldStream {
        let peer = inner.peer_addr().ip();
        HeldStream {
            inner: Some(inner),
            own,
            peer,
            cuts,
            lag,
            held: VecDeque::new(),
            end: None,
            since: None,
            retry: None,
        }
    }

    fn inner(&mut self) -> Pin<&mut BoxStream> {
        Pin::new(
            self.inner
                .as_mut()
                .expect("the inner stream is taken only by `drop`"),
        )
    }

    fn shared(&self) -> &BoxStream {
        self.inner
            .as_ref()
            .expect("the inner stream is taken only by `drop`")
    }

    /// Buffers received data while the path is cut.
    fn hold(&mut self, cx: &mut Context<'_>) {
        let mut block = [0; 4096];
        while self.held.len() < HELD_MAX && self.end.is_none() {
            let mut buf = ReadBuf::new(&mut block);
            match self.inner().poll_read(cx, buf.unfilled()) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => self.held.extend(buf.filled()),
                Poll::Ready(end) => self.end = Some(end),
            }
            self.cuts.hit(self.peer, self.own.address());
            self.since.get_or_insert(self.own.env().now());
        }
    }

    /// Ready when withheld data may be read: when the sender would have retransmitted it after the partition
    /// has healed.
    fn poll_retry(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(since) = self.since else {
            return Poll::Ready(());
        };
        let env = self.own.env();
        let retry = self
            .retry
            .get_or_insert_with(|| env.sleep_until(next_try(since, env.now(), DATA_RETRY)));
        std::task::ready!(retry.as_mut().poll(cx));
        (self.since, self.retry) = (None, None);
        Poll::Ready(())
    }
}

impl Read for HeldStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.cuts.holds(this.peer, this.own.address(), cx) {
            this.retry = None;
            this.hold(cx);
            return Poll::Pending;
        }
        std::task::ready!(this.poll_retry(cx));
        let behind = !this.held.is_empty() || this.end.is_some();
        if let Some(lag) = &mut this.lag
            && (!behind || lag.carries())
        {
            let stream = this.inner.as_mut();
            let stream = stream.expect("the inner stream is taken only by `drop`");
            // Withheld data follows the data that was in flight before.
            let stream = (!behind).then_some(stream);
            return lag.poll_read(stream, this.own.env(), cx, &mut buf);
        }
        if !this.held.is_empty() {
            let (front, _) = this.held.as_slices();
            let count = front.len().min(buf.remaining());
            buf.put_slice(&front[..count]);
            this.held.drain(..count);
            return Poll::Ready(Ok(()));
        }
        match this.end.take() {
            Some(Ok(())) => {
                this.end = Some(Ok(()));
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => this.inner().poll_read(cx, buf),
        }
    }
}

impl Write for HeldStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared().is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bufs)
    }
}

impl Stream for HeldStream {
    fn local_addr(&self) -> SocketAddr {
        self.shared().local_addr()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.shared().peer_addr()
    }

    fn reset_on_drop(&mut self) {
        self.inner().reset_on_drop();
    }
}

impl Drop for HeldStream {
    fn drop(&mut self) {
        if let Some(stream) = self.inner.take() {
            self.own.lay_down(Socket::Stream(stream));
        }
    }
}

/// A listener that wraps accepted streams in [`HeldStream`].
pub(super) struct HeldListener {
    /// `None` after [`HostLife::lay_down`] has taken it.
    inner: Option<BoxListener>,
    own: HostLife,
    network: RealNetwork,
}

impl HeldListener {
    pub(super) fn new(inner: BoxListener, own: HostLife, network: RealNetwork) -> HeldListener {
        HeldListener {
            inner: Some(inner),
            own,
            network,
        }
    }
}

impl SocketListener for HeldListener {
    fn local_addr(&self) -> SocketAddr {
        let inner = self.inner.as_ref();
        inner
            .expect("the inner listener is taken only by `drop`")
            .local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let inner = self.inner.as_mut();
        let inner = inner.expect("the inner listener is taken only by `drop`");
        let accepted = std::task::ready!(inner.poll_accept(cx))?;
        let lag = self.network.lag_from(accepted.peer_addr().ip(), &self.own);
        let cuts = Arc::clone(&self.network.cuts);
        let stream = HeldStream::new(accepted, self.own.clone(), cuts, lag);
        Poll::Ready(Ok(Box::new(stream)))
    }
}

impl Drop for HeldListener {
    fn drop(&mut self) {
        if let Some(listener) = self.inner.take() {
            self.own.lay_down(Socket::Listener(listener));
        }
    }
}
