//! A wrapper of the socket under h2 that observes the frames in both directions, the socket's readiness for writes, and
//! the bodies that arrive on the streams.
//!
//! h2 buffers each frame separately, however small, in both directions. A peer that sends one byte per frame, or
//! that stops reading while responses continue, would cost hundreds of times the memory that flow control counts. Small
//! frames are therefore joined here before there are many of them.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use shakedown_env::{Env, Wakers};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::Inbox;
use super::constraints::{Constraints, Flood};
use super::frames::{FrameScanner, PREFACE, kind};

/// The size in bytes below which buffering a DATA frame costs more than its content.
pub(super) const SMALL: usize = 256;
/// The number of small DATA frames that h2 may hold unread before they are joined.
const SMALL_FRAMES: u32 = 1024;

/// The observations of one connection, shared by its socket, its streams and its task.
pub(crate) struct H2Accounting {
    env: Env,
    constraints: RefCell<Constraints>,
    flood: Cell<Option<Flood>>,
    /// The number of small DATA frames since bodies were last gathered.
    small: Cell<u32>,
    inboxes: RefCell<Vec<Weak<Mutex<Inbox>>>>,
    /// True if the socket accepts no more bytes.
    blocked: Cell<bool>,
    /// The tasks that wait until the socket accepts bytes again.
    waiting: RefCell<Wakers>,
}

impl H2Accounting {
    pub(crate) fn new(env: &Env) -> Rc<H2Accounting> {
        Rc::new(H2Accounting {
            env: env.clone(),
            constraints: RefCell::new(Constraints::new(env.now())),
            flood: Cell::new(None),
            small: Cell::new(0),
            inboxes: RefCell::default(),
            blocked: Cell::new(false),
            waiting: RefCell::default(),
        })
    }

    /// Returns the limit that the peer has exceeded, if any. Reads stop after that.
    pub(crate) fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// Records that GOAWAY was sent.
    pub(crate) fn leaving(&self) {
        self.constraints.borrow_mut().leaving = true;
    }

    /// Takes small frames out of h2 if there are many, and returns true if so. Reads pause until then. The connection's
    /// driver calls this when it has nothing else to do, and must poll the connection again after true.
    pub(crate) fn gather(&self) -> bool {
        if self.small.get() < SMALL_FRAMES {
            return false;
        }
        self.small.set(0);
        let inboxes = self.inboxes.borrow();
        for inbox in inboxes.iter().filter_map(Weak::upgrade) {
            inbox
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .gather();
        }
        true
    }

    pub(super) fn register(&self, inbox: &Arc<Mutex<Inbox>>) {
        let mut inboxes = self.inboxes.borrow_mut();
        if inboxes.len() == inboxes.capacity() {
            inboxes.retain(|known| known.strong_count() > 0);
        }
        inboxes.push(Arc::downgrade(inbox));
    }

    /// Returns true if the socket accepts no more bytes. Writes then accumulate in h2, frame by frame.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Registers a task that waits until the socket accepts bytes again.
    pub(super) fn waiter(&self) -> Waiter<'_> {
        let key = self.waiting.borrow_mut().key();
        Waiter { watch: self, key }
    }

    fn written<T>(&self, written: &Poll<io::Result<T>>) {
        self.blocked.set(written.is_pending());
        if written.is_ready() && !self.waiting.borrow().is_empty() {
            let waiting = self.waiting.borrow_mut().take();
            waiting.for_each(Waker::wake);
        }
    }

    fn must_pause(&self) -> bool {
        self.flood.get().is_some() || self.small.get() >= SMALL_FRAMES
    }
}

/// A waiter for the socket of a connection to accept bytes.
pub(super) struct Waiter<'w> {
    watch: &'w H2Accounting,
    key: u64,
}

impl Waiter<'_> {
    /// Returns true if the socket accepts no more bytes.
    pub(super) fn is_blocked(&self) -> bool {
        self.watch.is_blocked()
    }

    /// Wakes the task when the socket accepts bytes again.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.watch.waiting.borrow_mut().wait(self.key, cx);
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.watch.waiting.borrow_mut().forget(self.key);
    }
}

/// The socket of a watched connection.
pub(crate) struct AccountedStream<T> {
    io: T,
    watch: Rc<H2Accounting>,
    inbound: FrameScanner,
    outbound: FrameScanner,
}

impl<T> AccountedStream<T> {
    /// Wraps the server's side of a connection.
    pub(crate) fn server(io: T, watch: &Rc<H2Accounting>) -> AccountedStream<T> {
        AccountedStream::new(io, watch, PREFACE.len(), 0)
    }

    /// Wraps the client's side of a connection.
    pub(crate) fn client(io: T, watch: &Rc<H2Accounting>) -> AccountedStream<T> {
        AccountedStream::new(io, watch, 0, PREFACE.len())
    }

    fn new(io: T, watch: &Rc<H2Accounting>, inbound: usize, outbound: usize) -> AccountedStream<T> {
        AccountedStream {
            io,
            watch: Rc::clone(watch),
            inbound: FrameScanner::after(inbound),
            outbound: FrameScanner::after(outbound),
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        let watch = &self.watch;
        let mut constraints = watch.constraints.borrow_mut();
        self.inbound.feed(bytes, |frame| {
            if frame.kind == kind::DATA && frame.content < SMALL {
                watch.small.set(watch.small.get() + 1);
            }
            if watch.flood.get().is_none() {
                let counted = constraints.received(frame, || watch.env.now());
                watch.flood.set(counted.err());
            }
        });
    }

    fn sent(&mut self, bytes: &[u8]) {
        let mut constraints = self.watch.constraints.borrow_mut();
        self.outbound.feed(bytes, |frame| constraints.sent(frame));
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for AccountedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.must_pause() {
            // No waker is needed, because the connection's task checks the watch before it suspends.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.received(&buf.filled()[before..]);
        if this.watch.flood().is_some() {
            buf.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for AccountedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch.written(&written);
        if let Poll::Ready(Ok(length)) = written {
            self.sent(&buf[..length]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch.written(&written);
        if let Poll::Ready(Ok(mut left)) = written {
            for buf in bufs {
                let most = left.min(buf.len());
                self.sent(&buf[..most]);
                left -= most;
            }
        }
        written
    }
}
