//! HTTP/2 on a pooled connection, by h2: many requests at a time, each a stream. No task but the connection's, and one for a
//! request's body that outlives the arrival of its response's headers.

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

use super::connection::Connection;
use super::lease::{Answered, Failed, Lease, LeasedBody};
use super::{HttpError, SendError};
use crate::h2::{
    CONNECTION_WINDOW, H2Body, RESET_STREAM_DURATION, RESET_STREAMS, RESETS_MAX, STREAM_WINDOW,
    Upload, UploadError, Watch, Watched, set_length, toward_wire, upload,
};
use crate::{Body, BodyError};

/// Where requests are handed in.
pub(super) struct Http2 {
    sender: RefCell<SendRequest<Bytes>>,
    /// The most streams at a time: ours, or the peer's where that is less.
    limit: Cell<u32>,
    most: u32,
    /// How many streams were cut off: h2 remembers each.
    resets: Cell<usize>,
    watch: Rc<Watch>,
}

/// Where the bytes go.
pub(super) struct End(client::Connection<Watched<TokioIo<BoxStream>>, Bytes>);

impl Http2 {
    /// Does not wait for the peer: as in Envoy, the first requests go out with our own words of the handshake.
    pub(super) async fn handshake(
        env: &Env,
        stream: BoxStream,
        most: u32,
    ) -> Result<(Http2, End), HttpError> {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(most as usize)
            .reset_stream_duration(RESET_STREAM_DURATION)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .enable_push(false);
        let watch = Watch::new(env);
        let stream = Watched::client(TokioIo::new(stream), &watch);
        let (sender, connection) = builder.handshake(stream).await?;
        let http2 = Http2 {
            sender: RefCell::new(sender),
            limit: Cell::new(most),
            most,
            resets: Cell::new(0),
            watch,
        };
        Ok((http2, End(connection)))
    }

    /// The most streams at a time.
    pub(super) fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// Whether the connection takes new streams: it is there, and the peer has not said that it goes away.
    pub(super) fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !matches!(
            self.sender.borrow_mut().poll_ready(&mut cx),
            Poll::Ready(Err(_))
        )
    }

    /// Counts a stream that was cut off; tells whether there have been as many as one connection should have.
    pub(super) fn count_reset(&self) -> bool {
        self.resets.set(self.resets.get() + 1);
        self.resets.get() >= RESETS_MAX
    }

    /// Opens a stream, and waits for the response's headers. `opened` is called with the stream, of which nothing has been
    /// written yet.
    pub(super) async fn exchange(
        &self,
        lease: Lease,
        request: Request<Body>,
        opened: impl Fn(u32),
    ) -> Answered {
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
            // h2 looks at one of them only.
            let error = SendError::of_http2(Reason::PROTOCOL_ERROR.into());
            return Err(Failed::sent(error));
        }
        let body = H2Body::new(recv, &head.headers).watched(&self.watch);
        Ok(Response::from_parts(
            head,
            LeasedBody::http2(body, lease, upload),
        ))
    }

    /// The request's body has made no step yet.
    fn open(
        &self,
        request: Request<Body>,
    ) -> Result<(ResponseFuture, Option<Upload<BodyError>>), SendError> {
        let (mut head, body) = request.into_parts();
        let empty = body.is_end_stream();
        // The frames tell how long a body is; nothing is said of one that is not there.
        if !empty {
            set_length(&mut head.headers, &body);
        }
        toward_wire(&mut head);
        // A sender of its own: one that waits for its turn, where the peer has lowered its limit, must not hold up others.
        let mut sender = self.sender.borrow().clone();
        let (response, stream) = sender
            .send_request(Request::from_parts(head, ()), empty)
            .map_err(SendError::of_http2)?;
        let watch = Rc::clone(&self.watch);
        let upload = (!empty).then(|| {
            let sending = async move { upload(body, stream, Reason::CANCEL, Some(&watch)).await };
            Box::pin(sending) as Upload<BodyError>
        });
        Ok((response, upload))
    }

    /// Takes over the peer's limit.
    fn follow_peer(&self) {
        let peer = self.sender.borrow().current_max_send_streams();
        self.limit
            .set(self.most.min(u32::try_from(peer).unwrap_or(u32::MAX)));
    }
}

impl End {
    /// Ready when the connection has ended.
    pub(super) fn poll(&mut self, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Poll<()> {
        let super::connection::Wire::Http2(http2) = connection.wire() else {
            return Poll::Pending;
        };
        loop {
            if Pin::new(&mut self.0).poll(cx).is_ready() || http2.watch.flood().is_some() {
                return Poll::Ready(());
            }
            if !http2.watch.gather() {
                break;
            }
        }
        if !http2.is_open() {
            connection.retire();
            return Poll::Pending;
        }
        let before = http2.limit();
        http2.follow_peer();
        if http2.limit() != before {
            connection.fit();
        }
        Poll::Pending
    }
}
