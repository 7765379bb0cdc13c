//! A request between its arrival and its answer: where it goes, what it passes, and how it is sent on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, SET_COOKIE};
use http::{Response, StatusCode};
use shakedown_env::Time;
use shakedown_types::{MeshEvent, ResponseFlags, Side};
use shakedown_wire::Body;
use shakedown_xds::table::{Direction, HedgePolicy, Listener, RouteAction, Table, WeightedCluster};

use crate::connection::Connection;
use crate::filter::{self, Passing};
use crate::forward::{self, Answer};
use crate::glance::Glance;
use crate::hash::{Ends, Hash, Hashed};
use crate::headers::Snapshot;
use crate::loops::Arrival;
use crate::origin::Caller;
use crate::outgoing::Outgoing;
use crate::record::Record;
use crate::reply::Reply;
use crate::request_head::RequestHead;
use crate::respond::{Overloaded, Reject, status};
use crate::route::{self, Found};
use crate::send::Carrier;
use crate::shared::Shared;
use crate::state::Upstream;
use crate::steering::Steering;
use crate::upgrade::Requested;
use crate::{answer, mirror, prepare, rewrite, split, steering};

/// The cluster that stands for destinations outside the mesh where the mesh allows none.
const BLACK_HOLE: &str = "BlackHoleCluster";

/// A request that is held back, since the upstream refuses so many. Envoy's admission control answers like this.
const THROTTLED: Overloaded = Overloaded {
    status: StatusCode::SERVICE_UNAVAILABLE,
    body: "",
    details: "denied_by_admission_control",
    flags: ResponseFlags::empty(),
};

/// Where a request travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'t> {
    pub(crate) shared: &'t Rc<Shared>,
    pub(crate) table: &'t Table,
    pub(crate) listener: &'t Listener,
    pub(crate) connection: &'t Connection,
    pub(crate) ends: Ends,
    pub(crate) caller: Caller,
    /// What its connection is to become, where it asks for that.
    pub(crate) upgrade: Option<&'t Requested>,
}

/// Where a request goes, as far as its headers tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'t> {
    /// Its route; `None` if none takes it.
    found: Option<Found<'t>>,
    /// When all of it, the answer included, must be over.
    pub(crate) deadline: Option<Time>,
}

impl<'t> Way<'t> {
    /// The way of a request that has just come; `seen` is what its headers are at a glance.
    pub(crate) fn of(
        line: Line<'t>,
        seen: Glance,
        head: &mut RequestHead,
        record: &mut Record,
    ) -> Result<Way<'t>, Reject> {
        let own = line.shared.bootstrap.address;
        prepare::receive(head, seen, line.caller, own, line.upgrade.is_some());
        if line.listener.manager.normalize_path {
            rewrite::normalize(head)?;
        }
        let found = route::find(line.table, &line.listener.routes, head)?;
        if line
            .upgrade
            .is_some_and(|upgrade| !upgrade.is_allowed(line.listener, found))
        {
            // Nothing is sent, but it counts under where it would have gone.
            if let Some(found) = found {
                Target::choose(line.shared, found, head, record);
            }
            return Err(Reject::UpgradeRefused);
        }
        let most = longest(line.listener, found, &mut head.parts.headers);
        Ok(Way {
            found,
            deadline: most.map(|span| record.started() + span),
        })
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
                forward::set_grpc_timeout(headers, span);
            }
            span
        }
        None => of_listener,
    }
}

/// A request on its way.
pub(crate) struct Journey<'a, 't> {
    pub(crate) line: Line<'t>,
    pub(crate) way: Way<'t>,
    pub(crate) head: &'a mut RequestHead,
    pub(crate) body: &'a mut Body,
    pub(crate) record: &'a mut Record,
    pub(crate) reply: &'a mut Reply<'t>,
}

impl<'t> Journey<'_, 't> {
    /// From the route to the response's headers.
    pub(crate) async fn travel(&mut self, carrier: &impl Carrier) -> Result<Answer<Body>, Reject> {
        let Line {
            shared,
            listener,
            connection,
            ..
        } = self.line;
        let found = self.way.found;
        let target = found.and_then(|found| Target::choose(shared, found, self.head, self.record));
        if let (Some(found), Some(target)) = (found, &target) {
            self.reply.route = Some(found.route);
            self.reply.target = target.share.headers.as_deref();
            self.keep_request()?;
        }
        let passing = Passing {
            shared,
            listener,
            connection: &connection.limiter,
            found,
            cluster: target.as_ref().map(|target| &**target.cluster()),
        };
        filter::pass(passing, self.head, self.record, self.reply).await?;
        let found = found.ok_or(Reject::NoRoute)?;
        if let Some(answer) = answer::of(&found.route.action, self.head)? {
            self.reply.route = Some(found.route);
            self.keep_request()?;
            return Err(answer);
        }
        let target = target
            .expect("what does not answer sends on, and a destination was chosen for it above");
        let sending = self.prepare(found, &target)?;
        let plan = sending.plan(&self.line, found, self.record);
        let upgrade = self.line.upgrade.is_some();
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
            plan.tell_attempt,
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

    /// All that is decided and changed before a request that filters have let pass is sent on.
    fn prepare(&mut self, found: Found<'t>, target: &Target<'t>) -> Result<Sending<'t>, Reject> {
        if &**target.cluster() == BLACK_HOLE {
            return Err(Reject::BlackHole);
        }
        let Some(upstream) = self.line.shared.state.upstream(target.cluster()) else {
            self.record.routed(&self.line.shared.no_cluster());
            return Err(Reject::NoCluster(status(target.action.cluster_not_found)));
        };
        self.reply.tell_attempts = found.host.include_attempt_count_in_response;
        let steering = self.change(found, target)?;
        self.keep_request()?;
        if !upstream.may_send() {
            return Err(Reject::Overloaded(THROTTLED));
        }
        let action = target.action;
        let steered = steering
            .as_ref()
            .map_or(action, |steering| &steering.action);
        let copies = copies_of(self.line, &upstream, steered);
        let hash = self.hash(&upstream, steered)?;
        Ok(Sending {
            upstream,
            action,
            steering,
            copies,
            hash,
        })
    }

    /// Makes a request what its route wants sent. Gives what its caller asks for, if it may and does.
    fn change(
        &mut self,
        found: Found<'_>,
        target: &Target<'_>,
    ) -> Result<Option<Box<Steering>>, Reject> {
        let of_target = target.share.headers.as_deref();
        let changes = target.action.rewrite.as_deref();
        let quiet = self.line.listener.manager.suppress_envoy_headers;
        rewrite::toward(of_target, found.route, changes, self.head, quiet)?;
        // An external caller's own were taken away; what the configuration has added counts from everybody.
        let may_steer = self.line.caller.is_internal
            || of_target.is_some()
            || !found.route.request_headers.is_empty();
        if !may_steer {
            return Ok(None);
        }
        Ok(steering::take(&mut self.head.parts.headers, target.action))
    }

    /// The request's hash, where its host is chosen by it.
    fn hash(&self, upstream: &Upstream, action: &RouteAction) -> Result<Hash, Reject> {
        if action.hash.is_empty() || !upstream.is_hashing() {
            return Ok(Hash::default());
        }
        let request = Hashed {
            view: self.head.view()?,
            ends: Some(self.line.ends),
        };
        Ok(Hash::of(&action.hash, &request))
    }

    /// Keeps the request for the values of its response, where one needs it.
    fn keep_request(&mut self) -> Result<(), Reject> {
        if self.reply.reads_request() {
            let request = Snapshot::of(self.head)?;
            self.reply.request = Some(Box::new(request));
        }
        Ok(())
    }
}

/// How a request is sent on.
struct Sending<'t> {
    upstream: Rc<Upstream>,
    action: &'t RouteAction,
    /// What its caller asks for, over what the route says.
    steering: Option<Box<Steering>>,
    copies: mirror::Copies,
    hash: Hash,
}

impl Sending<'_> {
    /// What the try loop is to do.
    fn plan(&self, line: &Line<'_>, found: Found<'_>, record: &Record) -> forward::Plan<'_> {
        let steering = self.steering.as_ref();
        let action = steering.map_or(self.action, |steering| &steering.action);
        let hedge = if action.hedge == HedgePolicy::default() {
            self.upstream.hedge().unwrap_or_default()
        } else {
            action.hedge
        };
        let manager = &line.listener.manager;
        let side = match line.listener.direction {
            Direction::Inbound => Side::Inbound,
            Direction::Outbound => Side::Outbound,
        };
        forward::Plan {
            arrival: Arrival {
                side,
                ends: Some(line.ends),
            },
            upstream: &self.upstream,
            action,
            hedge,
            tell_attempt: found.host.include_attempt_count,
            idle: action.idle_timeout.or(line.listener.stream_idle_timeout),
            hash: self.hash.hash,
            labels: action.labels.as_ref(),
            quiet: manager.suppress_envoy_headers,
            complete_by: manager.request_timeout.map(|span| record.started() + span),
        }
    }

    /// The upstream has answered.
    fn answered(self, response: &mut Response<Body>) {
        for cookie in self.hash.cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        if !tells_of_overload(response.status()) {
            self.upstream.accepted();
        }
    }

    /// What the caller is told where it has not.
    fn rejected(&self, reject: Reject) -> Reject {
        match &self.steering {
            Some(steering) => steering.answered(reject),
            None => reject,
        }
    }
}

/// Draws the copies of a request. Without a host there is no try, and no copy either.
fn copies_of(line: Line<'_>, upstream: &Upstream, action: &RouteAction) -> mirror::Copies {
    if upstream.is_original_dst() || !upstream.hosts().is_empty() {
        mirror::drawn(line.shared, &action.mirrors)
    } else {
        mirror::Copies::new()
    }
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
struct Target<'t> {
    action: &'t RouteAction,
    share: &'t WeightedCluster,
    /// The cluster that the request itself named, where it is asked.
    named: Option<Arc<str>>,
}

impl<'t> Target<'t> {
    /// Chooses the destination of a request that is sent on; what the filters do with it counts under that.
    fn choose(
        shared: &Shared,
        found: Found<'t>,
        head: &RequestHead,
        record: &mut Record,
    ) -> Option<Target<'t>> {
        let action = found.route.forward()?;
        let headers = &head.parts.headers;
        let share = split::choose(action, headers, &mut *shared.random.splits.borrow_mut());
        let target = Target {
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

/// Reports the cluster of a request that has the header to report.
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
