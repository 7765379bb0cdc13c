//! Resets a connection with a RST if a step requires it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::ReadBufCursor;
use shakedown_env::{Stream, Tap};

/// Breaks a connection: from then on it can only send a RST.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionBreaker(Arc<AtomicBool>);

impl ConnectionBreaker {
    pub(super) fn pull(&self) {
        // One thread sets and reads it; it is atomic because streams are `Send`.
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_pulled() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl Tap for ConnectionBreaker {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(stream).poll_read(cx, buf)
    }

    fn before_write(&mut self) -> io::Result<()> {
        self.check()
    }

    fn before_drop(&mut self, stream: &mut impl Stream) {
        if self.is_pulled() {
            stream.reset_on_drop();
        }
    }
}
