//! Heads of requests that do not end in time. hyper would close without a word; here the service gives the answer, to a
//! request that stands for the one that has not come.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use shakedown_env::{Env, Sleep};

/// Among the extensions of a request whose head did not end in time: what it asks for is not known. Whatever is answered,
/// the connection is closed.
#[derive(Clone, Copy, Debug)]
pub struct LateHead;

/// What stands for a request whose head did not end in time.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: late\r\nconnection: close\r\n\r\n";

/// How long a head may take from its first byte on; `None`: as long as it takes. Clones share it, so that it can be changed
/// under a server that runs.
#[derive(Clone, Debug, Default)]
pub struct HeadTimeout(Rc<Cell<Option<Duration>>>);

impl HeadTimeout {
    /// From now on so long.
    pub fn set(&self, span: Option<Duration>) {
        self.0.set(span);
    }
}

/// A stream whose reads are noticed. (It crosses hyper's upgrades, which ask for `Send`: hence the atomic.)
pub(super) struct Noticed<T> {
    stream: T,
    came: Arc<AtomicBool>,
    /// What is read in the place of what comes.
    instead: Option<&'static [u8]>,
}

impl<T> Noticed<T> {
    pub(super) fn new(stream: T) -> Noticed<T> {
        Noticed {
            stream,
            came: Arc::default(),
            instead: None,
        }
    }

    /// The same stream, which says something else from now on.
    pub(super) fn stand_in(mut self) -> Noticed<T> {
        self.instead = Some(STAND_IN);
        self
    }
}

/// Fires when a head takes too long.
pub(super) struct HeadTimer {
    env: Env,
    timeout: HeadTimeout,
    came: Arc<AtomicBool>,
    sleep: Option<Sleep>,
}

impl HeadTimer {
    pub(super) fn new<T>(env: &Env, timeout: &HeadTimeout, stream: &Noticed<T>) -> HeadTimer {
        HeadTimer {
            env: env.clone(),
            timeout: timeout.clone(),
            came: Arc::clone(&stream.came),
            sleep: None,
        }
    }

    /// What is told that a head has come.
    pub(super) fn came(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.came)
    }

    /// Ready when a head is late. `active`: there is a request, whose head has come.
    pub(super) fn poll_late(&mut self, active: bool, cx: &mut Context<'_>) -> Poll<()> {
        let Some(span) = self.timeout.0.get() else {
            return Poll::Pending;
        };
        if active {
            self.came.store(false, Ordering::Relaxed);
            self.sleep = None;
            return Poll::Pending;
        }
        if !self.came.load(Ordering::Relaxed) {
            // Nothing has begun, or what had has come.
            self.sleep = None;
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| self.env.sleep(span));
        sleep.as_mut().poll(cx)
    }
}

impl<T: Read + Unpin> Read for Noticed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(instead) = &mut this.instead {
            if instead.is_empty() {
                // It has been answered, which closes the connection.
                return Poll::Pending;
            }
            let (now, later) = instead.split_at(instead.len().min(buf.remaining()));
            buf.put_slice(now);
            *instead = later;
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_ready() {
            this.came.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: Write + Unpin> Write for Noticed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
