//! The path of a request between `handle`'s two halves: route, filters, and forwarding.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, SET_COOKIE};
use http::{Response, StatusCode};
use shakedown_env::Time;
use shakedown_types::{MeshEvent, ResponseFlags, Side};
use shakedown_wire::{Body, ResponseBody};
use shakedown_xds::table::{Direction, HedgePolicy, Listener, RouteAction, Table, WeightedCluster};

use crate::connection::DownstreamConnection;
use crate::filter::{self, FilterContext};
use crate::forward::{self, UpstreamResponse};
use crate::hash::{ConnectionEnds, HashInputs, RequestHash};
use crate::header_overrides::HeaderOverrides;
use crate::header_summary::HeaderSummary;
use crate::headers::SentRequest;
use crate::loops::RequestIngress;
use crate::origin::DownstreamClient;
use crate::outgoing::Outgoing;
use crate::record::RequestRecord;
use crate::request_head::RequestHead;
use crate::respond::{LocalReply, Overloaded, status};
use crate::response_context::ResponseContext;
use crate::route::{self, MatchedRoute};
use crate::send::Carrier;
use crate::shared::Shared;
use crate::state::Upstream;
use crate::upgrade::UpgradeRequest;
use crate::{answer, client_certificate, header_overrides, mirror, prepare, rewrite, split};

/// Istio's cluster for destinations outside the mesh if the mesh allows none.
const BLACK_HOLE: &str = "BlackHoleCluster";

/// The local reply to a request that the throttle rejects. Source: Envoy's admission control.
const THROTTLED: Overloaded = Overloaded {
    status: StatusCode::SERVICE_UNAVAILABLE,
    body: "",
    details: "denied_by_admission_control",
    flags: ResponseFlags::empty(),
};

/// The context of a request: shared state, configuration, connection and caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamContext<'t> {
    pub(crate) shared: &'t Rc<Shared>,
    pub(crate) table: &'t Table,
    pub(crate) listener: &'t Listener,
    pub(crate) connection: &'t DownstreamConnection,
    pub(crate) ends: ConnectionEnds,
    pub(crate) caller: DownstreamClient,
    /// The upgrade that the request asks for.
    pub(crate) upgrade: Option<&'t UpgradeRequest>,
}

/// The routing result of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteSelection<'t> {
    /// The route; `None` if none matches.
    found: Option<MatchedRoute<'t>>,
    /// The end of the stream duration, which covers the response, too.
    pub(crate) deadline: Option<Time>,
}

impl<'t> RouteSelection<'t> {
    /// Prepares a request that has just arrived, and finds its route. `seen` is the summary of its headers.
    pub(crate) fn select(
        stream: StreamContext<'t>,
        seen: HeaderSummary,
        head: &mut RequestHead,
        record: &mut RequestRecord,
    ) -> Result<RouteSelection<'t>, LocalReply> {
        let own = stream.shared.bootstrap.address;
        let session = stream.connection.session.as_ref();
        client_certificate::rewrite(
            &mut head.parts.headers,
            seen.client_certificate,
            stream.listener.manager.client_certificate_header,
            session,
        );
        let transport = if session.is_some() { "https" } else { "http" };
        let upgrade = stream.upgrade.is_some();
        prepare::receive(head, seen, stream.caller, own, transport, upgrade);
        if stream.listener.manager.normalize_path {
            rewrite::normalize(head)?;
        }
        let found = route::find(stream.table, &stream.listener.routes, head)?;
        if stream
            .upgrade
            .is_some_and(|upgrade| !upgrade.is_allowed(stream.listener, found))
        {
            // Nothing is sent, but the metrics count the request for its destination.
            if let Some(found) = found {
                RouteTarget::choose(stream.shared, found, head, record);
            }
            return Err(LocalReply::UpgradeRefused);
        }
        let most = longest(stream.listener, found, &mut head.parts.headers);
        Ok(RouteSelection {
            found,
            deadline: most.map(|span| record.started() + span),
        })
    }
}

/// The most time that a request and its response may take together.
fn longest(
    listener: &Listener,
    found: Option<MatchedRoute<'_>>,
    headers: &mut HeaderMap,
) -> Option<Duration> {
    let of_listener = listener.manager.max_stream_duration;
    let of_route = found
        .and_then(|found| found.route.forward())
        .and_then(|action| action.stream_duration);
    match of_route {
        Some(of_route) => {
            let requested = of_route
                .grpc_max
                .and_then(|_| forward::grpc_timeout(headers));
            let span = of_route.limit(requested, of_listener);
            if let (Some(_), Some(span)) = (requested, span) {
                // The upstream gets the time that is left to the caller.
                forward::set_grpc_timeout(headers, span);
            }
            span
        }
        None => of_listener,
    }
}

/// A request on its way through filters and router.
pub(crate) struct RequestContext<'a, 't> {
    pub(crate) stream: StreamContext<'t>,
    pub(crate) selection: RouteSelection<'t>,
    pub(crate) head: &'a mut RequestHead,
    pub(crate) body: &'a mut Body,
    pub(crate) record: &'a mut RequestRecord,
    pub(crate) reply: &'a mut ResponseContext<'t>,
}

impl<'t> RequestContext<'_, 't> {
    /// Applies the route and the filters, and returns when response headers are available.
    pub(crate) async fn run(
        &mut self,
        carrier: &impl Carrier,
    ) -> Result<UpstreamResponse<ResponseBody>, LocalReply> {
        let StreamContext {
            shared,
            listener,
            connection,
            ..
        } = self.stream;
        let found = self.selection.found;
        let target =
            found.and_then(|found| RouteTarget::choose(shared, found, self.head, self.record));
        if let (Some(found), Some(target)) = (found, &target) {
            self.reply.route = Some(found.route);
            self.reply.target = target.share.headers.as_deref();
            self.keep_request()?;
        }
        let passing = FilterContext {
            shared,
            listener,
            connection: &connection.limiter,
            found,
            cluster: target.as_ref().map(|target| &**target.cluster()),
        };
        filter::pass(passing, self.head, self.record, self.reply).await?;
        let found = found.ok_or(LocalReply::NoRoute)?;
        if let Some(answer) = answer::local_reply(&found.route.action, self.head)? {
            self.reply.route = Some(found.route);
            self.keep_request()?;
            return Err(answer);
        }
        let target = target
            .expect("a route without a local reply forwards, and its destination was chosen above");
        let sending = self.prepare(found, &target)?;
        let plan = sending.plan(&self.stream, found, self.record);
        let upgrade = self.stream.upgrade.is_some();
        let kept = plan.may_repeat() || !sending.copies.is_empty();
        let mut outgoing = Outgoing::take(
            &mut self.head.parts,
            self.body,
            kept.then_some(&connection.kept),
            upgrade,
        );
        outgoing.arrive().await;
        mirror::send(
            shared,
            &sending.copies,
            plan.include_attempt_count,
            &outgoing,
            self.record,
        );
        match forward::forward(shared, carrier, plan, &mut outgoing, self.record).await {
            Ok(mut answer) => {
                sending.answered(&mut answer.response);
                Ok(answer)
            }
            Err(reject) => Err(sending.rejected(reject)),
        }
    }

    /// Decides how a request that the filters admitted is sent on, and changes it for its destination.
    fn prepare(
        &mut self,
        found: MatchedRoute<'t>,
        target: &RouteTarget<'t>,
    ) -> Result<UpstreamRequest<'t>, LocalReply> {
        if &**target.cluster() == BLACK_HOLE {
            return Err(LocalReply::BlackHole);
        }
        let Some(upstream) = self.stream.shared.state.upstream(target.cluster()) else {
            self.record.routed(&self.stream.shared.no_cluster());
            return Err(LocalReply::NoCluster(status(
                target.action.cluster_not_found,
            )));
        };
        self.reply.include_attempt_count = found.host.include_attempt_count_in_response;
        let steering = self.change(found, target)?;
        self.keep_request()?;
        if !upstream.may_send() {
            return Err(LocalReply::Overloaded(THROTTLED));
        }
        let action = target.action;
        let steered = steering
            .as_ref()
            .map_or(action, |steering| &steering.action);
        let copies = copies_of(self.stream, &upstream, steered);
        let hash = self.hash(&upstream, steered)?;
        Ok(UpstreamRequest {
            upstream,
            action,
            steering,
            copies,
            hash,
        })
    }

    /// Changes a request as its route configures. Returns the header overrides of a caller that may set them.
    fn change(
        &mut self,
        found: MatchedRoute<'_>,
        target: &RouteTarget<'_>,
    ) -> Result<Option<Box<HeaderOverrides>>, LocalReply> {
        let of_target = target.share.headers.as_deref();
        let changes = target.action.rewrite.as_deref();
        let suppress_envoy_headers = self.stream.listener.manager.suppress_envoy_headers;
        rewrite::toward(
            of_target,
            found.route,
            changes,
            self.head,
            suppress_envoy_headers,
        )?;
        // An external caller's `x-envoy-*` headers were removed on arrival. Those that the configuration adds apply to
        // any caller.
        let may_steer = self.stream.caller.is_internal
            || of_target.is_some()
            || !found.route.request_headers.is_empty();
        if !may_steer {
            return Ok(None);
        }
        Ok(header_overrides::take(
            &mut self.head.parts.headers,
            target.action,
        ))
    }

    /// The request's hash, if its host is chosen by hash.
    fn hash(&self, upstream: &Upstream, action: &RouteAction) -> Result<RequestHash, LocalReply> {
        if action.hash.is_empty() || !upstream.is_hashing() {
            return Ok(RequestHash::default());
        }
        let request = HashInputs {
            view: self.head.view()?,
            ends: Some(self.stream.ends),
        };
        Ok(RequestHash::compute(&action.hash, &request))
    }

    /// Copies the request if a header of its response is built from it.
    fn keep_request(&mut self) -> Result<(), LocalReply> {
        if self.reply.reads_request() {
            let request = SentRequest::from_head(self.head)?;
            self.reply.request = Some(Box::new(request));
        }
        Ok(())
    }
}

/// The decisions on how a request is sent on.
struct UpstreamRequest<'t> {
    upstream: Rc<Upstream>,
    action: &'t RouteAction,
    /// The caller's header overrides of the route.
    steering: Option<Box<HeaderOverrides>>,
    copies: mirror::MirrorCopies,
    hash: RequestHash,
}

impl UpstreamRequest<'_> {
    /// The plan of the retry loop.
    fn plan(
        &self,
        stream: &StreamContext<'_>,
        found: MatchedRoute<'_>,
        record: &RequestRecord,
    ) -> forward::ForwardPlan<'_> {
        let steering = self.steering.as_ref();
        let action = steering.map_or(self.action, |steering| &steering.action);
        let hedge = if action.hedge == HedgePolicy::default() {
            self.upstream.hedge().unwrap_or_default()
        } else {
            action.hedge
        };
        let manager = &stream.listener.manager;
        let side = match stream.listener.direction {
            Direction::Inbound => Side::Inbound,
            Direction::Outbound => Side::Outbound,
        };
        forward::ForwardPlan {
            arrival: RequestIngress {
                side,
                ends: Some(stream.ends),
            },
            upstream: &self.upstream,
            action,
            hedge,
            include_attempt_count: found.host.include_attempt_count,
            idle: action.idle_timeout.or(stream.listener.stream_idle_timeout),
            hash: self.hash.hash,
            labels: action.labels.as_ref(),
            suppress_envoy_headers: manager.suppress_envoy_headers,
            complete_by: manager.request_timeout.map(|span| record.started() + span),
        }
    }

    /// Completes a response from upstream, and reports it to the throttle unless it signals overload.
    fn answered(self, response: &mut Response<ResponseBody>) {
        for cookie in self.hash.cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        if !is_overload(response.status()) {
            self.upstream.accepted();
        }
    }

    /// Adapts a local reply to the caller's header overrides.
    fn rejected(&self, reject: LocalReply) -> LocalReply {
        match &self.steering {
            Some(steering) => steering.answered(reject),
            None => reject,
        }
    }
}

/// Draws which mirrors receive a copy. A cluster without hosts makes no attempt, and no copy.
fn copies_of(
    stream: StreamContext<'_>,
    upstream: &Upstream,
    action: &RouteAction,
) -> mirror::MirrorCopies {
    if upstream.is_original_dst() || !upstream.hosts().is_empty() {
        mirror::drawn(stream.shared, &action.mirrors)
    } else {
        mirror::MirrorCopies::new()
    }
}

/// True if the throttle counts this status as a rejection by the upstream.
fn is_overload(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// The destination of a request.
#[derive(Clone, Debug)]
struct RouteTarget<'t> {
    action: &'t RouteAction,
    share: &'t WeightedCluster,
    /// The cluster named by a request header, if the route takes it from there.
    named: Option<Arc<str>>,
}

impl<'t> RouteTarget<'t> {
    /// Chooses the destination of a forwarded request. Later steps' metrics count for it.
    fn choose(
        shared: &Shared,
        found: MatchedRoute<'t>,
        head: &RequestHead,
        record: &mut RequestRecord,
    ) -> Option<RouteTarget<'t>> {
        let action = found.route.forward()?;
        let headers = &head.parts.headers;
        let share = split::choose(action, headers, &mut *shared.random.splits.borrow_mut());
        let target = RouteTarget {
            action,
            share,
            named: share.named(headers).map(Arc::from),
        };
        let cluster = target.cluster();
        record.routed(cluster);
        if record.side() == Side::Outbound {
            report_route(shared, headers, cluster);
        }
        if &**cluster != BLACK_HOLE
            && let Some(upstream) = shared.state.upstream(cluster)
        {
            record.found(upstream.unreached());
        }
        Some(target)
    }

    fn cluster(&self) -> &Arc<str> {
        self.named.as_ref().unwrap_or(&self.share.cluster)
    }
}

/// Reports the cluster of a request that carries the configured header.
fn report_route(shared: &Shared, headers: &HeaderMap, cluster: &Arc<str>) {
    let name = shared.bootstrap.reported_header.as_ref();
    let value = name.and_then(|name| headers.get(name)?.to_str().ok());
    if let Some(value) = value {
        shared.env.emit(MeshEvent::Routed {
            header: value.into(),
            cluster: Arc::clone(cluster),
        });
    }
}
