//! Runs the request path without hyper, under the shop's configuration. A function answers each attempt.

use std::cell::Cell;
use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use hyper::body::Body as HttpBody;
use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::UnixTime;
use shakedown_proxy::DryRun;
use shakedown_wire::{Body, ResponseBody};

use super::shop;

/// Headers of a request in addition to the usual ones.
pub(crate) type Headers = &'static [(&'static str, &'static str)];

pub(crate) const ID: (&str, &str) = ("x-request-id", "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e");
/// The user whose route has every policy.
pub(crate) const JASON: (&str, &str) = ("end-user", "jason");

/// A proxy without a network, and its simulated environment.
pub(crate) struct Line {
    proxy: DryRun,
    _sim: Sim,
}

impl Line {
    pub(crate) fn new() -> Line {
        let sim = Sim::new(SimOptions {
            seed: 7,
            epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
            noise: None,
        });
        let env = sim.add_host(HostSpec::new("pod", shop::POD.into()));
        let proxy = DryRun::new(env, shop::bootstrap(), shop::table(), shop::LISTENER).unwrap();
        Line { proxy, _sim: sim }
    }

    /// Answers a request with the given upstream response. Also returns the request that was sent upstream.
    pub(crate) fn answer(
        &self,
        request: Request<Body>,
        response: Response<ResponseBody>,
    ) -> (Request<Body>, Response<impl HttpBody<Data = Bytes> + use<>>) {
        let (sent, response) = (Cell::new(None), Cell::new(Some(response)));
        let upstream = |_, request| {
            sent.set(Some(request));
            response.take().unwrap()
        };
        // The future is pinned in place. Moving it would add to the measured cost.
        let answer = {
            let mut running = pin!(self.proxy.answer(request, &upstream));
            running.as_mut().now_or_never().unwrap()
        };
        (sent.into_inner().unwrap(), answer)
    }
}

/// A request as hyper reads it: its values share one buffer, and its map has the capacity of the previous message.
pub(crate) fn request(host: &str, with: Headers) -> Request<Body> {
    let mut buffer = BytesMut::with_capacity(1024);
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(HOST, value(&mut buffer, host));
    headers.insert(USER_AGENT, value(&mut buffer, "curl/8.5.0"));
    headers.insert(ACCEPT, value(&mut buffer, "*/*"));
    for (name, text) in with {
        let name = HeaderName::from_static(name);
        headers.insert(name, value(&mut buffer, text));
    }
    let mut request = Request::new(Body::empty());
    buffer.put_slice(b"/reviews/1?full=yes");
    *request.uri_mut() = Uri::from_maybe_shared(buffer.split().freeze()).unwrap();
    *request.headers_mut() = headers;
    request
}

fn value(buffer: &mut BytesMut, text: &str) -> HeaderValue {
    buffer.put_slice(text.as_bytes());
    HeaderValue::from_maybe_shared(buffer.split().freeze()).unwrap()
}

/// An upstream's response, built like the request.
pub(crate) fn response() -> Response<ResponseBody> {
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut response = Response::new(ResponseBody::empty());
    *response.headers_mut() = headers;
    response
}
