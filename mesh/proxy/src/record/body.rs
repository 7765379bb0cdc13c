//! The response's body on its way to the caller. Ends the record when the last byte has been handed over, and applies
//! the timeouts that cover the body.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use shakedown_env::Time;
use shakedown_types::ResponseFlags;
use shakedown_wire::{BodyError, ResponseBody};

use super::RequestRecord;
use crate::respond::MAX_DURATION;
use crate::reusable_timer::ReusableTimer;

/// A body that ends its request's record.
#[derive(Debug)]
pub(crate) struct RecordedBody {
    inner: ResponseBody,
    /// `None` once the request is over.
    record: Option<RequestRecord>,
    /// `None` if no timeout applies.
    watch: Option<BodyTimer>,
}

/// The timeouts of a response's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyTimeouts {
    /// The end of the stream duration, which applies beside the route's timeout.
    pub(crate) stream: Option<Time>,
    /// The end of the route's timeout.
    pub(crate) deadline: Option<Time>,
    /// The longest time without data.
    pub(crate) idle: Option<Duration>,
    /// The longest time without data from the upstream, set by the route's retry policy.
    pub(crate) per_try_idle: Option<Duration>,
}

/// The bounds of a body, and its timer.
#[derive(Debug)]
struct BodyTimer {
    rest: BodyTimeouts,
    /// The time of the last data, or of the headers.
    last: Time,
    alarm: ReusableTimer,
}

/// The timeout that expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpiredTimeout {
    Stream,
    Deadline,
    Idle,
    PerTryIdle,
}

/// The body broke off. The caller's connection is closed, because the headers have been sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Upstream(#[from] BodyError),
    #[error("finish the response within the route's timeouts")]
    Timeout,
}

impl RecordedBody {
    /// A body that ends `record` with its end, and breaks off at the first of its timeouts.
    pub(crate) fn new(
        inner: ResponseBody,
        record: RequestRecord,
        rest: BodyTimeouts,
    ) -> RecordedBody {
        if inner.is_end_stream() {
            // hyper does not poll an empty body.
            return RecordedBody::unread(inner, record);
        }
        let watch = (rest != BodyTimeouts::default()).then(|| BodyTimer {
            rest,
            last: record.shared().env.now(),
            alarm: ReusableTimer::new(record.shared()),
        });
        RecordedBody {
            inner,
            record: Some(record),
            watch,
        }
    }

    /// A body that is never polled, because the status or the method forbids one.
    pub(crate) fn unread(inner: ResponseBody, record: RequestRecord) -> RecordedBody {
        record.finish(ResponseFlags::empty());
        RecordedBody::of_nobody(inner)
    }

    /// A body whose request has been recorded already.
    pub(crate) fn of_nobody(inner: ResponseBody) -> RecordedBody {
        RecordedBody {
            inner,
            record: None,
            watch: None,
        }
    }

    fn finish(&mut self, flags: ResponseFlags) {
        self.watch = None;
        if let Some(record) = self.record.take() {
            record.finish(flags);
        }
    }

    fn broken(&mut self, flags: ResponseFlags, details: &'static str) {
        self.watch = None;
        if let Some(record) = self.record.take() {
            record.broken(flags, details);
        }
    }

    fn poll_bounds(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let Some(watch) = &mut self.watch else {
            return Poll::Pending;
        };
        let met = std::task::ready!(watch.poll(cx));
        // Closes the upstream's connection before the record ends.
        self.inner = ResponseBody::empty();
        match met {
            ExpiredTimeout::Stream => self.broken(ResponseFlags::empty(), MAX_DURATION),
            ExpiredTimeout::Deadline => self.broken(ResponseFlags::UT, "response_timeout"),
            ExpiredTimeout::PerTryIdle => {
                self.broken(ResponseFlags::UT, "upstream_per_try_idle_timeout")
            }
            ExpiredTimeout::Idle => self.broken(ResponseFlags::SI, "stream_idle_timeout"),
        }
        Poll::Ready(Some(Err(StreamError::Timeout)))
    }
}

/// The flags and details of a broken upstream body. Over HTTP/1.1 the body's length or its chunks were wrong.
fn broken_off(error: &BodyError) -> (ResponseFlags, &'static str) {
    if error.is_reset_stream() {
        let details = "upstream_reset_after_response_started{remote_reset}";
        return (ResponseFlags::UR, details);
    }
    let details = "upstream_reset_after_response_started{protocol_error}";
    (ResponseFlags::UPE, details)
}

impl BodyTimer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ExpiredTimeout> {
        let after = |span: Option<Duration>| span.map(|span| self.last + span);
        let bounds = [
            (self.rest.stream, ExpiredTimeout::Stream),
            (self.rest.deadline, ExpiredTimeout::Deadline),
            (after(self.rest.idle), ExpiredTimeout::Idle),
            (after(self.rest.per_try_idle), ExpiredTimeout::PerTryIdle),
        ];
        let timed = bounds.into_iter().filter_map(|(at, met)| Some((at?, met)));
        let Some((at, met)) = timed.min_by_key(|(at, _)| *at) else {
            return Poll::Pending;
        };
        self.alarm.poll(at, cx).map(|()| met)
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
                if let (Some(trailers), Some(record)) = (frame.trailers_ref(), &mut this.record) {
                    record.answered_grpc(trailers);
                }
                // hyper does not poll after trailers.
                if this.inner.is_end_stream() || frame.is_trailers() {
                    this.finish(ResponseFlags::empty());
                } else if let (Some(watch), Some(record)) = (&mut this.watch, &this.record) {
                    watch.last = record.shared().env.now();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let (flags, details) = broken_off(&error);
                this.broken(flags, details);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.finish(ResponseFlags::empty());
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_bounds(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
