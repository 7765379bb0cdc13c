//! A request in the form in which it is sent. If the route may retry, headers and the received part of the body are
//! kept.
//!
//! A body that has not arrived yet is streamed. If it grows beyond the buffer the request is not retried any more.

mod kept;

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body as _;
use shakedown_wire::{Body, KeptBudget, Replay, WrittenPath};

use crate::object_pool::ObjectPool;
use crate::upgrade::is_websocket;
pub(crate) use kept::HeaderBuffers;
use kept::SavedHeaders;

/// The longest body that is kept for a retry. Source: Envoy, `per_connection_buffer_limit_bytes`, default 1 MiB.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// A request ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    method: Method,
    uri: Uri,
    /// The path as written, if the `Uri` cannot represent it.
    written: Option<WrittenPath>,
    /// Empty once an attempt has taken them.
    headers: HeaderMap,
    /// The headers, if another attempt may follow.
    kept: Option<SavedHeaders>,
    payload: OutgoingBody,
    over_http2: bool,
}

#[derive(Debug)]
enum OutgoingBody {
    Empty,
    /// No body, and the request does not end, because its connection is to be upgraded.
    Open {
        websocket: bool,
    },
    /// The complete body, and true if the caller sent its length.
    Whole(Bytes, bool),
    /// A body that is still arriving.
    Arriving(Replay),
}

impl Outgoing {
    /// Takes a request from its caller. `kept` is the budget for its body if it may be repeated; `upgrade` is true if
    /// it asks for an upgrade.
    pub(crate) fn take(
        head: &mut Parts,
        body: &mut Body,
        kept: Option<&KeptBudget>,
        upgrade: bool,
    ) -> Outgoing {
        let payload = if upgrade {
            let websocket = is_websocket(&head.headers);
            OutgoingBody::Open { websocket }
        } else if body.is_end_stream() {
            OutgoingBody::Empty
        } else {
            let body = std::mem::take(body);
            let most = kept.map_or(0, |_| KEPT_BYTES_MAX);
            OutgoingBody::Arriving(Replay::new(body, most, kept))
        };
        Outgoing {
            method: std::mem::take(&mut head.method),
            uri: std::mem::take(&mut head.uri),
            written: head.extensions.remove(),
            headers: std::mem::take(&mut head.headers),
            kept: None,
            payload,
            over_http2: head.version == Version::HTTP_2,
        }
    }

    /// Takes the body if all of it has arrived. Otherwise it is streamed.
    pub(crate) async fn arrive(&mut self) {
        if let OutgoingBody::Arriving(replay) = &self.payload
            && let Some(bytes) = replay.arrive().await
        {
            let sized = self.headers.contains_key(CONTENT_LENGTH);
            self.payload = OutgoingBody::Whole(bytes, sized);
        }
    }

    /// True if the request can be sent again, because everything received of it is kept.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.payload {
            OutgoingBody::Empty | OutgoingBody::Open { .. } | OutgoingBody::Whole(..) => true,
            OutgoingBody::Arriving(replay) => replay.is_repeatable(),
        }
    }

    /// Ready when the body is complete or broken off. Until then each piece of it wakes the task.
    pub(crate) fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.payload {
            OutgoingBody::Empty | OutgoingBody::Whole(..) => Poll::Ready(()),
            OutgoingBody::Open { .. } => Poll::Pending,
            OutgoingBody::Arriving(replay) => replay.poll_complete(cx),
        }
    }

    /// The number of bytes received of a body that is still arriving.
    pub(crate) fn arrived(&self) -> usize {
        match &self.payload {
            OutgoingBody::Empty | OutgoingBody::Open { .. } | OutgoingBody::Whole(..) => 0,
            OutgoingBody::Arriving(replay) => replay.arrived(),
        }
    }

    /// A copy of the request before its first attempt; `None` if it cannot be sent again.
    pub(crate) fn copy(&self) -> Option<Outgoing> {
        let payload = match &self.payload {
            OutgoingBody::Empty => OutgoingBody::Empty,
            // The bytes of an upgraded connection cannot be copied.
            OutgoingBody::Open { .. } => return None,
            OutgoingBody::Whole(bytes, sized) => OutgoingBody::Whole(bytes.clone(), *sized),
            OutgoingBody::Arriving(replay) if replay.is_repeatable() => {
                OutgoingBody::Arriving(replay.follower())
            }
            OutgoingBody::Arriving(_) => return None,
        };
        Some(Outgoing {
            method: self.method.clone(),
            uri: self.uri.clone(),
            written: self.written.clone(),
            headers: self.headers.clone(),
            kept: None,
            payload,
            over_http2: self.over_http2,
        })
    }

    /// True if the request asks for an upgrade.
    pub(crate) fn is_upgrade(&self) -> bool {
        matches!(self.payload, OutgoingBody::Open { .. })
    }

    /// True if the timeouts start at once, although the request does not end. Applies to web sockets only.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.payload, OutgoingBody::Open { websocket: true })
    }

    /// True if the request was received over HTTP/2.
    pub(crate) fn is_over_http2(&self) -> bool {
        self.over_http2
    }

    /// The headers before the first attempt, for changes in all attempts.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The headers before the first attempt.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// True if the caller uses gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        crate::respond::is_grpc(&self.headers)
    }

    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path with its query.
    pub(crate) fn path(&self) -> &str {
        match &self.written {
            Some(written) => written.as_str(),
            None => self.uri.path_and_query().map_or("/", |path| path.as_str()),
        }
    }

    /// The `host` header before the first attempt.
    pub(crate) fn host(&self) -> Option<&str> {
        self.headers.get(http::header::HOST)?.to_str().ok()
    }

    /// The request of one attempt, to which `add_headers` adds the attempt's own headers. Another attempt may follow
    /// only with `keep`; without it the parts are moved out.
    pub(crate) fn request(
        &mut self,
        keep: bool,
        heads: &Rc<ObjectPool<HeaderBuffers>>,
        add_headers: impl FnOnce(&mut HeaderMap),
    ) -> Request<Body> {
        let body = match &self.payload {
            OutgoingBody::Empty | OutgoingBody::Open { .. } => Body::Empty,
            OutgoingBody::Whole(bytes, true) => Body::full(bytes.clone()),
            OutgoingBody::Whole(bytes, false) => Body::unsized_of(bytes.clone()),
            OutgoingBody::Arriving(replay) => replay.reader(),
        };
        let mut headers = std::mem::take(&mut self.headers);
        match &self.kept {
            Some(kept) => headers = kept.map(),
            None if keep => self.kept = Some(SavedHeaders::from_headers(&headers, heads)),
            None => {}
        }
        add_headers(&mut headers);
        let mut request = Request::new(body);
        *request.headers_mut() = headers;
        if let Some(written) = &self.written {
            request.extensions_mut().insert(written.clone());
        }
        if keep {
            *request.method_mut() = self.method.clone();
            *request.uri_mut() = self.uri.clone();
        } else {
            *request.method_mut() = std::mem::take(&mut self.method);
            *request.uri_mut() = std::mem::take(&mut self.uri);
        }
        request
    }
}
