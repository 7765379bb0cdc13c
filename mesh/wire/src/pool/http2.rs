//! HTTP/2 on a connection, by h2: many concurrent requests, one stream each. The only tasks are one per
//! connection, and one per request body that is still being sent when the response's headers have arrived.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::client::{self, ResponseFuture, SendRequest};
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Env};

use super::error::{Failed, HttpError, SendError};
use crate::h2::{
    AccountedStream, CONNECTION_WINDOW, H2Accounting, H2Body, RESET_STREAM_DURATION, RESET_STREAMS,
    RESETS_MAX, STREAM_WINDOW, Upload, UploadError, set_length, toward_wire, upload,
};
use crate::{Body, BodyError};

/// The sending side of a connection, which opens streams.
pub(super) struct Http2 {
    sender: RefCell<SendRequest<Bytes>>,
    /// The current maximum of concurrent streams: the smaller of `most` and the peer's limit.
    limit: Cell<u32>,
    most: u32,
    /// The number of streams that were cut off. h2 remembers each of them.
    resets: Cell<usize>,
    watch: Rc<H2Accounting>,
}

/// A response, and the rest of its request's body if that is still being sent.
pub(super) type Answered = (Response<H2Body>, Option<Upload<BodyError>>);

/// The I/O side of a connection, driven by its task.
pub(super) struct Http2Driver(client::Connection<AccountedStream<TokioIo<BoxStream>>, Bytes>);

impl Http2 {
    /// Sends the client's preface and SETTINGS without waiting for the peer's. As in Envoy, the first requests follow
    /// at once.
    pub(super) async fn handshake(
        env: &Env,
        stream: BoxStream,
        most: u32,
    ) -> Result<(Http2, Http2Driver), HttpError> {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(most as usize)
            .reset_stream_duration(RESET_STREAM_DURATION)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .enable_push(false);
        let watch = H2Accounting::new(env);
        let stream = AccountedStream::client(TokioIo::new(stream), &watch);
        let (sender, connection) = builder.handshake(stream).await?;
        let http2 = Http2 {
            sender: RefCell::new(sender),
            limit: Cell::new(most),
            most,
            resets: Cell::new(0),
            watch,
        };
        Ok((http2, Http2Driver(connection)))
    }

    /// Returns the current maximum of concurrent streams.
    pub(super) fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// Returns true if new streams can be opened: the connection is open, and the peer has not sent GOAWAY.
    pub(super) fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !matches!(
            self.sender.borrow_mut().poll_ready(&mut cx),
            Poll::Ready(Err(_))
        )
    }

    /// Counts a stream that was cut off. Returns true once the connection has reached [`RESETS_MAX`].
    pub(super) fn count_reset(&self) -> bool {
        self.resets.set(self.resets.get() + 1);
        self.resets.get() >= RESETS_MAX
    }

    /// Opens a stream, and waits for the response's headers. `opened` receives the stream's id before anything of the
    /// stream is written.
    pub(super) async fn exchange(
        &self,
        request: Request<Body>,
        opened: impl Fn(u32),
    ) -> Result<Answered, Failed> {
        if !self.is_open() {
            return Err(Failed {
                error: SendError::Terminated {
                    on_wire: false,
                    reset: false,
                },
                unsent: Some(request),
            });
        }
        let (mut response, mut upload) = self.open(request).map_err(Failed::sent)?;
        opened(response.stream_id().as_u32());
        let response = poll_fn(|cx| {
            if let Some(body) = &mut upload
                && let Poll::Ready(sent) = body.as_mut().poll(cx)
            {
                upload = None;
                if let Err(UploadError::Body(error)) = sent {
                    return Poll::Ready(Err(SendError::RequestBody(error)));
                }
            }
            Pin::new(&mut response)
                .poll(cx)
                .map_err(SendError::of_http2)
        });
        let (head, recv) = response.await.map_err(Failed::sent)?.into_parts();
        if head.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
            // h2 checks only one of them.
            let error = SendError::of_http2(Reason::PROTOCOL_ERROR.into());
            return Err(Failed::sent(error));
        }
        let body = H2Body::new(recv, &head.headers, &self.watch);
        Ok((Response::from_parts(head, body), upload))
    }

    /// Opens a stream. The upload of the request's body is returned unpolled.
    fn open(
        &self,
        request: Request<Body>,
    ) -> Result<(ResponseFuture, Option<Upload<BodyError>>), SendError> {
        let (mut head, body) = request.into_parts();
        let empty = body.is_end_stream();
        // An empty body gets no `content-length`: END_STREAM marks it as empty.
        if !empty {
            set_length(&mut head.headers, &body);
        }
        toward_wire(&mut head);
        // A separate sender per request: after the peer has lowered its limit, a request that waits for its stream must
        // not block others.
        let mut sender = self.sender.borrow().clone();
        let (response, stream) = sender
            .send_request(Request::from_parts(head, ()), empty)
            .map_err(SendError::of_http2)?;
        let watch = Rc::clone(&self.watch);
        let upload = (!empty).then(|| {
            let sending = async move { upload(body, stream, Reason::CANCEL, &watch).await };
            Box::pin(sending) as Upload<BodyError>
        });
        Ok((response, upload))
    }

    /// Adopts the peer's current limit. Returns true if it has changed.
    pub(super) fn follow_peer(&self) -> bool {
        let peer = self.sender.borrow().current_max_send_streams();
        let limit = self.most.min(u32::try_from(peer).unwrap_or(u32::MAX));
        self.limit.replace(limit) != limit
    }
}

impl Http2Driver {
    /// Drives the connection with this sending side. Ready once it has ended.
    pub(super) fn poll(&mut self, http2: &Http2, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if Pin::new(&mut self.0).poll(cx).is_ready() || http2.watch.flood().is_some() {
                return Poll::Ready(());
            }
            if !http2.watch.gather() {
                return Poll::Pending;
            }
        }
    }
}
