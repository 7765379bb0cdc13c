//! The app model: a real HTTP server whose requests take the steps that the story declares.
//!
//! A request passes its queue, holds a worker from start to answer (through calls and sleeps), takes cores for its work,
//! and leaves exactly one `Served` for its `Arrived`. A caller that goes does not stop it (`abandoned: finish`).

mod carried;
mod connection;
mod cores;
mod draws;
mod meter;
mod path;
mod places;
mod queue;
mod sharing;
mod steps;
mod visit;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use shakedown_env::{BoxListener, Env};
use shakedown_loadgen::{Caller, REQUEST_ID_HEADER};
use shakedown_results::PodId;
use shakedown_scenarios::story::{Abandoned, Failure, Step, Version};
use shakedown_wire::{Body, Drain};

use crate::ailments::Ailments;
use crate::journal::Journal;
use crate::plot::Plot;
use carried::Carried;
use connection::Breaker;
use cores::Cores;
use draws::Draws;
use meter::Meter;
use path::{Endpoints, UNDECLARED};
use places::Places;
use queue::{Entry, Seat, Servers, Shed};
use steps::{Ending, Flow, Task};
use visit::{Gone, Origin, Visit};

/// The trace context, which every app forwards. Sources: W3C Trace Context; B3 Propagation.
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
/// The longest that a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The most that a request in hand may take by itself: a queue without a limit holds a hundred thousand. A step that needs
/// more boxes it.
const IN_HAND_BYTES_MAX: usize = 1024;

/// Which replica an app is.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) pod: PodId,
    /// Index into the story's services.
    pub(crate) service: usize,
    /// Index into the service's versions.
    pub(crate) version: usize,
    /// How often the pod has been started before.
    pub(crate) life: u32,
    /// What ails the pod.
    pub(crate) ailments: Rc<Ailments>,
    /// Ends the connections, gracefully.
    pub(crate) drain: Drain,
    /// The stage's own host, whose draws are no replica's.
    pub(crate) stage: Env,
}

/// One replica's app, in one of its lives.
pub(crate) struct App {
    env: Env,
    plot: Rc<Plot>,
    journal: Arc<Journal>,
    role: Role,
    endpoints: Endpoints,
    forwarded: Vec<HeaderName>,
    workers: Option<Rc<Servers>>,
    cores: Cores,
    draws: Draws,
    caller: Caller,
    places: Places,
    block: RefCell<Bytes>,
}

impl App {
    /// Starts a replica's app on a listener of its pod.
    pub(crate) fn start(
        env: &Env,
        plot: &Rc<Plot>,
        journal: &Arc<Journal>,
        role: Role,
        caller: Caller,
        listener: BoxListener,
    ) {
        let service = &plot.story.services[role.service];
        let version = &service.versions[role.version];
        let (pod, life) = (role.pod, role.life);
        let drops_gone = version.abandoned == Abandoned::Drop;
        let counts_cores = version.workers.is_none() && version.cores.is_some();
        let meter = Meter::new(counts_cores.then(|| (Arc::clone(journal), pod)));
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
            role,
            endpoints: Endpoints::new(&service.endpoints),
            forwarded: ALWAYS_FORWARDED
                .iter()
                .chain(&version.forward)
                .cloned()
                .collect(),
            workers,
            cores: Cores::new(env, version, meter, drops_gone),
            caller,
            places: Places::default(),
            block: RefCell::default(),
        });
        env.spawn("app", connection::accept(app, listener));
    }

    fn version(&self) -> &Version {
        &self.plot.story.services[self.role.service].versions[self.role.version]
    }

    fn filler(&self, size: u64) -> Bytes {
        if size == 0 {
            Bytes::new()
        } else {
            steps::filler(&mut self.block.borrow_mut(), size)
        }
    }

    /// The steps of an endpoint; `None` for one that this version does not have.
    fn steps(&self, endpoint: u16) -> Option<&[Step]> {
        self.version()
            .endpoints
            .get(usize::from(endpoint))?
            .as_deref()
    }

    /// Serves one request. The future may be dropped, which is how it learns that the caller has gone.
    fn serve(self: &Rc<App>, request: Request<Incoming>, breaker: Breaker) -> Serving {
        // Taken apart here, so that what waits in a queue is no larger than it must be.
        let (head, body) = request.into_parts();
        let origin = Origin::of(&head.headers);
        let endpoint = self.endpoints.find(&head.method, head.uri.path());
        let carried = Carried::new(head.headers);
        let gone = Gone::default();
        let asked = Asked {
            origin,
            endpoint,
            carried: carried.clone(),
            gone: gone.clone(),
            breaker,
        };
        let body = (!body.is_end_stream()).then(|| Box::new(body));
        let work = Rc::clone(self).handle(asked, body);
        debug_assert!(size_of_val(&work) <= IN_HAND_BYTES_MAX);
        Serving {
            app: Rc::clone(self),
            gone,
            carried,
            work: Some(Box::pin(work)),
        }
    }

    async fn handle(self: Rc<App>, asked: Asked, body: Option<Box<Incoming>>) -> Response<Body> {
        if let Some(body) = body
            && !self.read(body).await
        {
            // The caller went, or broke off, before its request was there: it never arrived.
            asked.breaker.pull();
            return Response::default();
        }
        // Boxed, since each future that it passes through has room for it.
        let arrive = |endpoint, queued| {
            Box::new(Visit::arrive(
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
            visit.serve(404);
            return answer(404);
        };
        let entry = self
            .workers
            .as_ref()
            .map(|workers| workers.enter(&asked.gone));
        let (visit, seat) = match entry {
            None => (arrive(endpoint, false), None),
            Some(Entry::Seated(seat)) => (arrive(endpoint, false), Some(seat)),
            Some(Entry::Full) => {
                let visit = arrive(endpoint, false);
                return refuse(visit, self.version().queue.full, &asked.breaker).await;
            }
            Some(Entry::Queued(wait)) => {
                let visit = arrive(endpoint, true);
                let waiting = visit.waits_since_it_arrived();
                let turn = wait.await;
                drop(waiting);
                match turn {
                    Ok(seat) => (visit, Some(seat)),
                    Err(Shed) => {
                        visit.shed();
                        return answer(503);
                    }
                }
            }
        };
        self.work(visit, seat, steps, &asked).await
    }

    /// Reads a request's body to its end; false when it did not come.
    async fn read(&self, mut body: Box<Incoming>) -> bool {
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
        visit: Box<Visit>,
        seat: Option<Seat>,
        steps: &[Step],
        asked: &Asked,
    ) -> Response<Body> {
        let breaker = &asked.breaker;
        let task = Task {
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
            Some(with) => Flow::Break(Ending::Fail(with)),
            None => task.run(steps).await,
        };
        let response = match flow {
            Flow::Continue(()) => answer(200),
            Flow::Break(Ending::Respond {
                status,
                size,
                headers,
            }) => respond(status, self.filler(size), headers),
            Flow::Break(Ending::Shed) => {
                visit.shed();
                return answer(503);
            }
            Flow::Break(Ending::Refuse) => {
                return refuse(visit, self.version().queue.full, breaker).await;
            }
            Flow::Break(Ending::Fail(Failure::Status(status))) => answer(status.as_u16()),
            Flow::Break(Ending::Fail(Failure::Reset)) => {
                breaker.pull();
                visit.serve(0);
                return Response::default();
            }
            Flow::Break(Ending::Fail(Failure::Hang)) => {
                visit.gone().wait().await;
                visit.serve(0);
                return Response::default();
            }
        };
        visit.serve(response.status().as_u16());
        // The next request's turn comes after this one's end is recorded.
        drop(seat);
        response
    }
}

/// Turns a request away at a full queue.
async fn refuse(visit: Box<Visit>, full: Failure, breaker: &Breaker) -> Response<Body> {
    match full {
        Failure::Status(status) => {
            visit.refuse(status.as_u16());
            answer(status.as_u16())
        }
        Failure::Reset => {
            breaker.pull();
            visit.refuse(0);
            Response::default()
        }
        Failure::Hang => {
            let gone = visit.gone().clone();
            visit.refuse(0);
            gone.wait().await;
            Response::default()
        }
    }
}

fn answer(status: u16) -> Response<Body> {
    respond(status, Bytes::new(), &[])
}

fn respond(status: u16, body: Bytes, headers: &[(HeaderName, HeaderValue)]) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in headers {
        response.headers_mut().append(name.clone(), value.clone());
    }
    response
}

/// A request, as much of it as serving it takes.
struct Asked {
    origin: Origin,
    endpoint: u16,
    carried: Carried,
    gone: Gone,
    breaker: Breaker,
}

/// A request in hand, as its connection sees it.
struct Serving {
    app: Rc<App>,
    gone: Gone,
    carried: Carried,
    work: Option<LocalFuture<Response<Body>>>,
}

/// A future that stays on its thread.
type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

impl Future for Serving {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let work = self
            .work
            .as_mut()
            .expect("hyper polls no future that is ready");
        let response = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(response)
    }
}

impl Drop for Serving {
    /// The connection ended with the request in hand: its caller has gone, and the work goes on without it. Where the
    /// pod has died, so does the work.
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
