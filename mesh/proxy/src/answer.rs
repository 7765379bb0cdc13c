//! Routes that respond without an upstream: direct responses and redirects.

use std::sync::Arc;

use http::header::HeaderValue;
use shakedown_xds::table::{DirectResponse, Redirect, RouteActionKind};

use crate::request_head::RequestHead;
use crate::respond::{LocalReply, status};

/// A redirect to the request's own URL.
const HERE: Redirect = Redirect {
    status: 201,
    scheme: None,
    host: None,
    port: None,
    path: None,
    strip_query: false,
};

/// The local reply of a route; `None` if the route forwards requests.
pub(crate) fn local_reply(
    action: &RouteActionKind,
    head: &RequestHead,
) -> Result<Option<LocalReply>, LocalReply> {
    match action {
        RouteActionKind::Forward(_) => Ok(None),
        RouteActionKind::Respond(direct) => respond(direct, head).map(Some),
        RouteActionKind::Redirect(redirect) => Ok(Some(LocalReply::Direct {
            status: status(redirect.status),
            body: Arc::from(&[][..]),
            location: Some(location(redirect, head)?),
        })),
    }
}

/// Responses with 201 and 3xx have a `location` header, which is the request's own URL because a direct response
/// configures none. Source: Envoy, `Router::Filter::decodeHeaders`.
fn respond(direct: &DirectResponse, head: &RequestHead) -> Result<LocalReply, LocalReply> {
    let location = match direct.status {
        201 | 300..400 => Some(location(&HERE, head)?),
        _ => None,
    };
    Ok(LocalReply::Direct {
        status: status(direct.status),
        body: Arc::clone(&direct.body),
        location,
    })
}

fn location(redirect: &Redirect, head: &RequestHead) -> Result<HeaderValue, LocalReply> {
    let view = head.view()?;
    let location = redirect.location(head.scheme, view.authority, view.path);
    HeaderValue::from_maybe_shared(bytes::Bytes::from(location)).map_err(|_| LocalReply::BadPath)
}
