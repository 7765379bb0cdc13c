//! The request line, read top to bottom as a request travels. Each stage is a file; this one only strings them together.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use shakedown_config::table::{HedgePolicy, Listener, RouteAction, Table, WeightedCluster};
use shakedown_env::{Flags, Work};
use shakedown_wire::Body;

use crate::accept::Gate;
use crate::filter::rate_limit::ConnectionLimit;
use crate::filter::{self, Passing};
use crate::forward::{self, Answer, Rest};
use crate::hash::{Ends, Hash, Hashed};
use crate::headers::Snapshot;
use crate::outgoing::Outgoing;
use crate::proxy::Proxy;
use crate::record::{Record, RecordedBody};
use crate::reply::Reply;
use crate::respond::{Overloaded, Reject, is_grpc, status};
use crate::route::{self, Found};
use crate::state::Upstream;
use crate::{answer, mirror, prepare, rewrite, split};

/// The cluster that stands for destinations outside the mesh where the mesh allows none.
const BLACK_HOLE: &str = "BlackHoleCluster";

/// A request that is held back, since the upstream refuses so many. Envoy's admission control answers like this.
const THROTTLED: Overloaded = Overloaded {
    status: StatusCode::SERVICE_UNAVAILABLE,
    body: "",
    details: "denied_by_admission_control",
    flags: Flags::NONE,
};

/// Where a request travels.
#[derive(Clone, Copy, Debug)]
struct Line<'t> {
    proxy: &'t Rc<Proxy>,
    table: &'t Table,
    listener: &'t Listener,
    connection: &'t ConnectionLimit,
    ends: Ends,
}

/// Answers one request, and records it.
pub(crate) async fn handle(
    proxy: &Rc<Proxy>,
    gate: &Gate,
    connection: &ConnectionLimit,
    ends: Ends,
    request: Request<Body>,
) -> Response<RecordedBody> {
    let (mut head, body) = request.into_parts();
    let id = prepare::identify(&mut head.headers, &mut *proxy.request_ids());
    let mut record = Record::begin(proxy, gate.side(), id);
    let is_head = head.method == Method::HEAD;
    let version = head.version;
    let grpc = is_grpc(&head.headers);
    proxy.env().spend(Work::Request).await;
    let (table, listener) = (proxy.state().table(), gate.listener());
    let line = Line {
        proxy,
        table: &table,
        listener: &listener,
        connection,
        ends,
    };
    let mut reply = Reply::default();
    let answer = travel(line, head, body, &mut record, &mut reply).await;
    let attempts = record.attempts();
    // Source: Envoy, `ConnectionManagerImpl`: a local 400 closes the connection, whatever a gRPC caller is told.
    let closes = version < Version::HTTP_2
        && matches!(&answer, Err(reject) if reject.status() == StatusCode::BAD_REQUEST);
    let (mut response, rest) = match answer {
        Ok(Answer { mut response, rest }) => {
            reply.finish(response.headers_mut(), attempts);
            let status = response.status().as_u16();
            record.answered(status, Flags::NONE, Cow::Borrowed("via_upstream"));
            (response, rest)
        }
        Err(Reject::CallerGone) => {
            // The record says so by itself. Who is still there broke off its own body, and may read this.
            drop(record);
            let response = Reject::CallerGone.into_response(false, |_| ());
            return response.map(RecordedBody::of_nobody);
        }
        Err(reject) => {
            let (flags, details) = (reject.flags(), reject.details());
            let response = reject.into_response(grpc, |headers| reply.finish(headers, attempts));
            let status = response.status().as_u16();
            record.answered(status, flags, Cow::Borrowed(details));
            (response, Rest::default())
        }
    };
    if closes {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    reply.pass_filters(response.headers_mut());
    proxy
        .dates()
        .complete(response.headers_mut(), proxy.env().unix_time());
    let unread = is_head || is_bodiless(response.status());
    response.map(|body| {
        if unread {
            return RecordedBody::unread(body, record);
        }
        RecordedBody::new(body, record, rest, proxy.env())
    })
}

/// From the request's headers to the response's.
async fn travel<'t>(
    line: Line<'t>,
    mut head: Parts,
    body: Body,
    record: &mut Record,
    reply: &mut Reply<'t>,
) -> Result<Answer<Body>, Reject> {
    let version = head.version;
    let scheme = prepare::receive(&mut head);
    let found = route::find(line.table, &line.listener.routes, &head, scheme)?;
    let target = found.and_then(|found| choose(line, found, &head, record));
    if let (Some(found), Some(target)) = (found, &target) {
        reply.route = Some(found.route);
        reply.target = target.share.headers.as_deref();
        keep_request(reply, &head, version, scheme)?;
    }
    let passing = Passing {
        proxy: line.proxy,
        listener: line.listener,
        connection: line.connection,
        found,
        cluster: target.as_ref().map(|target| &**target.cluster()),
    };
    filter::pass(passing, &mut head, scheme, record, reply).await?;
    let Some(found) = found else {
        return Err(Reject::NoRoute);
    };
    if let Some(answer) = answer::of(&found.route.action, &head, scheme)? {
        reply.route = Some(found.route);
        keep_request(reply, &head, version, scheme)?;
        return Err(answer);
    }
    let onward = Onward {
        found,
        action: found
            .route
            .forward()
            .expect("what does not answer sends on"),
        target: target
            .as_ref()
            .expect("what is sent on has a destination, chosen above"),
        version,
        scheme,
    };
    send_on(line, onward, head, body, record, reply).await
}

/// A request that filters have let pass, on its way to its destination.
#[derive(Clone, Copy, Debug)]
struct Onward<'t, 'c> {
    found: Found<'t>,
    action: &'t RouteAction,
    target: &'c Chosen<'t>,
    version: http::Version,
    scheme: &'static str,
}

/// From the filters to the response's headers.
async fn send_on<'t>(
    line: Line<'t>,
    onward: Onward<'t, '_>,
    mut head: Parts,
    body: Body,
    record: &mut Record,
    reply: &mut Reply<'t>,
) -> Result<Answer<Body>, Reject> {
    let Onward {
        found,
        action,
        target,
        version,
        scheme,
    } = onward;
    if &**target.cluster() == BLACK_HOLE {
        return Err(Reject::BlackHole);
    }
    let Some(upstream) = line.proxy.state().upstream(target.cluster()) else {
        record.routed(&line.proxy.no_cluster());
        return Err(Reject::NoCluster(status(action.cluster_not_found)));
    };
    reply.tell_attempts = found.host.include_attempt_count_in_response;
    let changes = action.rewrite.as_deref();
    rewrite::toward(
        target.share.headers.as_deref(),
        found.route,
        changes,
        &mut head,
        scheme,
    )?;
    keep_request(reply, &head, version, scheme)?;
    if !upstream.may_send() {
        return Err(Reject::Overloaded(THROTTLED));
    }
    // Without a host there is no try, and no copy either.
    let reachable = upstream.is_original_dst() || !upstream.hosts().is_empty();
    let copies = if reachable {
        mirror::drawn(line.proxy, &action.mirrors)
    } else {
        mirror::Copies::new()
    };
    let hedge = if action.hedge == HedgePolicy::default() {
        upstream.hedge().unwrap_or_default()
    } else {
        action.hedge
    };
    let kept = action.retry.is_some() || hedge.after.is_some() || !copies.is_empty();
    let hash = hash_of(line, &upstream, action, &head, scheme)?;
    let outgoing = Outgoing::take(head, body, kept).await;
    mirror::send(line.proxy, copies, &outgoing, record);
    let plan = forward::Plan {
        upstream: &upstream,
        action,
        hedge,
        tell_attempt: found.host.include_attempt_count,
        idle: action.idle_timeout.or(line.listener.stream_idle_timeout),
        hash: hash.hash,
        labels: action.labels.as_ref(),
    };
    let mut answer = forward::forward(line.proxy, plan, outgoing, record).await?;
    for cookie in hash.cookies {
        answer.response.headers_mut().append(SET_COOKIE, cookie);
    }
    if !tells_of_overload(answer.response.status()) {
        upstream.accepted();
    }
    Ok(answer)
}

/// The request's hash, where its host is chosen by it.
fn hash_of(
    line: Line<'_>,
    upstream: &Upstream,
    action: &RouteAction,
    head: &Parts,
    scheme: &str,
) -> Result<Hash, Reject> {
    if action.hash.is_empty() || !upstream.is_hashing() {
        return Ok(Hash::default());
    }
    let request = Hashed {
        view: route::view(head, scheme)?,
        ends: Some(line.ends),
    };
    Ok(Hash::of(&action.hash, &request))
}

/// What a throttled upstream is told to have refused.
fn tells_of_overload(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// The destination of a request.
#[derive(Clone, Debug)]
struct Chosen<'t> {
    share: &'t WeightedCluster,
    /// The cluster that the request itself named, where it is asked.
    named: Option<Arc<str>>,
}

impl Chosen<'_> {
    fn cluster(&self) -> &Arc<str> {
        self.named.as_ref().unwrap_or(&self.share.cluster)
    }
}

/// Chooses the destination of a request that is sent on; what the filters do with it counts under that.
fn choose<'t>(
    line: Line<'t>,
    found: Found<'t>,
    head: &Parts,
    record: &mut Record,
) -> Option<Chosen<'t>> {
    let action: &'t RouteAction = found.route.forward()?;
    let share = split::choose(action, &head.headers, &mut *line.proxy.splits());
    let target = Chosen {
        share,
        named: share.named(&head.headers).map(Arc::from),
    };
    let cluster = target.cluster();
    record.routed(cluster);
    if &**cluster != BLACK_HOLE
        && let Some(upstream) = line.proxy.state().upstream(cluster)
    {
        record.found(upstream.unreached());
    }
    Some(target)
}

/// Keeps the request for the values of its response, where one needs it.
fn keep_request(
    reply: &mut Reply<'_>,
    head: &Parts,
    version: http::Version,
    scheme: &'static str,
) -> Result<(), Reject> {
    if reply.reads_request() {
        reply.request = Some(Box::new(Snapshot::of(head, version, scheme)?));
    }
    Ok(())
}

/// Whether HTTP forbids a body. Source: RFC 9110, section 6.4.1.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
