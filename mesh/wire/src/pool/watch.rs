//! Measurements of a request's progress on a connection (the times at which it got a connection and was written), and
//! counts of bytes and connections.
//!
//! A pool without [`Traffic`] does not measure anything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use shakedown_env::{BoxStream, Env, Stream, Time};

use crate::h2::{FrameScanner, PREFACE, kind};

/// The maximum size of one read, in bytes, because each read is copied once.
const READ_BYTES_MAX: usize = 16 << 10;

/// Counters of the connections of one or more pools, in bytes of HTTP without TLS's overhead.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    opened: AtomicU64,
    open: AtomicU64,
    open_max: AtomicU64,
}

impl Traffic {
    /// Returns the number of bytes written.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes read.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that were opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Returns the maximum number of connections that were open at the same time.
    pub fn open_max(&self) -> u64 {
        self.open_max.load(Ordering::Relaxed)
    }
}

/// The progress of one request.
#[derive(Debug, Default)]
pub struct Trace(RefCell<Option<Traced>>);

#[derive(Debug)]
struct Traced {
    watch: TrafficMeter,
    /// The time at which the request got a connection, or a stream of one.
    connected: Time,
    /// The stream of the request. `None` over HTTP/1.1.
    stream: Option<u32>,
}

impl Trace {
    /// Returns the time at which the request got a usable connection. `None` before that.
    pub fn connected(&self) -> Option<Time> {
        self.0.borrow().as_ref().map(|traced| traced.connected)
    }

    /// Returns the time at which the first byte of its head was written. `None` before that.
    pub fn written(&self) -> Option<Time> {
        let traced = self.0.borrow();
        let traced = traced.as_ref()?;
        let seen = traced.watch.seen();
        match traced.stream {
            Some(stream) => seen.streams.get(&stream).copied().flatten(),
            None => seen.written,
        }
    }

    pub(super) fn follow(&self, watch: &TrafficMeter, connected: Time, stream: Option<u32>) {
        let mut seen = watch.seen();
        match stream {
            Some(stream) => {
                seen.streams.insert(stream, None);
            }
            None => seen.written = None,
        }
        drop(seen);
        let watch = watch.clone();
        let traced = Traced {
            watch,
            connected,
            stream,
        };
        *self.0.borrow_mut() = Some(traced);
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(stream) = self.stream {
            self.watch.seen().streams.remove(&stream);
        }
    }
}

/// The observations of one connection. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct TrafficMeter(Arc<Mutex<TrafficCounts>>);

#[derive(Debug, Default)]
struct TrafficCounts {
    /// The time of the first write since the last request was dispatched. HTTP/1.1 only.
    written: Option<Time>,
    /// The time at which the HEADERS frame of each traced stream was written. HTTP/2 only. Bounded by the streams in
    /// use.
    streams: BTreeMap<u32, Option<Time>>,
    frames: Option<FrameScanner>,
}

impl TrafficMeter {
    fn seen(&self) -> MutexGuard<'_, TrafficCounts> {
        // Poisoning can be ignored, because no code panics in the middle of an update.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wraps a connected stream. `http2`: frames are parsed to find each stream's HEADERS.
pub(super) fn watched(
    stream: BoxStream,
    env: &Env,
    traffic: &Arc<Traffic>,
    http2: bool,
) -> (BoxStream, TrafficMeter) {
    let watch = TrafficMeter::default();
    watch.seen().frames = http2.then(|| FrameScanner::after(PREFACE.len()));
    traffic.opened.fetch_add(1, Ordering::Relaxed);
    let open = traffic.open.fetch_add(1, Ordering::Relaxed) + 1;
    traffic.open_max.fetch_max(open, Ordering::Relaxed);
    let watched = MeteredStream {
        stream,
        env: env.clone(),
        traffic: Arc::clone(traffic),
        watch: watch.clone(),
        scratch: Vec::new(),
    };
    (Box::new(watched), watch)
}

/// A stream whose bytes are counted.
struct MeteredStream {
    stream: BoxStream,
    env: Env,
    traffic: Arc<Traffic>,
    watch: TrafficMeter,
    scratch: Vec<u8>,
}

impl MeteredStream {
    fn wrote(&self, count: usize, bytes: &[u8]) {
        self.traffic.sent.fetch_add(count as u64, Ordering::Relaxed);
        let now = self.env.now();
        let mut seen = self.watch.seen();
        let TrafficCounts {
            written,
            streams,
            frames,
            ..
        } = &mut *seen;
        match frames {
            None => {
                written.get_or_insert(now);
            }
            Some(frames) => frames.feed(&bytes[..count], |frame| {
                let stream = (frame.kind == kind::HEADERS).then_some(frame.stream);
                if let Some(written) = stream.and_then(|stream| streams.get_mut(&stream)) {
                    written.get_or_insert(now);
                }
            }),
        }
    }
}

impl Read for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = buf.remaining().min(READ_BYTES_MAX);
        if this.scratch.len() < most {
            this.scratch.resize(most, 0);
        }
        let mut scratch = ReadBuf::new(&mut this.scratch[..most]);
        ready!(Pin::new(&mut this.stream).poll_read(cx, scratch.unfilled()))?;
        let read = scratch.filled();
        buf.put_slice(read);
        if !read.is_empty() {
            let count = read.len() as u64;
            this.traffic.received.fetch_add(count, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.wrote(count, buf);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Stream for MeteredStream {
    fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    fn reset_on_drop(&mut self) {
        self.stream.reset_on_drop();
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        self.traffic.open.fetch_sub(1, Ordering::Relaxed);
    }
}
