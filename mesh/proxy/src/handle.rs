//! The request line, read top to bottom as a request travels. Each stage is a file; this one only strings them together.

use std::borrow::Cow;
use std::rc::Rc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use shakedown_config::table::{Action, DirectResponse};
use shakedown_env::Work;
use shakedown_wire::Body;

use crate::accept::Gate;
use crate::forward::{self, Answer};
use crate::outgoing::Outgoing;
use crate::proxy::Proxy;
use crate::record::{Record, RecordedBody};
use crate::respond::Reject;
use crate::{prepare, route, split};

/// The cluster that stands for destinations outside the mesh where the mesh allows none.
const BLACK_HOLE: &str = "BlackHoleCluster";

/// Answers one request, and records it.
pub(crate) async fn handle(
    proxy: &Rc<Proxy>,
    gate: &Gate,
    request: Request<Incoming>,
) -> Response<RecordedBody> {
    let (mut head, body) = request.into_parts();
    let id = prepare::identify(&mut head.headers, &mut *proxy.request_ids());
    let mut record = Record::begin(proxy, gate.side(), id);
    let is_head = head.method == Method::HEAD;
    proxy.env().spend(Work::Request).await;
    let answer = travel(proxy, gate, head, body, &mut record).await;
    let (mut response, deadline) = match answer {
        Ok(Answer {
            response,
            flags,
            deadline,
        }) => {
            record.answered(
                response.status().as_u16(),
                flags,
                Cow::Borrowed("via_upstream"),
            );
            (response, deadline)
        }
        Err(Reject::CallerGone) => {
            // The record says so by itself. Who is still there broke off its own body, and may read this.
            drop(record);
            return Reject::CallerGone
                .into_response()
                .map(RecordedBody::of_nobody);
        }
        Err(reject) => {
            record.answered(
                reject.status().as_u16(),
                reject.flags(),
                Cow::Borrowed(reject.details()),
            );
            (reject.into_response(), None)
        }
    };
    proxy
        .dates()
        .complete(response.headers_mut(), proxy.env().unix_time());
    let unread = is_head || is_bodiless(response.status());
    response.map(|body| {
        if unread {
            return RecordedBody::unread(body, record);
        }
        RecordedBody::new(
            body,
            record,
            deadline.map(|time| proxy.env().sleep_until(time)),
        )
    })
}

/// From the request's headers to the response's.
async fn travel(
    proxy: &Rc<Proxy>,
    gate: &Gate,
    mut head: Parts,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer<Body>, Reject> {
    let table = proxy.state().table();
    let listener = gate.listener();
    let found = route::find(&table, &listener.routes, &head)?;
    let action = match &found.route.action {
        Action::Forward(action) => action,
        Action::Respond(direct) => return Err(reject_with(direct)),
    };
    let cluster = split::choose(action, &mut *proxy.splits());
    record.routed(cluster);
    if &**cluster == BLACK_HOLE {
        return Err(Reject::BlackHole);
    }
    let Some(upstream) = proxy.state().upstream(cluster) else {
        return Err(Reject::NoCluster(status(action.cluster_not_found)));
    };
    record.found(upstream.unreached());
    prepare::toward_upstream(&mut head);
    let outgoing = Outgoing::take(proxy.env(), head, body, action.retry.is_some()).await?;
    let plan = forward::Plan {
        upstream: &upstream,
        action,
        tell_attempt: found.host.include_attempt_count,
    };
    forward::forward(proxy, plan, outgoing, record).await
}

fn reject_with(direct: &DirectResponse) -> Reject {
    Reject::Direct {
        status: status(direct.status),
        body: direct.body.clone(),
    }
}

/// A status of the configuration, which has checked it.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// Whether HTTP forbids a body. Source: RFC 9110, section 6.4.1.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
