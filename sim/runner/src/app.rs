//! The app model: a real HTTP server whose requests execute the steps that the scenario declares.
//!
//! A request waits in the queue, occupies a worker from start to response (including calls and sleeps), and
//! uses cores for its work. It records exactly one `Served` for its `Arrived`. A disconnected caller does not
//! stop it (`abandoned: finish`).

mod answer;
mod carried;
mod concurrency;
mod connection;
mod cores;
mod draws;
mod meter;
mod path;
mod queue;
mod sharing;
mod steps;
mod visit;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use shakedown_env::{BoxListener, Env};
use shakedown_loadgen::{CallingHost, REQUEST_ID_HEADER, message};
use shakedown_results::{Answer, Outcome, PodId};
use shakedown_scenarios::scenario::{
    Abandoned, Protocol, ServiceSpec, Step, StepFailure, StepStatus, Version,
};
use shakedown_wire::{Body, Drain};

use crate::cpu::CpuClock;
use crate::injected_faults::InjectedFaults;
use crate::journal::Journal;
use crate::run_context::RunContext;

use answer::{AppBody, answer};
use carried::Carried;
use concurrency::ConcurrencyLimits;
use connection::ConnectionBreaker;
use cores::Cores;
use draws::Draws;
use meter::Meter;
use path::{Endpoints, UNDECLARED};
use queue::{CallerGone, QueueAdmission, ServerGuard, Servers};
use steps::{EarlyEnd, StepContext, StepFlow};
use visit::{Gone, RequestOrigin, VisitGuard};

/// Trace context headers, which every app forwards. Sources: W3C Trace Context; B3 Propagation.
const ALWAYS_FORWARDED: [HeaderName; 9] = [
    REQUEST_ID_HEADER,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
    HeaderName::from_static("x-b3-spanid"),
    HeaderName::from_static("x-b3-parentspanid"),
    HeaderName::from_static("x-b3-sampled"),
    HeaderName::from_static("x-b3-flags"),
];
/// Maximum time to receive a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum size of a request's future, because an unlimited queue may contain a hundred thousand of them.
/// Larger steps are boxed.
const IN_HAND_BYTES_MAX: usize = 1024;

/// The identity of an app: its replica.
#[derive(Debug)]
pub(crate) struct AppIdentity {
    pub(crate) pod: PodId,
    /// Index into the scenario's services.
    pub(crate) service: usize,
    /// Index into the service's versions.
    pub(crate) version: usize,
    /// Number of earlier starts of the pod.
    pub(crate) life: u32,
    pub(crate) ailments: Rc<InjectedFaults>,
    pub(crate) cpu: Rc<CpuClock>,
    /// Closes the connections gracefully.
    pub(crate) drain: Drain,
    /// The runner's own host, whose random draws do not depend on the replica.
    pub(crate) stage: Env,
}

/// The app of one replica, from a start of its pod to its end.
pub(crate) struct App {
    env: Env,
    plot: Rc<RunContext>,
    journal: Arc<Journal>,
    role: AppIdentity,
    endpoints: Endpoints,
    forwarded: Vec<HeaderName>,
    workers: Option<Rc<Servers>>,
    cores: Cores,
    draws: Draws,
    caller: CallingHost,
    places: ConcurrencyLimits,
    /// Request and response bodies, by (is gRPC, size). Bounded by the number of steps in the scenario that
    /// send a body.
    messages: RefCell<BTreeMap<(bool, u64), Bytes>>,
}

impl App {
    /// Starts a replica's app on a listener of its pod.
    pub(crate) fn start(
        env: &Env,
        plot: &Rc<RunContext>,
        journal: &Arc<Journal>,
        role: AppIdentity,
        caller: CallingHost,
        listener: BoxListener,
    ) {
        let service = &plot.story.services[role.service];
        let version = &service.versions[role.version];
        let (pod, life) = (role.pod, role.life);
        let drops_gone = version.abandoned == Abandoned::Drop;
        let counts_cores = version.workers.is_none() && version.cores.is_some();
        let to = counts_cores.then(|| (Arc::clone(journal), pod));
        let meter = Meter::new(Rc::clone(&role.cpu), to);
        let queue = version.queue;
        let workers = version
            .workers
            .map(|count| Servers::new(count, queue.limit, queue.order, drops_gone));
        let app = Rc::new(App {
            env: env.clone(),
            plot: Rc::clone(plot),
            journal: Arc::clone(journal),
            draws: Draws::new(
                env.clone(),
                role.stage.clone(),
                Rc::clone(&plot.story),
                life,
            ),
            cores: Cores::new(env, version, meter, drops_gone),
            role,
            endpoints: Endpoints::new(&service.endpoints),
            forwarded: ALWAYS_FORWARDED
                .iter()
                .chain(&version.forward)
                .cloned()
                .collect(),
            workers,
            caller,
            places: ConcurrencyLimits::default(),
            messages: RefCell::default(),
        });
        env.spawn("app", connection::accept(app, listener));
    }

    fn service(&self) -> &ServiceSpec {
        &self.plot.story.services[self.role.service]
    }

    fn version(&self) -> &Version {
        &self.service().versions[self.role.version]
    }

    /// Returns a body of `size` bytes; for gRPC, a framed message, even if `size` is 0.
    fn message(&self, protocol: Protocol, size: u64) -> Bytes {
        let grpc = protocol == Protocol::Grpc;
        if size == 0 && !grpc {
            return Bytes::new();
        }
        let mut messages = self.messages.borrow_mut();
        let known = messages.entry((grpc, size));
        known.or_insert_with(|| message(protocol, size)).clone()
    }

    /// A response with a status and an empty message.
    fn plain(&self, status: StepStatus) -> (Response<AppBody>, Outcome) {
        let protocol = self.service().protocol;
        answer(protocol, status, self.message(protocol, 0), &[])
    }

    /// Returns the steps of an endpoint; `None` if this version does not implement it.
    fn steps(&self, endpoint: u16) -> Option<&[Step]> {
        self.version()
            .endpoints
            .get(usize::from(endpoint))?
            .as_deref()
    }

    /// Serves one request. Dropping the returned future signals that the caller has disconnected.
    fn serve(self: &Rc<App>, request: Request<Body>, breaker: ConnectionBreaker) -> RequestInHand {
        // Split here, so that a queued future stays small.
        let (head, body) = request.into_parts();
        let origin = RequestOrigin::from_headers(&head.headers, &self.service().name);
        let endpoint = self.endpoints.find(&head.method, head.uri.path());
        let carried = Carried::new(head.headers);
        let gone = Gone::default();
        let asked = AppRequest {
            origin,
            endpoint,
            carried: carried.clone(),
            gone: gone.clone(),
            breaker,
        };
        let body = (!body.is_end_stream()).then(|| Box::new(body));
        let work = Rc::clone(self).handle(asked, body);
        debug_assert!(size_of_val(&work) <= IN_HAND_BYTES_MAX);
        RequestInHand {
            app: Rc::clone(self),
            gone,
            carried,
            work: Some(Box::pin(work)),
        }
    }

    async fn handle(
        self: Rc<App>,
        asked: AppRequest,
        body: Option<Box<Body>>,
    ) -> Response<AppBody> {
        if let Some(body) = body
            && !self.read(body).await
        {
            // The caller disconnected or failed before the body was complete: the request never arrived.
            asked.breaker.pull();
            return Response::default();
        }
        // Boxed, since otherwise every future that contains it reserves space for it.
        let arrive = |endpoint, queued| {
            Box::new(VisitGuard::arrive(
                &self.env,
                &self.journal,
                self.role.pod,
                asked.origin,
                endpoint,
                queued,
                asked.gone.clone(),
            ))
        };
        let endpoint = asked.endpoint;
        let Some(steps) = self.steps(endpoint) else {
            let visit = arrive(UNDECLARED, false);
            let (response, outcome) = self.plain(UNKNOWN_PATH);
            visit.serve(outcome);
            return response;
        };
        let entry = self
            .workers
            .as_ref()
            .map(|workers| workers.enter(&asked.gone));
        let (visit, seat) = match entry {
            None => (arrive(endpoint, false), None),
            Some(QueueAdmission::Seated(seat)) => (arrive(endpoint, false), Some(seat)),
            Some(QueueAdmission::Full) => {
                let visit = arrive(endpoint, false);
                return self.refuse(visit, &asked.breaker).await;
            }
            Some(QueueAdmission::Queued(wait)) => {
                let visit = arrive(endpoint, true);
                let waiting = visit.waits_since_it_arrived();
                let turn = wait.await;
                drop(waiting);
                match turn {
                    Ok(seat) => (visit, Some(seat)),
                    Err(CallerGone) => {
                        visit.shed();
                        return self.plain(SHED).0;
                    }
                }
            }
        };
        self.work(visit, seat, steps, &asked).await
    }

    /// Reads a request's body to its end. Returns false if it fails or exceeds [`BODY_TIMEOUT`].
    async fn read(&self, mut body: Box<Body>) -> bool {
        let deadline = self.env.now() + BODY_TIMEOUT;
        loop {
            match self.env.deadline(deadline, body.frame()).await {
                Ok(None) => return true,
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
    }

    async fn work(
        &self,
        visit: Box<VisitGuard>,
        seat: Option<ServerGuard>,
        steps: &[Step],
        asked: &AppRequest,
    ) -> Response<AppBody> {
        let breaker = &asked.breaker;
        let task = StepContext {
            app: self,
            visit: &visit,
            carried: &asked.carried,
        };
        let fails = self
            .role
            .ailments
            .fails((self.role.service, visit.endpoint()), |place, share| {
                self.draws.chance(place, share)
            });
        let flow = match fails {
            Some(with) => StepFlow::Break(EarlyEnd::Fail(with)),
            None => task.run(steps).await,
        };
        let (response, outcome) = match flow {
            StepFlow::Continue(()) => self.plain(StepStatus::Http(StatusCode::OK)),
            StepFlow::Break(EarlyEnd::Respond {
                status,
                size,
                headers,
            }) => {
                let protocol = self.service().protocol;
                answer(protocol, status, self.message(protocol, size), headers)
            }
            StepFlow::Break(EarlyEnd::Shed) => {
                visit.shed();
                return self.plain(SHED).0;
            }
            StepFlow::Break(EarlyEnd::Refuse) => return self.refuse(visit, breaker).await,
            StepFlow::Break(EarlyEnd::Fail(StepFailure::Status(status))) => self.plain(status),
            StepFlow::Break(EarlyEnd::Fail(StepFailure::Reset)) => {
                breaker.pull();
                visit.serve(BROKEN);
                return Response::default();
            }
            StepFlow::Break(EarlyEnd::Fail(StepFailure::Hang)) => {
                visit.gone().wait().await;
                visit.serve(BROKEN);
                return Response::default();
            }
        };
        visit.serve(outcome);
        // The next request starts after the end of this one is recorded.
        drop(seat);
        response
    }

    /// Rejects a request that found the queue full.
    async fn refuse(
        &self,
        visit: Box<VisitGuard>,
        breaker: &ConnectionBreaker,
    ) -> Response<AppBody> {
        match self.version().queue.full {
            StepFailure::Status(status) => {
                let (response, outcome) = self.plain(status);
                visit.refuse(outcome);
                response
            }
            StepFailure::Reset => {
                breaker.pull();
                visit.refuse(BROKEN);
                Response::default()
            }
            StepFailure::Hang => {
                let gone = visit.gone().clone();
                visit.refuse(BROKEN);
                gone.wait().await;
                Response::default()
            }
        }
    }
}

/// The response to an undeclared path.
const UNKNOWN_PATH: StepStatus = StepStatus::Http(StatusCode::NOT_FOUND);
/// The response to a request that was dropped from the queue.
const SHED: StepStatus = StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE);
/// The outcome of a request without a response.
const BROKEN: Outcome = Outcome::none(Answer::Error);

/// The parts of a request that are needed to serve it.
struct AppRequest {
    origin: RequestOrigin,
    endpoint: u16,
    carried: Carried,
    gone: Gone,
    breaker: ConnectionBreaker,
}

/// A request in progress, as its connection sees it.
struct RequestInHand {
    app: Rc<App>,
    gone: Gone,
    carried: Carried,
    work: Option<AppFuture<Response<AppBody>>>,
}

/// A future that is not `Send`.
type AppFuture<T> = Pin<Box<dyn Future<Output = T>>>;

impl Future for RequestInHand {
    type Output = Response<AppBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<AppBody>> {
        let work = self
            .work
            .as_mut()
            .expect("hyper polls no future that is ready");
        let response = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(response)
    }
}

impl Drop for RequestInHand {
    /// The connection closed during the request: the caller has disconnected, and the work continues in a
    /// task of its own. If the pod has died, that task dies with it.
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.gone.set();
            self.carried.detach(&self.app.forwarded);
            self.app.env.spawn("app-abandoned", async move {
                work.await;
            });
        }
    }
}
