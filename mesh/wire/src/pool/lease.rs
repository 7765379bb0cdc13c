//! The lease of a connection by one request, and the response body that keeps the lease.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use shakedown_env::Owned;

use super::connection::RequestSender;
use super::error::Failed;
use super::open::offer;
use super::shared::AssignedConnection;
use super::watch::Trace;
use crate::h2::{H2Body, Upload};
use crate::{Body, BodyError};

/// The use of a connection, or of one of its streams, by one request. Releasing it frees the connection for another
/// request. Dropping it unreleased closes an HTTP/1.1 connection or resets a stream.
pub(super) struct Lease(
    /// `None` once the lease has ended.
    Option<AssignedConnection>,
);

impl Lease {
    pub(super) fn new(assigned: AssignedConnection) -> Lease {
        Lease(Some(assigned))
    }

    fn assigned(&self) -> &AssignedConnection {
        let assigned = self.0.as_ref();
        assigned.expect("a lease keeps its connection until it is released")
    }

    /// Returns true if the peer had time to close the connection before this request.
    pub(super) fn is_seasoned(&self) -> bool {
        self.assigned().seasoned
    }

    /// Sends the request on the connection, and waits for the response's headers.
    pub(super) async fn dispatch(
        self,
        request: Request<Body>,
        trace: Option<&Trace>,
    ) -> Result<Response<LeasedBody>, Failed> {
        let connection = &self.assigned().connection;
        let follow = |stream| {
            if let Some(trace) = trace {
                connection.follow(trace, stream);
            }
        };
        match connection.wire() {
            RequestSender::Http1(http1) => {
                follow(None);
                if request.headers().contains_key(UPGRADE) {
                    connection.expect_upgrade();
                }
                let response = http1.exchange(request).await?;
                let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                Ok(response.map(|incoming| {
                    if upgraded {
                        LeasedBody::upgraded(incoming, self)
                    } else {
                        LeasedBody::http1(incoming, self)
                    }
                }))
            }
            RequestSender::Http2(http2) => {
                let opened = |stream| follow(Some(stream));
                let (response, upload) = http2.exchange(request, opened).await?;
                Ok(response.map(|body| LeasedBody::http2(body, self, upload)))
            }
        }
    }

    /// Returns the connection to its pool.
    pub(super) fn release(mut self) {
        self.end(true);
    }

    fn end(&mut self, in_order: bool) {
        let Some(assigned) = self.0.take() else {
            return;
        };
        // Released first, because the next request in the queue may need the permit.
        drop(assigned.permit);
        if let Some(pool) = assigned.connection.end(in_order) {
            offer(&pool, &assigned.connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The response body on a pooled connection. At its end the connection returns to the pool. Dropping it earlier closes
/// an HTTP/1.1 connection or resets an HTTP/2 stream.
pub struct LeasedBody {
    incoming: Arriving,
    lease: Option<Lease>,
    /// The task that still sends the request's body. `None` if the body is complete.
    upload: Option<Owned>,
}

enum Arriving {
    Http1(Incoming),
    Http2(H2Body),
}

impl LeasedBody {
    pub(super) fn http1(incoming: Incoming, lease: Lease) -> LeasedBody {
        LeasedBody::new(Arriving::Http1(incoming), lease, None)
    }

    /// Wraps the empty body of an upgrade's response. The upgraded protocol occupies the connection until the body is
    /// dropped.
    pub(super) fn upgraded(incoming: Incoming, lease: Lease) -> LeasedBody {
        LeasedBody {
            incoming: Arriving::Http1(incoming),
            lease: Some(lease),
            upload: None,
        }
    }

    pub(super) fn http2(
        body: H2Body,
        lease: Lease,
        upload: Option<Upload<BodyError>>,
    ) -> LeasedBody {
        let pool = lease.assigned().connection.pool();
        // If the pool has been dropped, the rest of the request's body is not sent.
        let upload = upload.zip(pool).map(|(upload, pool)| {
            pool.env.spawn_owned("http2-upload", async move {
                // Errors are ignored here. They also appear on the response's side of the stream.
                let _ = upload.await;
            })
        });
        LeasedBody::new(Arriving::Http2(body), lease, upload)
    }

    fn new(incoming: Arriving, lease: Lease, upload: Option<Owned>) -> LeasedBody {
        let mut body = LeasedBody {
            incoming,
            lease: Some(lease),
            upload,
        };
        body.release_at_end();
        body
    }

    /// Returns true if the body has ended or was cut off, so that it occupies no connection any more.
    pub(super) fn is_released(&self) -> bool {
        self.lease.is_none()
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.incoming {
            Arriving::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError::from),
            Arriving::Http2(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::from),
        };
        Poll::Ready(match std::task::ready!(frame) {
            Some(Ok(frame))
                if frame.is_trailers() && matches!(self.incoming, Arriving::Http1(_)) =>
            {
                // Envoy drops trailers by default. Source: Envoy, `Http1ProtocolOptions.enable_trailers`.
                self.release();
                None
            }
            Some(Ok(frame)) => {
                // A reader that relies on `is_end_stream` does not poll again.
                if frame.is_trailers() {
                    self.release()
                } else {
                    self.release_at_end()
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.lease = None;
                Some(Err(error))
            }
            None => {
                self.release();
                None
            }
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match &self.incoming {
            Arriving::Http1(incoming) => incoming.is_end_stream(),
            Arriving::Http2(body) => body.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Arriving::Http1(incoming) => incoming.size_hint(),
            Arriving::Http2(body) => body.size_hint(),
        }
    }

    fn release_at_end(&mut self) {
        if self.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        // If the response is complete, the rest of the request's body is not sent, as in Envoy.
        self.upload = None;
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

impl fmt::Debug for LeasedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedBody")
            .field("held", &self.lease.is_some())
            .finish_non_exhaustive()
    }
}
