//! A connection while a request has it, and the response body that holds it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Connection;
use crate::{Body, BodyError};

/// One request's hold on a connection. Released, it goes back to its pool; dropped, it is closed.
pub(super) struct Lease(Option<Rc<Connection>>);

/// A request that got no response.
pub(super) struct Failed {
    pub(super) error: hyper::Error,
    /// The request, when none of it was written.
    pub(super) unsent: Option<Request<Body>>,
}

impl Lease {
    pub(super) fn new(connection: Rc<Connection>) -> Lease {
        connection.lease();
        Lease(Some(connection))
    }

    /// Whether the connection was there before this request.
    pub(super) fn is_seasoned(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|connection| connection.is_seasoned())
    }

    /// Hands the request to the connection, and waits for the response's headers.
    pub(super) async fn dispatch(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Failed> {
        let connection = self
            .0
            .as_ref()
            .expect("a lease keeps its connection until it is released");
        let response = connection.sender().try_send_request(request);
        response.await.map_err(|mut failed| {
            let unsent = failed.take_message();
            if unsent.is_none() {
                connection.count_request();
            }
            Failed {
                error: failed.into_error(),
                unsent,
            }
        })
    }

    /// Gives the connection back.
    pub(super) fn release(mut self) {
        if let Some(connection) = self.0.take() {
            connection.release();
        }
    }

    fn count_request(&self) {
        if let Some(connection) = &self.0 {
            connection.count_request();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.close();
        }
    }
}

/// A response's body on a pooled connection. At its end the connection goes back to the pool; dropped before, it is closed.
pub struct LeasedBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl LeasedBody {
    pub(super) fn wrap(response: Response<Incoming>, lease: Lease) -> Response<Body> {
        lease.count_request();
        response.map(|incoming| {
            let mut body = LeasedBody {
                incoming,
                lease: Some(lease),
            };
            body.release_at_end();
            if body.lease.is_none() {
                Body::Empty
            } else {
                Body::Leased(body)
            }
        })
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                // A reader that trusts `is_end_stream` does not ask again.
                if frame.is_trailers() {
                    self.release()
                } else {
                    self.release_at_end()
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.lease = None;
                Some(Err(error.into()))
            }
            None => {
                self.release();
                None
            }
        })
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
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
