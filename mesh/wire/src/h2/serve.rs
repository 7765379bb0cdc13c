//! Serving of one HTTP/2 stream, from its request to the end of its response.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::Body as HttpBody;

use super::{H2Accounting, set_length, toward_wire_response, upload};

/// Marks a response, by its extensions, as absent: its stream is reset instead. Ignored over HTTP/1.1.
#[derive(Clone, Copy, Debug)]
pub struct ResetStream;

/// Answers one stream. `answer` is dropped when the stream is reset or its connection ends.
///
/// `to_head`: the request's method was HEAD, so that the body's length is declared but the body is not sent. Returns
/// true if the response was sent to its end.
pub(super) async fn serve_stream<F, B>(
    mut answer: Pin<Box<F>>,
    mut respond: SendResponse<Bytes>,
    to_head: bool,
    watch: &H2Accounting,
) -> bool
where
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes>,
{
    let response = poll_fn(|cx| {
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        answer.as_mut().poll(cx).map(Some)
    });
    let Some(response) = response.await else {
        return false;
    };
    let (mut head, body) = response.into_parts();
    if head.extensions.get::<ResetStream>().is_some() {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return false;
    }
    toward_wire_response(&mut head.headers);
    let forbidden = is_bodiless(head.status);
    if forbidden && head.status != StatusCode::NOT_MODIFIED {
        // Source: RFC 9110, section 8.6.
        head.headers.remove(CONTENT_LENGTH);
    }
    let empty = body.is_end_stream() || to_head || forbidden;
    if !forbidden && !body.is_end_stream() {
        set_length(&mut head.headers, &body);
    }
    // An error of h2 here and below means that the stream is gone, and cannot be reported to the client.
    match respond.send_response(Response::from_parts(head, ()), empty) {
        Ok(_) if empty => true,
        Ok(send) => upload(body, send, Reason::INTERNAL_ERROR, watch)
            .await
            .is_ok(),
        Err(_) => false,
    }
}

/// Returns true if HTTP forbids a body. Source: RFC 9110, section 6.4.1.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
