//! Heads of requests that do not end in time. hyper would close without a word; here the service gives the answer, to a
//! request that stands for the one that has not come.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use shakedown_env::{Env, Sleep, Stream, Tap, Tapped};

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

/// A stream whose reads are noticed.
pub(super) type Noticed<S> = Tapped<S, Notice>;

/// What notices them. (It crosses hyper's upgrades, which ask for `Send`: hence the atomic.)
#[derive(Default)]
pub(super) struct Notice {
    came: Arc<AtomicBool>,
    /// What is read in the place of what comes.
    instead: Option<&'static [u8]>,
}

impl Notice {
    /// From now on the stream says something else.
    pub(super) fn stand_in(&mut self) {
        self.instead = Some(STAND_IN);
    }
}

impl Tap for Notice {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(instead) = &mut self.instead {
            if instead.is_empty() {
                // It has been answered, which closes the connection.
                return Poll::Pending;
            }
            let (now, later) = instead.split_at(instead.len().min(buf.remaining()));
            buf.put_slice(now);
            *instead = later;
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.came.store(true, Ordering::Relaxed);
        }
        polled
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
    pub(super) fn new(env: &Env, timeout: &HeadTimeout, notice: &Notice) -> HeadTimer {
        HeadTimer {
            env: env.clone(),
            timeout: timeout.clone(),
            came: Arc::clone(&notice.came),
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
