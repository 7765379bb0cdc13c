//! The response's body on its way to the caller: it tells the record when the last byte has been handed over, and keeps the
//! route's timeout, which covers the body too.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use shakedown_env::{Flags, Sleep};
use shakedown_wire::{Body, BodyError};

use super::Record;

/// A body whose end is recorded.
#[derive(Debug)]
pub(crate) struct RecordedBody {
    inner: Body,
    /// `None` once the request is over.
    record: Option<Record>,
    /// `None` when the route has no timeout.
    deadline: Option<Deadline>,
}

/// A sleep that can be shown.
struct Deadline(Sleep);

/// The body broke off; the caller's connection is closed, since its headers have been sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Upstream(#[from] BodyError),
    #[error("finish the response within the route's timeout")]
    Timeout,
}

impl RecordedBody {
    /// Records the end of `inner`; at `deadline` it breaks off.
    pub(crate) fn new(inner: Body, record: Record, deadline: Option<Sleep>) -> RecordedBody {
        let mut body = RecordedBody {
            inner,
            record: Some(record),
            deadline: None,
        };
        if body.inner.is_end_stream() {
            // Nobody asks an empty body for its end.
            body.finish(Flags::NONE);
        } else {
            body.deadline = deadline.map(Deadline);
        }
        body
    }

    /// A body that goes with a status or a method that forbids one: nobody will read it.
    pub(crate) fn unread(inner: Body, record: Record) -> RecordedBody {
        record.finish(Flags::NONE);
        RecordedBody::of_nobody(inner)
    }

    /// A body whose request is over already.
    pub(crate) fn of_nobody(inner: Body) -> RecordedBody {
        RecordedBody {
            inner,
            record: None,
            deadline: None,
        }
    }

    fn finish(&mut self, flags: Flags) {
        self.deadline = None;
        if let Some(record) = self.record.take() {
            record.finish(flags);
        }
    }

    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let Some(Deadline(sleep)) = &mut self.deadline else {
            return Poll::Pending;
        };
        std::task::ready!(sleep.as_mut().poll(cx));
        // The upstream's connection is closed before the request counts as over.
        self.inner = Body::Empty;
        self.finish(Flags::UT);
        Poll::Ready(Some(Err(StreamError::Timeout)))
    }
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.inner.is_end_stream() {
                    this.finish(Flags::NONE);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.finish(Flags::UC);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.finish(Flags::NONE);
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_deadline(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl std::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deadline")
    }
}
