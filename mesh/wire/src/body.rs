//! The body type of requests, and of responses from this process: concrete, unboxed, and with exact sizes so that
//! `content-length` is right.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::h2::H2Body;

mod collect;
mod error;
mod replay;

pub(crate) use collect::collect;
pub(crate) use error::is_malformed;
pub use error::{BodyError, CollectError};
pub use replay::{KeptBudget, Replay, ReplayBody};

/// The body of a request, or of a response that is not received from a pool: see
/// [`ResponseBody`](crate::ResponseBody).
#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Empty,
    /// Bytes in memory. `None` once they have been sent.
    Full(Option<Bytes>),
    /// Bytes in memory that are sent without a declared length. `None` once they have been sent.
    Unsized(Option<Bytes>),
    /// Data from an HTTP/1.1 connection that is driven elsewhere: a request on a server.
    Incoming(Incoming),
    /// Data from an HTTP/2 stream: a request on a server.
    Stream(H2Body),
    /// A reader of a body that is kept for several readers.
    Replay(ReplayBody),
}

impl Body {
    /// Returns a body without bytes.
    pub const fn empty() -> Body {
        Body::Empty
    }

    /// Returns a body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::Empty
        } else {
            Body::Full(Some(bytes))
        }
    }

    /// Returns a body of these bytes without a declared length. A chunked message is forwarded in this form even if it
    /// has no bytes.
    pub fn unsized_of(bytes: Bytes) -> Body {
        Body::Unsized(Some(bytes))
    }

    /// Reads the body to its end, and drops its trailers. A body that arrives in one piece is not copied.
    ///
    /// # Errors
    /// The body is longer than `limit` bytes, or was cut off.
    pub fn collect(self, limit: usize) -> impl Future<Output = Result<Bytes, CollectError>> {
        collect(self, limit)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) | Body::Unsized(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Body::Incoming(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|f| Ok(f?))),
            Body::Stream(stream) => Pin::new(stream)
                .poll_frame(cx)
                .map(|frame| frame.map(|f| Ok(f?))),
            Body::Replay(replay) => Pin::new(replay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) | Body::Unsized(bytes) => bytes.is_none(),
            Body::Incoming(incoming) => incoming.is_end_stream(),
            Body::Stream(stream) => stream.is_end_stream(),
            Body::Replay(replay) => replay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            // A body that has been sent is known to be at its end.
            Body::Unsized(None) => SizeHint::with_exact(0),
            Body::Unsized(Some(_)) => SizeHint::default(),
            Body::Incoming(incoming) => incoming.size_hint(),
            Body::Stream(stream) => stream.size_hint(),
            Body::Replay(replay) => replay.size_hint(),
        }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Body {
        Body::Incoming(incoming)
    }
}
