//! A body that arrives on an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// What arrives on an HTTP/2 stream. What has been read is given back to the peer's window.
pub struct H2Body {
    recv: RecvStream,
    data_done: bool,
    /// What is left of a length that was told; h2 holds the peer to it.
    left: Option<u64>,
}

impl H2Body {
    pub(crate) fn new(recv: RecvStream, headers: &HeaderMap) -> H2Body {
        let length = headers.get(CONTENT_LENGTH);
        H2Body {
            recv,
            data_done: false,
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
        }
    }
}

impl HttpBody for H2Body {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_done {
            match std::task::ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails only on a stream that has ended, whose window nobody needs.
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(end_of(error)),
                None => self.data_done = true,
            }
        }
        match std::task::ready!(self.recv.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(end_of(error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for H2Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Body")
            .field("stream", &self.recv.stream_id())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// A reset without an error ends a body early, and cleanly (RFC 9113, section 8.1).
fn end_of(error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
    (error.reason() != Some(Reason::NO_ERROR)).then_some(Err(error))
}
