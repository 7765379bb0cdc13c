//! The one body type of the request path: concrete, unboxed, with exact sizes so that `content-length` is right.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::LeasedBody;
use crate::framing::is_malformed;
use crate::h2::H2Body;

mod replay;

pub use replay::{KeptBudget, Replay, ReplayBody};

/// The body of a request or a response.
#[derive(Debug, Default)]
pub enum Body {
    /// No bytes.
    #[default]
    Empty,
    /// Bytes in memory; `None` once they have been sent.
    Full(Option<Bytes>),
    /// Bytes in memory whose length is not told ahead; `None` once they have been sent.
    Unsized(Option<Bytes>),
    /// What arrives on a connection that somebody else owns: a server's request.
    Incoming(Incoming),
    /// What arrives on a stream of HTTP/2: a server's request.
    Stream(H2Body),
    /// One reading of a body that is kept for another.
    Replay(ReplayBody),
    /// A pooled connection's response, which holds the connection until its end.
    Leased(LeasedBody),
}

/// A body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Its connection failed, or broke HTTP's framing.
    #[error("read the body from its connection")]
    Connection(#[from] hyper::Error),
    /// Its stream was reset, or the connection under it failed.
    #[error("read the body from its stream")]
    Stream(#[from] h2::Error),
    /// It was to be read again after it had grown too long to be kept, or had broken off.
    #[error("read a body again that is not kept")]
    Forgotten,
    /// It was to be read again after its sender had broken HTTP/1.1's framing.
    #[error("read a body again whose framing is broken")]
    Malformed,
}

impl BodyError {
    /// Whether its sender broke HTTP/1.1's framing; otherwise a connection failed, or a stream was reset.
    pub fn is_malformed(&self) -> bool {
        match self {
            BodyError::Connection(error) => is_malformed(error),
            BodyError::Malformed => true,
            BodyError::Stream(_) | BodyError::Forgotten => false,
        }
    }

    /// Whether it was a stream of HTTP/2 that its sender reset; otherwise a connection failed, or broke HTTP's framing.
    pub fn is_reset_stream(&self) -> bool {
        let h2 = match self {
            BodyError::Stream(error) => Some(error),
            BodyError::Connection(error) => std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<h2::Error>()),
            BodyError::Forgotten | BodyError::Malformed => None,
        };
        h2.is_some_and(|error| error.is_reset() && error.is_remote())
    }
}

/// A body could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is longer than the caller allows.
    #[error("collect a body of more than {limit} bytes")]
    TooLarge {
        /// The most that was allowed, in bytes.
        limit: usize,
    },
    /// It broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Body {
        Body::Empty
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::Empty
        } else {
            Body::Full(Some(bytes))
        }
    }

    /// These bytes, of which nobody is told how many they are before they come: as one that came in chunks goes on, one
    /// without any bytes too.
    pub fn unsized_of(bytes: Bytes) -> Body {
        Body::Unsized(Some(bytes))
    }

    /// Reads the body to its end, without its trailers. A body that came in one piece is not copied.
    ///
    /// # Errors
    /// It is longer than `limit` bytes, or broke off.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, CollectError> {
        if self.size_hint().lower() > limit as u64 {
            return Err(CollectError::TooLarge { limit });
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = next_frame(&mut self).await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            if first.len() + rest.len() + data.len() > limit {
                return Err(CollectError::TooLarge { limit });
            }
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    }
}

async fn next_frame(body: &mut Body) -> Option<Result<Frame<Bytes>, BodyError>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
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
            Body::Leased(leased) => leased.poll_frame(cx),
            Body::Replay(replay) => Pin::new(replay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) | Body::Unsized(bytes) => bytes.is_none(),
            Body::Incoming(incoming) => incoming.is_end_stream(),
            Body::Stream(stream) => stream.is_end_stream(),
            Body::Leased(leased) => leased.is_end_stream(),
            Body::Replay(replay) => replay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            // One that has been sent is known to be over.
            Body::Unsized(None) => SizeHint::with_exact(0),
            Body::Unsized(Some(_)) => SizeHint::default(),
            Body::Incoming(incoming) => incoming.size_hint(),
            Body::Stream(stream) => stream.size_hint(),
            Body::Leased(leased) => leased.size_hint(),
            Body::Replay(replay) => replay.size_hint(),
        }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Body {
        Body::Incoming(incoming)
    }
}
