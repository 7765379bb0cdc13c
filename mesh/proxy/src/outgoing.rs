//! The request as it will be sent, as often as it takes: its headers, and what has come of its body, are kept where the route
//! may try again.
//!
//! A body that has not arrived yet is sent on as it comes. One that grows longer than what is kept is tried no more.

mod kept;

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body as _;
use shakedown_wire::{Body, KeptBudget, Replay, WrittenPath};

use crate::spare::Spares;
use crate::upgrade::is_websocket;
pub(crate) use kept::Head;
use kept::Kept;

/// The longest body that is kept for another try. Source: Envoy, `per_connection_buffer_limit_bytes`, default 1 MiB.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// A request ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    method: Method,
    uri: Uri,
    /// The path, where the `Uri` does not have it as it is written.
    written: Option<WrittenPath>,
    /// None in it once a try has them.
    headers: HeaderMap,
    /// What they were, where another try may follow.
    kept: Option<Kept>,
    payload: Payload,
    over_http2: bool,
}

#[derive(Debug)]
enum Payload {
    Empty,
    /// There is none, and the request does not end: its connection is to be upgraded, to a web socket or to something else.
    Open {
        websocket: bool,
    },
    /// All of it is there; and whether its caller has told its length.
    Whole(Bytes, bool),
    /// It still arrives.
    Arriving(Replay),
}

impl Outgoing {
    /// Takes a request from its caller, perhaps one for an `upgrade`; with so much of its body kept as the budget allows, if it
    /// may be repeated.
    pub(crate) fn take(
        head: &mut Parts,
        body: &mut Body,
        kept: Option<&KeptBudget>,
        upgrade: bool,
    ) -> Outgoing {
        let payload = if upgrade {
            let websocket = is_websocket(&head.headers);
            Payload::Open { websocket }
        } else if body.is_end_stream() {
            Payload::Empty
        } else {
            let body = std::mem::take(body);
            let most = kept.map_or(0, |_| KEPT_BYTES_MAX);
            Payload::Arriving(Replay::new(body, most, kept))
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

    /// Takes in what is there already of a body that arrives; what is not is sent on as it comes.
    pub(crate) async fn arrive(&mut self) {
        if let Payload::Arriving(replay) = &self.payload
            && let Some(bytes) = replay.arrive().await
        {
            let sized = self.headers.contains_key(CONTENT_LENGTH);
            self.payload = Payload::Whole(bytes, sized);
        }
    }

    /// Whether it can be sent once more: whether all that has come of it is kept.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.payload {
            Payload::Empty | Payload::Open { .. } | Payload::Whole(..) => true,
            Payload::Arriving(replay) => replay.is_repeatable(),
        }
    }

    /// Ready when all of it has come, or it has broken off. Until then, each piece wakes who asks.
    pub(crate) fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.payload {
            Payload::Empty | Payload::Whole(..) => Poll::Ready(()),
            Payload::Open { .. } => Poll::Pending,
            Payload::Arriving(replay) => replay.poll_complete(cx),
        }
    }

    /// How many bytes of a body that still arrives have come.
    pub(crate) fn arrived(&self) -> usize {
        match &self.payload {
            Payload::Empty | Payload::Open { .. } | Payload::Whole(..) => 0,
            Payload::Arriving(replay) => replay.arrived(),
        }
    }

    /// Another of the same, before its first try; `None` if it cannot be sent once more.
    pub(crate) fn copy(&self) -> Option<Outgoing> {
        let payload = match &self.payload {
            Payload::Empty => Payload::Empty,
            // What an upgraded connection carries is nobody else's.
            Payload::Open { .. } => return None,
            Payload::Whole(bytes, sized) => Payload::Whole(bytes.clone(), *sized),
            Payload::Arriving(replay) if replay.is_repeatable() => {
                Payload::Arriving(replay.follower())
            }
            Payload::Arriving(_) => return None,
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

    /// Whether its connection is to be upgraded.
    pub(crate) fn is_upgrade(&self) -> bool {
        matches!(self.payload, Payload::Open { .. })
    }

    /// Whether its answer is bounded by the timeouts of what is complete, though it does not end.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.payload, Payload::Open { websocket: true })
    }

    /// Whether it came over HTTP/2.
    pub(crate) fn is_over_http2(&self) -> bool {
        self.over_http2
    }

    /// The headers, before the first try, for what is changed for all.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The headers, before the first try.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether its caller speaks gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        crate::respond::is_grpc(&self.headers)
    }

    /// The method.
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

    /// Whom it is for, before the first try.
    pub(crate) fn host(&self) -> Option<&str> {
        self.headers.get(http::header::HOST)?.to_str().ok()
    }

    /// The request for one try, to which `tell` adds what is of this try alone. With `keep` another may be made after it;
    /// without, its parts move and what is left is empty.
    pub(crate) fn request(
        &mut self,
        keep: bool,
        heads: &Rc<Spares<Head>>,
        tell: impl FnOnce(&mut HeaderMap),
    ) -> Request<Body> {
        let body = match &self.payload {
            Payload::Empty | Payload::Open { .. } => Body::Empty,
            Payload::Whole(bytes, true) => Body::full(bytes.clone()),
            Payload::Whole(bytes, false) => Body::unsized_of(bytes.clone()),
            Payload::Arriving(replay) => replay.reader(),
        };
        let mut headers = std::mem::take(&mut self.headers);
        match &self.kept {
            Some(kept) => headers = kept.map(),
            None if keep => self.kept = Some(Kept::of(&headers, heads)),
            None => {}
        }
        tell(&mut headers);
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
