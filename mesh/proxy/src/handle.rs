//! Handles one request: begins its record, runs its [`RequestContext`], and completes its response.

use std::borrow::Cow;
use std::rc::Rc;

use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use shakedown_env::{Elapsed, Time, WorkKind};
use shakedown_types::{ResponseFlags, Side};
use shakedown_wire::{Body, ResponseBody, Upgrade};
use shakedown_xds::table::Listener;

use crate::connection::DownstreamConnection;
use crate::forward::UpstreamResponse;
use crate::hash::ConnectionEnds;
use crate::header_summary::HeaderSummary;
use crate::listener::ActiveListener;
use crate::origin::DownstreamClient;
use crate::record::{BodyTimeouts, RecordedBody, RequestRecord};
use crate::request_head::RequestHead;
use crate::respond::{LocalReply, is_grpc};
use crate::response_context::ResponseContext;
use crate::router::{RequestContext, RouteSelection, StreamContext};
use crate::send::Carrier;
use crate::shared::Shared;
use crate::upgrade::UpgradeRequest;
use crate::{prepare, tunnel};

/// Answers one request, and records it.
pub(crate) async fn handle(
    shared: &Rc<Shared>,
    carrier: &impl Carrier,
    listener: &ActiveListener,
    connection: &DownstreamConnection,
    ends: ConnectionEnds,
    mut request: Request<Body>,
) -> Response<RecordedBody> {
    let seen = HeaderSummary::from_headers(request.headers());
    let upgrade = seen
        .upgrade
        .then(|| UpgradeRequest::from_request(&mut request));
    let (upgrade, caller_side) = upgrade.flatten().unzip();
    let (parts, mut body) = request.into_parts();
    let mut head = RequestHead::new(parts);
    let caller = listener.caller(&head.parts.headers, ends);
    let mut record = begin(shared, listener.side(), caller, &mut head.parts.headers);
    if listener.side() == Side::Inbound {
        record.comes_from(shared.state.peer(&connection.peer, ends.caller.ip()));
    }
    if body.is_end_stream() && upgrade.is_none() && head.parts.method != Method::CONNECT {
        record.receive();
    }
    shared.env.spend(WorkKind::Request).await;
    let (table, config) = (shared.state.table(), listener.config());
    let traits = RequestTraits::from_head(&head.parts, seen, &config);
    let stream = StreamContext {
        shared,
        table: &table,
        listener: &config,
        connection,
        ends,
        caller,
        upgrade: upgrade.as_ref(),
    };
    let mut reply = ResponseContext::default();
    let answer = match RouteSelection::select(stream, seen, &mut head, &mut record) {
        Err(reject) => Err(reject),
        Ok(selection) => {
            let mut context = RequestContext {
                stream,
                selection,
                head: &mut head,
                body: &mut body,
                record: &mut record,
                reply: &mut reply,
            };
            match selection.deadline {
                None => context.run(carrier).await,
                Some(deadline) => {
                    // Boxed, because few requests have a deadline, and the others' futures stay small.
                    let response = Box::pin(context.run(carrier));
                    let answer = shared.env.deadline(deadline, response).await;
                    in_time(answer, deadline, &record)
                }
            }
        }
    };
    conclude(
        shared,
        listener,
        traits,
        answer,
        &reply,
        record,
        caller_side,
    )
}

/// Begins the record of a request, and makes sure that the request has an id.
fn begin(
    shared: &Rc<Shared>,
    side: Side,
    caller: DownstreamClient,
    headers: &mut HeaderMap,
) -> RequestRecord {
    let anew = caller.is_at_edge();
    let id = prepare::identify(
        headers,
        anew,
        &mut *shared.random.request_ids.borrow_mut(),
        &shared.header_writer,
    );
    RequestRecord::begin(shared, side, id)
}

/// The properties of a request that its response depends on.
#[derive(Clone, Copy, Debug)]
struct RequestTraits {
    is_head: bool,
    grpc: bool,
    version: Version,
    /// True if the `x-envoy-*` headers are suppressed.
    suppress_envoy_headers: bool,
    /// True if the caller asks for its connection to be closed by `proxy-connection`, the header of proxies before
    /// HTTP/1.1.
    closes: bool,
}

impl RequestTraits {
    fn from_head(head: &Parts, seen: HeaderSummary, listener: &Listener) -> RequestTraits {
        let proxy_connection = || {
            let value = head.headers.get("proxy-connection");
            value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
        };
        RequestTraits {
            is_head: head.method == Method::HEAD,
            grpc: is_grpc(&head.headers),
            version: head.version,
            suppress_envoy_headers: listener.manager.suppress_envoy_headers,
            closes: seen.hop && proxy_connection(),
        }
    }
}

/// Builds the response, and attaches the record to its body.
fn conclude(
    shared: &Rc<Shared>,
    listener: &ActiveListener,
    traits: RequestTraits,
    answer: Result<UpstreamResponse<ResponseBody>, LocalReply>,
    reply: &ResponseContext<'_>,
    mut record: RequestRecord,
    upgrade: Option<Upgrade>,
) -> Response<RecordedBody> {
    let Some((mut response, rest)) = respond(answer, traits, reply, &mut record) else {
        // Dropping the record reports the disconnect. A caller that is still connected has broken off its own body, and
        // may read this response.
        drop(record);
        let response = LocalReply::CallerGone.into_response(false, false, |_| ());
        return response.map(RecordedBody::of_nobody);
    };
    if traits.grpc {
        record.answered_grpc(response.headers());
    }
    reply.pass_filters(response.headers_mut());
    shared
        .dates
        .complete(response.headers_mut(), shared.env.unix_time());
    if let Some(upgrade) = upgrade
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        return tunnel::begin(shared, listener.drain(), upgrade, response, rest, record);
    }
    let unread = traits.is_head || is_bodiless(response.status());
    response.map(|body| {
        if unread {
            return RecordedBody::unread(body, record);
        }
        RecordedBody::new(body, record, rest)
    })
}

/// The response to an outcome, and the time bounds of its body; `None` if the caller is gone.
fn respond(
    answer: Result<UpstreamResponse<ResponseBody>, LocalReply>,
    traits: RequestTraits,
    reply: &ResponseContext<'_>,
    record: &mut RequestRecord,
) -> Option<(Response<ResponseBody>, BodyTimeouts)> {
    let attempts = record.attempts();
    let (mut response, rest, is_bad) = match answer {
        Ok(UpstreamResponse { mut response, rest }) => {
            reply.finish(response.headers_mut(), attempts);
            let status = response.status().as_u16();
            record.answered(
                status,
                ResponseFlags::empty(),
                Cow::Borrowed("via_upstream"),
            );
            (response, rest, false)
        }
        Err(LocalReply::CallerGone) => return None,
        Err(reject) => {
            let is_bad = reject.status() == StatusCode::BAD_REQUEST;
            let (flags, details) = (reject.flags(), reject.details());
            let finish = |headers: &mut HeaderMap| reply.finish(headers, attempts);
            let response = reject.into_response(traits.grpc, traits.suppress_envoy_headers, finish);
            let status = response.status().as_u16();
            record.answered(status, flags, Cow::Borrowed(details));
            (response, BodyTimeouts::default(), is_bad)
        }
    };
    // A local 400 closes the connection, also if it is mapped to a gRPC status. So does any response to an incomplete
    // request, but for a 101. Source: Envoy, `ConnectionManagerImpl::ActiveStream::encodeHeaders`.
    let closes = is_bad || traits.closes || !record.is_received();
    if closes
        && traits.version < Version::HTTP_2
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Some((response, rest))
}

/// Applies the stream's deadline, which covers headers and body, to an outcome.
fn in_time(
    answer: Result<Result<UpstreamResponse<ResponseBody>, LocalReply>, Elapsed>,
    deadline: Time,
    record: &RequestRecord,
) -> Result<UpstreamResponse<ResponseBody>, LocalReply> {
    match answer {
        Ok(answer) => answer.map(|UpstreamResponse { response, rest }| UpstreamResponse {
            response,
            rest: BodyTimeouts {
                stream: Some(deadline),
                ..rest
            },
        }),
        Err(_elapsed) => Err(LocalReply::StreamDuration {
            received: record.is_received(),
        }),
    }
}

/// True if HTTP forbids a body with this status. Source: RFC 9110, section 6.4.1.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
