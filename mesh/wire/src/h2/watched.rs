//! A connection of HTTP/2 under h2, watched: the frames that come and go, whether the socket takes what is written, and the
//! bodies that arrive on its streams.
//!
//! h2 buffers each frame by itself, whatever its size, in both directions: a peer that sends a byte a frame, or one that
//! reads nothing while somebody else does, would cost hundreds of times what flow control counts. Small frames are put
//! together here before there are many of them.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use shakedown_env::Env;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::Inbox;
use super::constraints::{Constraints, Flood};
use super::frames::{Frames, PREFACE, kind};
use crate::wakers::Wakers;

/// A DATA frame with less than this costs more to keep than it carries.
pub(super) const SMALL: usize = 256;
/// How many small DATA frames h2 may hold unread before they are put together.
const SMALL_FRAMES: u32 = 1024;

/// What is known of one connection. Shared by its bytes, its streams and its task.
pub(crate) struct Watch {
    env: Env,
    constraints: RefCell<Constraints>,
    flood: Cell<Option<Flood>>,
    /// Small DATA frames since bodies were last gathered.
    small: Cell<u32>,
    inboxes: RefCell<Vec<Weak<Mutex<Inbox>>>>,
    /// Whether the socket takes no more bytes.
    blocked: Cell<bool>,
    /// Those who wait until it does.
    waiting: RefCell<Wakers>,
}

impl Watch {
    pub(crate) fn new(env: &Env) -> Rc<Watch> {
        Rc::new(Watch {
            env: env.clone(),
            constraints: RefCell::new(Constraints::new(env.now())),
            flood: Cell::new(None),
            small: Cell::new(0),
            inboxes: RefCell::default(),
            blocked: Cell::new(false),
            waiting: RefCell::default(),
        })
    }

    /// The limit that the peer has broken. Nothing more is read from it then.
    pub(crate) fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// The peer was told to open no more streams.
    pub(crate) fn leaving(&self) {
        self.constraints.borrow_mut().leaving = true;
    }

    /// Takes small frames out of h2, where there are many. Nothing more is read before that; whoever drives the connection
    /// asks when it has no more to do, and drives it on if there were.
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

    /// Whether the socket takes no more bytes: what is written now stays in h2, frame by frame.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// A place among those who wait until the socket takes bytes again.
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

/// A place among those who wait until a connection's socket takes bytes.
pub(super) struct Waiter<'w> {
    watch: &'w Watch,
    key: u64,
}

impl Waiter<'_> {
    /// Returns true if the socket takes no more bytes.
    pub(super) fn is_blocked(&self) -> bool {
        self.watch.is_blocked()
    }

    /// Wakes the task when the socket takes bytes again.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.watch.waiting.borrow_mut().wait(self.key, cx);
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.watch.waiting.borrow_mut().forget(self.key);
    }
}

/// The bytes of a watched connection.
pub(crate) struct Watched<T> {
    io: T,
    watch: Rc<Watch>,
    inbound: Frames,
    outbound: Frames,
}

impl<T> Watched<T> {
    /// The server's side of a connection.
    pub(crate) fn server(io: T, watch: &Rc<Watch>) -> Watched<T> {
        Watched::new(io, watch, PREFACE, 0)
    }

    /// The client's side of a connection.
    pub(crate) fn client(io: T, watch: &Rc<Watch>) -> Watched<T> {
        Watched::new(io, watch, 0, PREFACE)
    }

    fn new(io: T, watch: &Rc<Watch>, inbound: usize, outbound: usize) -> Watched<T> {
        Watched {
            io,
            watch: Rc::clone(watch),
            inbound: Frames::after(inbound),
            outbound: Frames::after(outbound),
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

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.must_pause() {
            // The connection's task looks at the watch before it rests.
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

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
