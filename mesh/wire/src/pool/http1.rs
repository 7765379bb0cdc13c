//! HTTP/1.1 on a connection, by hyper: one request at a time.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use shakedown_env::{BoxStream, Tapped};

use super::error::{Failed, HttpError, SendError};
use crate::framing::{Awaited, Framing, Line, ResponseFraming, ResponseWatch};
use crate::{Body, WrittenPath};

/// The sending side of a connection.
pub(super) struct Http1 {
    sender: RefCell<SendRequest<Body>>,
    watch: Arc<ResponseWatch>,
}

/// The I/O side of a connection, driven by its task. `None` once hyper is done with the connection, either closed or
/// upgraded.
pub(super) struct Http1Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>>>>>);

impl Http1 {
    pub(super) async fn handshake(stream: BoxStream) -> Result<(Http1, Http1Driver), HttpError> {
        let watch = Arc::new(ResponseWatch::default());
        let tap = Framing::new(ResponseFraming::new(&watch));
        let (sender, connection) = http1::handshake(Tapped { stream, tap }).await?;
        let connection = Box::pin(connection.with_upgrades());
        let sender = RefCell::new(sender);
        Ok((Http1 { sender, watch }, Http1Driver(Some(connection))))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.borrow().is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.borrow().is_closed()
    }

    /// Ready once the connection can take a request.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.sender.borrow_mut().poll_ready(cx)
    }

    /// Sends the request, and waits for the response's headers.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Failed> {
        let to_head = request.method() == Method::HEAD;
        self.watch.expect(if to_head {
            Awaited::Headers
        } else {
            Awaited::Response
        });
        self.watch.write_line(line_of(&request));
        announce_chunked_body(&mut request);
        let response = self.sender.borrow_mut().try_send_request(request);
        response.await.map_err(|mut failed| {
            let unsent = failed.take_message();
            let error = SendError::of_http1(failed.into_error(), unsent.is_none());
            Failed { error, unsent }
        })
    }
}

/// Returns the request line that hyper would write and its replacement, if hyper does not accept the path as written.
fn line_of(request: &Request<Body>) -> Option<Line> {
    let written = request.extensions().get::<WrittenPath>()?;
    let of = |path: &dyn Display| format!("{} {path} HTTP/1.1\r\n", request.method()).into_bytes();
    Some(Line {
        of: of(request.uri()),
        instead: of(&written.as_str()),
    })
}

/// Adds `transfer-encoding: chunked` if hyper would omit the body otherwise. With GET, HEAD and CONNECT hyper sends no
/// body unless a header announces it.
fn announce_chunked_body(request: &mut Request<Body>) {
    let seldom = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::CONNECT
    );
    if seldom
        && !request.body().is_end_stream()
        && request.body().size_hint().exact().is_none()
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

impl Http1Driver {
    /// Returns true once hyper is done with the connection.
    pub(super) fn is_done(&self) -> bool {
        self.0.is_none()
    }

    /// Drives the connection. Ready once hyper is done with it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(driven) = &mut self.0 {
            let _ended = ready!(driven.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}
