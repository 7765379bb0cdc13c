//! The request as it will be sent, as often as it takes: kept in memory where the route may try again.
//!
//! A body is kept when its length is known and small enough; any other streams through once, and such a request is tried
//! once.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use shakedown_env::Env;
use shakedown_wire::{Body, CollectError};

use crate::respond::Reject;

/// The longest body that is kept for another try. Source: Envoy, `per_connection_buffer_limit_bytes`, default 1 MiB.
const KEPT_BYTES_MAX: u64 = 1024 * 1024;
/// How long a caller may take over a body that is kept. Source: Envoy, `stream_idle_timeout`, default 5 min.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// A request ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    payload: Payload,
}

#[derive(Debug)]
enum Payload {
    Empty,
    Kept(Bytes),
    /// Streams through; gone after the first try.
    Once(Body),
}

impl Outgoing {
    /// Takes a request from its caller; with its body, where it may be `repeated`.
    pub(crate) async fn take(
        env: &Env,
        head: Parts,
        body: Incoming,
        repeated: bool,
    ) -> Result<Outgoing, Reject> {
        let payload = if body.is_end_stream() {
            Payload::Empty
        } else if repeated
            && body
                .size_hint()
                .exact()
                .is_some_and(|size| size <= KEPT_BYTES_MAX)
        {
            Payload::Kept(collect(env, body).await?)
        } else {
            Payload::Once(Body::Incoming(body))
        };
        let Parts {
            method,
            uri,
            headers,
            ..
        } = head;
        Ok(Outgoing {
            method,
            uri,
            headers,
            payload,
        })
    }

    /// Whether it can be sent more than once.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self.payload, Payload::Once(_))
    }

    /// The headers, for what changes from try to try.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Whom it is for.
    pub(crate) fn host(&self) -> Option<&str> {
        self.headers.get(http::header::HOST)?.to_str().ok()
    }

    /// The request for one try. With `keep` another may be made after it; without, its parts move and what is left is
    /// empty.
    pub(crate) fn request(&mut self, keep: bool) -> Request<Body> {
        let body = match &mut self.payload {
            Payload::Empty => Body::Empty,
            Payload::Kept(bytes) => Body::full(bytes.clone()),
            Payload::Once(body) => std::mem::take(body),
        };
        let mut request = Request::new(body);
        if keep {
            *request.method_mut() = self.method.clone();
            *request.uri_mut() = self.uri.clone();
            *request.headers_mut() = self.headers.clone();
        } else {
            *request.method_mut() = std::mem::take(&mut self.method);
            *request.uri_mut() = std::mem::take(&mut self.uri);
            *request.headers_mut() = std::mem::take(&mut self.headers);
        }
        request
    }
}

async fn collect(env: &Env, body: Incoming) -> Result<Bytes, Reject> {
    let collecting = Body::Incoming(body).collect(KEPT_BYTES_MAX as usize);
    match env.timeout(BODY_TIMEOUT, collecting).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(CollectError::Body(_) | CollectError::TooLarge { .. })) => Err(Reject::CallerGone),
        Err(_elapsed) => Err(Reject::SlowRequest),
    }
}
