//! The request line, read top to bottom as a request travels. Each stage is a file; this one only strings them together.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use shakedown_config::table::{HedgePolicy, Listener, RouteAction, Table, WeightedCluster};
use shakedown_env::{Flags, Work};
use shakedown_wire::Body;

use crate::accept::Gate;
use crate::filter::rate_limit::ConnectionLimit;
use crate::filter::{self, Passing};
use crate::forward::{self, Answer, Rest};
use crate::hash::{Ends, Hash, Hashed};
use crate::headers::Snapshot;
use crate::origin::Caller;
use crate::outgoing::Outgoing;
use crate::proxy::Proxy;
use crate::record::{Record, RecordedBody};
use crate::reply::Reply;
use crate::respond::{Overloaded, Reject, is_grpc, status};
use crate::route::{self, Found};
use crate::send::Carrier;
use crate::state::Upstream;
use crate::steering::Steering;
use crate::upgrade::Requested;
use crate::{answer, mirror, prepare, rewrite, split, steering, tunnel};

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
    caller: Caller,
    /// What its connection is to become, where it asks for that.
    upgrade: Option<&'t Requested>,
}

/// Answers one request, and records it.
pub(crate) async fn handle(
    proxy: &Rc<Proxy>,
    carrier: &impl Carrier,
    gate: &Gate,
    connection: &ConnectionLimit,
    ends: Ends,
    mut request: Request<Body>,
) -> Response<RecordedBody> {
    let upgrade = Requested::of(&mut request);
    let (mut head, body) = request.into_parts();
    let caller = gate.caller(&head.headers, ends);
    let anew = caller.is_at_edge();
    let id = prepare::identify(
        &mut head.headers,
        anew,
        &mut *proxy.request_ids(),
        proxy.scribe(),
    );
    let mut record = Record::begin(proxy, gate.side(), id);
    if body.is_end_stream() && upgrade.is_none() && head.method != Method::CONNECT {
        record.receive();
    }
    let asked = Asked::of(&head);
    proxy.env().spend(Work::Request).await;
    let (table, listener) = (proxy.state().table(), gate.listener());
    let line = Line {
        proxy,
        table: &table,
        listener: &listener,
        connection,
        ends,
        caller,
        upgrade: upgrade.as_ref(),
    };
    let mut reply = Reply::default();
    let answer = travel(line, carrier, &mut head, body, &mut record, &mut reply).await;
    let Some((mut response, rest)) = respond(answer, asked, line, &reply, &mut record) else {
        // The record says so by itself. Who is still there broke off its own body, and may read this.
        drop(record);
        let response = Reject::CallerGone.into_response(false, false, |_| ());
        return response.map(RecordedBody::of_nobody);
    };
    if asked.grpc {
        record.answered_grpc(response.headers());
    }
    reply.pass_filters(response.headers_mut());
    proxy
        .dates()
        .complete(response.headers_mut(), proxy.env().unix_time());
    if let Some(upgrade) = upgrade
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        return tunnel::begin(proxy, gate.drain(), upgrade.caller, response, rest, record);
    }
    let unread = asked.is_head || is_bodiless(response.status());
    response.map(|body| {
        if unread {
            return RecordedBody::unread(body, record);
        }
        RecordedBody::new(body, record, rest)
    })
}

/// What an answer depends on of its request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    is_head: bool,
    grpc: bool,
    version: Version,
}

impl Asked {
    fn of(head: &Parts) -> Asked {
        Asked {
            is_head: head.method == Method::HEAD,
            grpc: is_grpc(&head.headers),
            version: head.version,
        }
    }
}

/// The response of an answer, and the bounds of its body; `None` where nobody reads one.
fn respond(
    answer: Result<Answer<Body>, Reject>,
    asked: Asked,
    line: Line<'_>,
    reply: &Reply<'_>,
    record: &mut Record,
) -> Option<(Response<Body>, Rest)> {
    let attempts = record.attempts();
    let (mut response, rest, is_bad) = match answer {
        Ok(Answer { mut response, rest }) => {
            reply.finish(response.headers_mut(), attempts);
            let status = response.status().as_u16();
            record.answered(status, Flags::NONE, Cow::Borrowed("via_upstream"));
            (response, rest, false)
        }
        Err(Reject::CallerGone) => return None,
        Err(reject) => {
            let is_bad = reject.status() == StatusCode::BAD_REQUEST;
            let (flags, details) = (reject.flags(), reject.details());
            let quiet = line.listener.manager.suppress_envoy_headers;
            let finish = |headers: &mut HeaderMap| reply.finish(headers, attempts);
            let response = reject.into_response(asked.grpc, quiet, finish);
            let status = response.status().as_u16();
            record.answered(status, flags, Cow::Borrowed(details));
            (response, Rest::default(), is_bad)
        }
    };
    // A local 400 closes the connection, whatever a gRPC caller is told; and so does an answer to what has not all come, but
    // for one that makes something else of the connection. Source: Envoy, `ConnectionManagerImpl::ActiveStream::encodeHeaders`.
    let closes = is_bad || !record.is_received();
    if closes
        && asked.version < Version::HTTP_2
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Some((response, rest))
}

/// From the request's headers to the response's.
async fn travel<'t>(
    line: Line<'t>,
    carrier: &impl Carrier,
    head: &mut Parts,
    body: Body,
    record: &mut Record,
    reply: &mut Reply<'t>,
) -> Result<Answer<Body>, Reject> {
    let version = head.version;
    let own = line.proxy.bootstrap().address;
    let scheme = prepare::receive(head, line.caller, own, line.upgrade.is_some());
    let found = route::find(line.table, &line.listener.routes, head, scheme)?;
    if line
        .upgrade
        .is_some_and(|upgrade| !upgrade.is_allowed(line.listener, found))
    {
        // Nothing is sent, but it counts under where it would have gone.
        if let Some(found) = found {
            choose(line, found, head, record);
        }
        return Err(Reject::UpgradeRefused);
    }
    let started = record.started();
    let deadline = longest(line.listener, found, &mut head.headers).map(|span| started + span);
    let arrived = Arrived {
        found,
        head,
        version,
        scheme,
        body,
    };
    let Some(deadline) = deadline else {
        return pass_on(line, carrier, arrived, record, reply).await;
    };
    // Few requests have one: what those cost is no other's.
    let onward = Box::pin(pass_on(line, carrier, arrived, record, reply));
    match line.proxy.env().deadline(deadline, onward).await {
        Ok(answer) => answer.map(|Answer { response, rest }| Answer {
            response,
            rest: Rest {
                stream: Some(deadline),
                ..rest
            },
        }),
        Err(_elapsed) => Err(Reject::StreamDuration {
            received: record.is_received(),
        }),
    }
}

/// How long a request and its answer may take together.
fn longest(
    listener: &Listener,
    found: Option<Found<'_>>,
    headers: &mut HeaderMap,
) -> Option<Duration> {
    let of_listener = listener.manager.max_stream_duration;
    let of_route = found
        .and_then(|found| found.route.forward())
        .and_then(|action| action.stream_duration);
    match of_route {
        Some(of_route) => {
            let asked = of_route
                .grpc_max
                .and_then(|_| forward::grpc_timeout(headers));
            let span = of_route.of(asked, of_listener);
            if let (Some(_), Some(span)) = (asked, span) {
                // The app is told what is left of its caller's time.
                forward::tell_grpc_timeout(headers, span);
            }
            span
        }
        None => of_listener,
    }
}

/// A request whose route is known.
struct Arrived<'t, 'h> {
    found: Option<Found<'t>>,
    head: &'h mut Parts,
    version: Version,
    scheme: &'static str,
    body: Body,
}

/// From the route to the response's headers.
async fn pass_on<'t>(
    line: Line<'t>,
    carrier: &impl Carrier,
    arrived: Arrived<'t, '_>,
    record: &mut Record,
    reply: &mut Reply<'t>,
) -> Result<Answer<Body>, Reject> {
    let Arrived {
        found,
        head,
        version,
        scheme,
        body,
    } = arrived;
    let target = found.and_then(|found| choose(line, found, head, record));
    if let (Some(found), Some(target)) = (found, &target) {
        reply.route = Some(found.route);
        reply.target = target.share.headers.as_deref();
        keep_request(reply, head, version, scheme)?;
    }
    let passing = Passing {
        proxy: line.proxy,
        listener: line.listener,
        connection: line.connection,
        found,
        cluster: target.as_ref().map(|target| &**target.cluster()),
    };
    filter::pass(passing, head, scheme, record, reply).await?;
    let Some(found) = found else {
        return Err(Reject::NoRoute);
    };
    if let Some(answer) = answer::of(&found.route.action, head, scheme)? {
        reply.route = Some(found.route);
        keep_request(reply, head, version, scheme)?;
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
    send_on(line, carrier, onward, head, body, record, reply).await
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
    carrier: &impl Carrier,
    onward: Onward<'t, '_>,
    head: &mut Parts,
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
    let steering = change(line, onward, head)?;
    let action = steering
        .as_ref()
        .map_or(action, |steering| &steering.action);
    keep_request(reply, head, version, scheme)?;
    if !upstream.may_send() {
        return Err(Reject::Overloaded(THROTTLED));
    }
    let copies = copies_of(line, &upstream, action);
    let hedge = if action.hedge == HedgePolicy::default() {
        upstream.hedge().unwrap_or_default()
    } else {
        action.hedge
    };
    let kept = action.retry.is_some() || hedge.after.is_some() || !copies.is_empty();
    let hash = hash_of(line, &upstream, action, head, scheme)?;
    let mut outgoing = Outgoing::take(head, body, kept, line.upgrade.is_some()).await;
    let tell_attempt = found.host.include_attempt_count;
    mirror::send(line.proxy, copies, tell_attempt, &outgoing, record);
    let request_timeout = line.listener.manager.request_timeout;
    let plan = forward::Plan {
        upstream: &upstream,
        action,
        hedge,
        tell_attempt,
        idle: action.idle_timeout.or(line.listener.stream_idle_timeout),
        hash: hash.hash,
        labels: action.labels.as_ref(),
        quiet: line.listener.manager.suppress_envoy_headers,
        complete_by: request_timeout.map(|span| record.started() + span),
    };
    let answer = forward::forward(line.proxy, carrier, plan, &mut outgoing, record).await;
    let mut answer = answer.map_err(|reject| match &steering {
        Some(steering) => steering.answered(reject),
        None => reject,
    })?;
    for cookie in hash.cookies {
        answer.response.headers_mut().append(SET_COOKIE, cookie);
    }
    if !tells_of_overload(answer.response.status()) {
        upstream.accepted();
    }
    Ok(answer)
}

/// Makes a request what its route wants sent. Gives what its caller asks for, if it may and does.
fn change(
    line: Line<'_>,
    onward: Onward<'_, '_>,
    head: &mut Parts,
) -> Result<Option<Box<Steering>>, Reject> {
    let Onward {
        found,
        action,
        target,
        scheme,
        ..
    } = onward;
    let of_target = target.share.headers.as_deref();
    let changes = action.rewrite.as_deref();
    let quiet = line.listener.manager.suppress_envoy_headers;
    rewrite::toward(of_target, found.route, changes, head, scheme, quiet)?;
    // An external caller's own were taken away; what the configuration has added counts from everybody.
    let may_steer =
        line.caller.is_internal || of_target.is_some() || !found.route.request_headers.is_empty();
    if !may_steer {
        return Ok(None);
    }
    Ok(steering::take(&mut head.headers, action))
}

/// Draws the copies of a request. Without a host there is no try, and no copy either.
fn copies_of(line: Line<'_>, upstream: &Upstream, action: &RouteAction) -> mirror::Copies {
    if upstream.is_original_dst() || !upstream.hosts().is_empty() {
        mirror::drawn(line.proxy, &action.mirrors)
    } else {
        mirror::Copies::new()
    }
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
