//! The body of a response. Separate from [`Body`], because a connection sends bodies of requests, and a response
//! occupies a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::lease::LeasedBody;
use crate::body::collect;
use crate::{Body, BodyError, CollectError};

/// The body of a response, from a pool or from this process.
#[derive(Debug)]
pub enum ResponseBody {
    /// A body that occupies no connection.
    Local(Body),
    /// The response of a pooled connection. It occupies the connection until its end.
    Leased(LeasedBody),
}

impl ResponseBody {
    /// Returns a body without bytes.
    pub const fn empty() -> ResponseBody {
        ResponseBody::Local(Body::Empty)
    }

    /// Returns a body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> ResponseBody {
        ResponseBody::Local(Body::full(bytes))
    }

    /// Reads the body to its end, and drops its trailers. A body that arrives in one piece is not copied.
    ///
    /// # Errors
    /// The body is longer than `limit` bytes, or was cut off.
    pub fn collect(self, limit: usize) -> impl Future<Output = Result<Bytes, CollectError>> {
        collect(self, limit)
    }
}

impl From<LeasedBody> for ResponseBody {
    fn from(body: LeasedBody) -> ResponseBody {
        if body.is_released() {
            ResponseBody::empty()
        } else {
            ResponseBody::Leased(body)
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            ResponseBody::Local(body) => Pin::new(body).poll_frame(cx),
            ResponseBody::Leased(leased) => leased.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Local(body) => body.is_end_stream(),
            ResponseBody::Leased(leased) => leased.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Local(body) => body.size_hint(),
            ResponseBody::Leased(leased) => leased.size_hint(),
        }
    }
}
