//! A listener's admission: hands a request to `handle`, or refuses it before anything else of the proxy sees it.
//!
//! Limits are Envoy's: 60 KiB of headers, and 100 of them over HTTP/1.1. A request beyond these is answered 431. A refused
//! request is recorded, has no id, and ends its connection.

use std::borrow::Cow;
use std::pin::pin;
use std::rc::Rc;

use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, Version};
use shakedown_types::ResponseFlags;
use shakedown_wire::{BadHead, Body, ResponseBody, ServeError};

use crate::connection::DownstreamConnection;
use crate::handle::handle;
use crate::hash::ConnectionEnds;
use crate::listener::ActiveListener;
use crate::record::{RecordedBody, RequestRecord};
use crate::refusal::{self, EarlyResponse};
use crate::send::PooledCarrier;
use crate::shared::Shared;

/// The most bytes of a request's head. Source: Envoy, `max_request_headers_kb`, default 60. `shakedown_wire` applies the
/// limit of 100 headers.
pub(crate) const HEAD_BYTES_MAX: usize = 60 * 1024;

/// Handles one request of a connection, or refuses it.
pub(crate) async fn serve(
    shared: &Rc<Shared>,
    listener: &ActiveListener,
    connection: &DownstreamConnection,
    ends: ConnectionEnds,
    request: Request<Body>,
) -> Response<RecordedBody> {
    if let Some(why) = request.extensions().get::<BadHead>() {
        if request.version() == Version::HTTP_2 {
            return reset(shared, listener);
        }
        return refuse(
            shared,
            listener,
            &refusal::for_bad_head(*why, &listener.config()),
        );
    }
    if request.version() == Version::HTTP_2 && head_bytes(&request) > HEAD_BYTES_MAX {
        return refuse(shared, listener, &refusal::TOO_LARGE);
    }
    if request.version() == Version::HTTP_10 {
        return refuse(shared, listener, &refusal::LOW_VERSION);
    }
    if request.method() == "QUERY" && !request.headers().contains_key(CONTENT_TYPE) {
        return refuse(shared, listener, &refusal::BARE_QUERY);
    }
    // Pinned in place, because awaiting the future by value would move it first.
    let handled = pin!(handle(
        shared,
        &PooledCarrier,
        listener,
        connection,
        ends,
        request
    ));
    handled.await
}

/// The size of an HTTP/2 head as Envoy counts it: names and values, and the request target.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    headers.fold(target, |sum, (name, value)| {
        sum + name.as_str().len() + value.len()
    })
}

/// Answers a refused request, and asks for its connection to be closed.
fn refuse(
    shared: &Rc<Shared>,
    listener: &ActiveListener,
    refusal: &EarlyResponse,
) -> Response<RecordedBody> {
    let mut record = RequestRecord::begin(shared, listener.side(), None);
    let details = Cow::Borrowed(refusal.details);
    record.answered(refusal.status.as_u16(), refusal.flags, details);
    record.finish(ResponseFlags::empty());
    let body = ResponseBody::full(refusal.body);
    let mut response = Response::new(RecordedBody::of_nobody(body));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    if !refusal.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    shared.dates.complete(headers, shared.env.unix_time());
    response
}

/// Records an HTTP/2 request with an invalid head. Its connection ends without a response, so that the one returned here is
/// never sent.
fn reset(shared: &Rc<Shared>, listener: &ActiveListener) -> Response<RecordedBody> {
    let mut record = RequestRecord::begin(shared, listener.side(), None);
    record.answered(
        0,
        ResponseFlags::DPE,
        Cow::Borrowed("http2.invalid.header.field"),
    );
    record.finish(ResponseFlags::empty());
    Response::new(RecordedBody::of_nobody(ResponseBody::empty()))
}

/// Records a request that hyper itself answered with 400, because it accepts less than HTTP/1.1 allows. `result` is how the
/// connection ended.
pub(crate) fn record_codec_error(
    shared: &Rc<Shared>,
    listener: &ActiveListener,
    result: &Result<(), ServeError>,
) {
    let Err(ServeError::Http1(error)) = result else {
        return;
    };
    if !error.is_parse() {
        return;
    }
    let mut record = RequestRecord::begin(shared, listener.side(), None);
    record.answered(400, ResponseFlags::DPE, Cow::Borrowed("http1.codec_error"));
    record.finish(ResponseFlags::empty());
}
