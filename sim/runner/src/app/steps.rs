//! Executes the steps of an endpoint in order.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use shakedown_env::Time;
use shakedown_loadgen::{CallRetryPolicy, CallSpec, index_of};
use shakedown_results::{Answer, Outcome};
use shakedown_scenarios::scenario::{
    AttemptBound, Call, OnError, Step, StepFailure, StepStatus, Timed,
};
use shakedown_types::GrpcStatus;
use shakedown_wire::Body;

use super::carried::Carried;
use super::concurrency::LimitReached;
use super::cores::NoCore;
use super::state::App;
use super::visit::VisitGuard;

/// An end of an endpoint before its last step.
#[derive(Clone, Copy, Debug)]
pub(super) enum EarlyEnd<'a> {
    /// A response.
    Respond {
        status: StepStatus,
        size: u64,
        headers: &'a [(HeaderName, HeaderValue)],
    },
    Fail(StepFailure),
    /// Rejected by the full queue for a core.
    Refuse,
    /// Dropped from the queue for a core.
    Shed,
}

pub(super) type StepFlow<'a> = ControlFlow<EarlyEnd<'a>>;

/// A request in progress, with the headers that its calls may copy.
pub(super) struct StepContext<'a> {
    pub(super) app: &'a App,
    pub(super) visit: &'a VisitGuard,
    pub(super) carried: &'a Carried,
}

impl<'a> StepContext<'a> {
    /// Executes a list of steps in order.
    pub(super) async fn run(&self, steps: &'a [Step]) -> StepFlow<'a> {
        for step in steps {
            self.step(step).await?;
        }
        StepFlow::Continue(())
    }

    async fn step(&self, step: &'a Step) -> StepFlow<'a> {
        match step {
            Step::Work(timed) => {
                let draws = &self.app.draws;
                let injected_faults = &self.app.role.injected_faults;
                let span = || injected_faults.stretch(self.time(timed), |draw| draws.span(draw));
                match self.app.cores.work(span, self.visit).await {
                    Ok(()) => StepFlow::Continue(()),
                    Err(NoCore::Full) => StepFlow::Break(EarlyEnd::Refuse),
                    Err(NoCore::Shed) => StepFlow::Break(EarlyEnd::Shed),
                }
            }
            Step::Sleep(timed) => {
                self.app.env.sleep(self.time(timed)).await;
                StepFlow::Continue(())
            }
            // Boxed, so that a request that waits for a core needs no space for a call's state.
            Step::Call(call) => Box::pin(self.call(call)).await,
            Step::Parallel(branches) => {
                let branches = branches.iter().map(|branch| self.nested(branch));
                first_break(join_all(branches).await)
            }
            Step::Sequence(steps) => self.nested(steps).await,
            Step::Fail {
                rate,
                with,
                draw_id,
            } => {
                if self.app.draws.chance(*draw_id, *rate) {
                    return StepFlow::Break(EarlyEnd::Fail(*with));
                }
                StepFlow::Continue(())
            }
            Step::Respond {
                status,
                size,
                headers,
            } => StepFlow::Break(EarlyEnd::Respond {
                status: *status,
                size: *size,
                headers,
            }),
        }
    }

    /// Executes steps nested in a step. Boxed because the future is recursive.
    fn nested<'b>(&'b self, steps: &'a [Step]) -> Pin<Box<dyn Future<Output = StepFlow<'a>> + 'b>> {
        Box::pin(self.run(steps))
    }

    async fn call(&self, call: &'a Call) -> StepFlow<'a> {
        let draws = &self.app.draws;
        if !draws.chance(call.draw_id, call.probability) {
            return StepFlow::Continue(());
        }
        for _ in 0..draws.count(&call.times) {
            let fan_out = draws.count(&call.fan_out);
            if fan_out == 1 {
                verdict(call, self.make(call).await)?;
                continue;
            }
            let calls = (0..fan_out).map(|_| self.make(call));
            let flows = join_all(calls)
                .await
                .into_iter()
                .map(|outcome| verdict(call, outcome));
            first_break(flows)?;
        }
        StepFlow::Continue(())
    }

    fn time(&self, timed: &Timed) -> Duration {
        self.carried
            .with_call(|call| self.app.draws.time(timed, call))
    }

    /// Makes a call, including its retries and hedges.
    async fn make(&self, call: &'a Call) -> Outcome {
        let app = self.app;
        let begun = app.env.now();
        let own = call.deadline.map(|deadline| begun + deadline);
        let (timeout, callers) = match call.timeout {
            Some(AttemptBound::Span(timeout)) => (Some(timeout), None),
            Some(AttemptBound::Rest) => (None, self.visit.deadline()),
            None => (None, None),
        };
        let deadline: Option<Time> = [own, callers].into_iter().flatten().min();
        let mut spec = CallSpec {
            root: self.visit.root(),
            to: app.context.scenario.participant(call.callee),
            endpoint: index_of(call.endpoint),
            target: app.context.target(call.callee),
            timeout,
            waited: Duration::ZERO,
            deadline,
            // A call without a bound may last until the end of the run.
            end: app.context.last_deadline(),
            sends_timeout: app.context.passes_deadlines,
            retries: call.retries.as_ref().map(|retries| CallRetryPolicy {
                retries,
                path: app.context.path(retries.draw_id),
            }),
            hedge: call.hedge,
            tries_apart: false,
            ok: &app.context.success,
        };
        let _guard = match call.pool {
            None => None,
            Some(concurrency) => {
                let permit = app
                    .limits
                    .take(&app.env, call.callee, concurrency, deadline)
                    .await;
                spec.waited = app.env.now().since(begun);
                match permit {
                    Ok(guard) => Some(guard),
                    Err(why) => return self.turn_away(spec, limit_reached(why)),
                }
            }
        };
        if deadline.is_some_and(|deadline| deadline <= app.env.now()) {
            return self.turn_away(spec, Outcome::none(Answer::Timeout));
        }
        let tries = Cell::new(0);
        app.caller.call(spec, &tries, || self.request(call)).await
    }

    /// Records a call that is never sent.
    fn turn_away(&self, spec: CallSpec<'_>, outcome: Outcome) -> Outcome {
        self.app.caller.turn_away(spec, outcome);
        outcome
    }

    fn request(&self, call: &Call) -> Request<Body> {
        let protocol = self.app.context.target(call.callee).protocol;
        let mut request = Request::new(Body::full(self.app.message(protocol, call.size)));
        *request.method_mut() = call.method.clone();
        // The scenario's reader validates paths. A path that hyper still rejects fails the call.
        *request.uri_mut() = Uri::try_from(call.path.as_str()).unwrap_or_default();
        let headers = request.headers_mut();
        headers.reserve(8);
        self.carried.copy_to(headers, &self.app.forwarded);
        for (name, value) in &call.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

/// Maps the result of a call to the failure of its endpoint: 504 or DEADLINE_EXCEEDED for a timeout, else 502
/// or UNAVAILABLE.
fn verdict<'a>(call: &Call, outcome: Outcome) -> StepFlow<'a> {
    match (outcome.answer, call.on_error) {
        (Answer::Ok, _) | (_, OnError::Ignore) => StepFlow::Continue(()),
        (Answer::Timeout, OnError::Fail) => {
            StepFlow::Break(status(StepStatus::Grpc(GrpcStatus::DeadlineExceeded)))
        }
        (_, OnError::Fail) => StepFlow::Break(status(StepStatus::Http(StatusCode::BAD_GATEWAY))),
    }
}

/// The outcome of a call that was never sent.
const fn limit_reached(why: LimitReached) -> Outcome {
    let answer = match why {
        LimitReached::Waited => Answer::Error,
        LimitReached::Deadline => Answer::Timeout,
    };
    Outcome::none(answer)
}

const fn status<'a>(status: StepStatus) -> EarlyEnd<'a> {
    EarlyEnd::Respond {
        status,
        size: 0,
        headers: &[],
    }
}

fn first_break<'a>(flows: impl IntoIterator<Item = StepFlow<'a>>) -> StepFlow<'a> {
    flows
        .into_iter()
        .find(ControlFlow::is_break)
        .unwrap_or(StepFlow::Continue(()))
}
