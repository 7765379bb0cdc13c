//! A body that arrives on an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::watched::H2Accounting;

/// The maximum size of a piece of gathered data that is returned at once, in bytes.
const PIECE: usize = 16 * 1024;

/// The body received on an HTTP/2 stream. Bytes that have been read are released to the peer's window.
pub struct H2Body {
    inbox: Arc<Mutex<Inbox>>,
}

/// The received data of a stream. Shared with the connection, which gathers small frames in it.
pub(crate) struct Inbox {
    recv: RecvStream,
    /// Data that was taken out of h2 and has not been read. Bounded by the stream's window, against which it still
    /// counts.
    gathered: BytesMut,
    /// The error that follows the gathered data.
    error: Option<h2::Error>,
    data_done: bool,
    /// The remaining bytes of the declared content length, if any. h2 enforces that length.
    left: Option<u64>,
    /// The task that waits for data.
    reader: Option<Waker>,
}

impl H2Body {
    /// Registers the body with its connection's `watch`, too.
    pub(crate) fn new(recv: RecvStream, headers: &HeaderMap, watch: &H2Accounting) -> H2Body {
        let length = headers.get(CONTENT_LENGTH);
        let inbox = Inbox {
            recv,
            gathered: BytesMut::new(),
            error: None,
            data_done: false,
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            reader: None,
        };
        let inbox = Arc::new(Mutex::new(inbox));
        watch.register(&inbox);
        H2Body { inbox }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Poisoning can be ignored, because no code panics in the middle of an update.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Takes all available data out of h2.
    pub(super) fn gather(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while !self.data_done && self.error.is_none() {
            match self.recv.poll_data(&mut cx) {
                Poll::Ready(Some(Ok(data))) => self.gathered.extend_from_slice(&data),
                Poll::Ready(Some(Err(error))) => self.error = Some(error),
                Poll::Ready(None) => self.data_done = true,
                Poll::Pending => break,
            }
        }
        // h2 stores one waker, and this poll has replaced the reader's.
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = if self.gathered.is_empty() {
            if let Some(error) = self.error.take() {
                self.data_done = true;
                return Poll::Ready(Some(Err(error)));
            }
            match self.recv.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => data,
                Poll::Pending => {
                    let known = self.reader.as_ref();
                    if !known.is_some_and(|known| known.will_wake(cx.waker())) {
                        self.reader = Some(cx.waker().clone());
                    }
                    return Poll::Pending;
                }
                ended => return ended,
            }
        } else {
            self.gathered
                .split_to(self.gathered.len().min(PIECE))
                .freeze()
        };
        // This fails only on a stream that has ended, whose window is irrelevant.
        let _ = self.recv.flow_control().release_capacity(data.len());
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Poll::Ready(Some(Ok(data)))
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.error.is_none() && self.recv.is_end_stream()
    }
}

impl HttpBody for H2Body {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut inbox = self.inbox();
        if !inbox.data_done || !inbox.gathered.is_empty() {
            match std::task::ready!(inbox.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(error)) => return Poll::Ready(end_of(error)),
                None => inbox.data_done = true,
            }
        }
        match std::task::ready!(inbox.recv.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(end_of(error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inbox().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inbox = self.inbox();
        if inbox.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        inbox
            .left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for H2Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inbox = self.inbox();
        f.debug_struct("H2Body")
            .field("stream", &inbox.recv.stream_id())
            .field("left", &inbox.left)
            .finish_non_exhaustive()
    }
}

/// Converts an error to the end of a body. A reset without an error ends it early but cleanly (RFC 9113, section 8.1).
fn end_of(error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
    (error.reason() != Some(Reason::NO_ERROR)).then_some(Err(error))
}
