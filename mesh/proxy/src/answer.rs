//! What a route answers by itself: direct responses and redirects.

use std::sync::Arc;

use http::header::HeaderValue;
use shakedown_xds::table::{Action, DirectResponse, Redirect};

use crate::request_head::RequestHead;
use crate::respond::{Reject, status};

/// A redirect to where the request came to already.
const HERE: Redirect = Redirect {
    status: 201,
    scheme: None,
    host: None,
    port: None,
    path: None,
    strip_query: false,
};

/// The answer of a route; `None` if it sends its requests on.
pub(crate) fn of(action: &Action, head: &RequestHead) -> Result<Option<Reject>, Reject> {
    match action {
        Action::Forward(_) => Ok(None),
        Action::Respond(direct) => respond(direct, head).map(Some),
        Action::Redirect(redirect) => Ok(Some(Reject::Direct {
            status: status(redirect.status),
            body: Arc::from(&[][..]),
            location: Some(location(redirect, head)?),
        })),
    }
}

/// One that made something, or that sends elsewhere, says where: here, as nothing else is said.
/// Source: Envoy, `Router::Filter::decodeHeaders`.
fn respond(direct: &DirectResponse, head: &RequestHead) -> Result<Reject, Reject> {
    let location = match direct.status {
        201 | 300..400 => Some(location(&HERE, head)?),
        _ => None,
    };
    Ok(Reject::Direct {
        status: status(direct.status),
        body: Arc::clone(&direct.body),
        location,
    })
}

fn location(redirect: &Redirect, head: &RequestHead) -> Result<HeaderValue, Reject> {
    let view = head.view()?;
    let location = redirect.location(head.scheme, view.authority, view.path);
    HeaderValue::from_maybe_shared(bytes::Bytes::from(location)).map_err(|_| Reject::BadPath)
}
