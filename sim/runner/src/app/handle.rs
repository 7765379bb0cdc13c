//! Handles a request: the queue, the worker, the steps of its endpoint, and the response.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use shakedown_results::{Answer, Outcome};
use shakedown_scenarios::scenario::{Step, StepFailure, StepStatus};
use shakedown_wire::Body;

use super::answer::{AppBody, answer};
use super::carried::Carried;
use super::connection_breaker::ConnectionBreaker;
use super::path::UNDECLARED;
use super::queue::{CallerGone, QueueAdmission, ServerGuard};
use super::state::App;
use super::steps::{EarlyEnd, StepContext, StepFlow};
use super::visit::{Gone, RequestOrigin, VisitGuard};

/// Maximum time to receive a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum size of a request's future, because an unlimited queue may contain a hundred thousand of them.
/// Larger steps are boxed.
const IN_HAND_BYTES_MAX: usize = 1024;

impl App {
    /// Serves one request. Dropping the returned future signals that the caller has disconnected.
    pub(super) fn serve(
        self: &Rc<App>,
        request: Request<Body>,
        breaker: ConnectionBreaker,
    ) -> RequestInHand {
        // Split here, so that a queued future stays small.
        let (head, body) = request.into_parts();
        let origin = RequestOrigin::from_headers(&head.headers, &self.service().name);
        let endpoint = self.endpoints.find(&head.method, head.uri.path());
        let carried = Carried::new(head.headers);
        let gone = Gone::default();
        let request = AppRequest {
            origin,
            endpoint,
            carried: carried.clone(),
            gone: gone.clone(),
            breaker,
        };
        let body = (!body.is_end_stream()).then(|| Box::new(body));
        let work = Rc::clone(self).handle(request, body);
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
        request: AppRequest,
        body: Option<Box<Body>>,
    ) -> Response<AppBody> {
        if let Some(body) = body
            && !self.read(body).await
        {
            // The caller disconnected or failed before the body was complete: the request never arrived.
            request.breaker.pull();
            return Response::default();
        }
        // Boxed, since otherwise every future that contains it reserves space for it.
        let arrive = |endpoint, queued| {
            Box::new(VisitGuard::arrive(
                &self.env,
                &self.journal,
                self.role.pod,
                request.origin,
                endpoint,
                queued,
                request.gone.clone(),
            ))
        };
        let endpoint = request.endpoint;
        let Some(steps) = self.steps(endpoint) else {
            let visit = arrive(UNDECLARED, false);
            let (response, outcome) = self.plain(UNKNOWN_PATH);
            visit.serve(outcome);
            return response;
        };
        let entry = self
            .workers
            .as_ref()
            .map(|workers| workers.enter(&request.gone));
        let (visit, guard) = match entry {
            None => (arrive(endpoint, false), None),
            Some(QueueAdmission::Admitted(guard)) => (arrive(endpoint, false), Some(guard)),
            Some(QueueAdmission::Full) => {
                let visit = arrive(endpoint, false);
                return self.refuse(visit, &request.breaker).await;
            }
            Some(QueueAdmission::Queued(wait)) => {
                let visit = arrive(endpoint, true);
                let waiting = visit.waits_since_it_arrived();
                let turn = wait.await;
                drop(waiting);
                match turn {
                    Ok(guard) => (visit, Some(guard)),
                    Err(CallerGone) => {
                        visit.shed();
                        return self.plain(SHED).0;
                    }
                }
            }
        };
        self.work(visit, guard, steps, &request).await
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
        guard: Option<ServerGuard>,
        steps: &[Step],
        request: &AppRequest,
    ) -> Response<AppBody> {
        let breaker = &request.breaker;
        let task = StepContext {
            app: self,
            visit: &visit,
            carried: &request.carried,
        };
        let fails = self.role.injected_faults.fails(
            (self.role.service, visit.endpoint().into()),
            |draw_id, share| self.draws.chance(draw_id, share),
        );
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
        drop(guard);
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
pub(super) struct RequestInHand {
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
            .expect("hyper does not poll a completed future");
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
