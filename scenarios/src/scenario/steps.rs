//! The steps of endpoints and their calls.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_types::GrpcStatus;

use super::draw::{Draw, DrawId};
use super::ids::{Callee, EndpointId};
use crate::value::Share;

/// The time of a `work` or `sleep` step.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    pub time: Draw,
    pub drawn: Drawn,
}

/// The frequency at which a step's time is drawn.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drawn {
    /// Once per attempt: the slowness belongs to the replica.
    Attempt,
    /// Once for all retries and hedges of a call: the slowness belongs to the request.
    Request,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Occupies a core for that time.
    Work(Timed),
    /// Waits without a core.
    Sleep(Timed),
    Call(Box<Call>),
    /// Runs all branches concurrently and waits for all.
    Parallel(Vec<Vec<Step>>),
    Sequence(Vec<Step>),
    /// Ends the request with a given probability.
    Fail {
        rate: Share,
        with: StepFailure,
        /// The source location whose random stream draws the outcome.
        draw_id: DrawId,
    },
    /// Ends the request with a response.
    Respond {
        status: StepStatus,
        /// The size of the body in bytes.
        size: u64,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

impl Step {
    /// Returns true if `is` returns true for this step or a step within it.
    pub fn any(&self, is: &impl Fn(&Step) -> bool) -> bool {
        let any = |steps: &Vec<Step>| steps.iter().any(|step| step.any(is));
        is(self)
            || match self {
                Step::Parallel(branches) => branches.iter().any(any),
                Step::Sequence(steps) => any(steps),
                _ => false,
            }
    }
}

/// An HTTP or gRPC status. For a peer of the other protocol the status is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    Http(StatusCode),
    Grpc(GrpcStatus),
}

impl std::fmt::Display for StepStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StepStatus::Http(status) => write!(f, "{}", status.as_u16()),
            StepStatus::Grpc(status) => write!(f, "{status}"),
        }
    }
}

/// Statuses that a caller counts as success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// Inclusive ranges of HTTP statuses.
    pub http: Vec<(u16, u16)>,
    pub grpc: Vec<GrpcStatus>,
}

impl Success {
    /// Returns true if a response is a success. If the response has a gRPC status, only that status decides.
    pub fn holds(&self, status: u16, grpc: Option<GrpcStatus>) -> bool {
        match grpc {
            Some(grpc) => self.grpc.contains(&grpc),
            None => self
                .http
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&status)),
        }
    }
}

impl Default for Success {
    /// HTTP 200 to 399 and gRPC OK.
    fn default() -> Success {
        Success {
            http: vec![(200, 399)],
            grpc: vec![GrpcStatus::Ok],
        }
    }
}

/// The failure of a request at a step or a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepFailure {
    /// A response with this status.
    Status(StepStatus),
    /// A reset of the stream or connection.
    Reset,
    /// No response at all.
    Hang,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub callee: Callee,
    /// The callee's endpoint. `None` if only a service that routes lead to declares the endpoint.
    pub endpoint: Option<EndpointId>,
    pub method: Method,
    pub path: String,
    /// The probability that the call is made at all.
    pub probability: Share,
    /// The number of sequential repetitions, drawn as a count.
    pub times: Draw,
    /// The number of concurrent calls, drawn as a count.
    pub fan_out: Draw,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The size of the request body in bytes.
    pub size: u64,
    /// The timeout of one attempt.
    pub timeout: Option<AttemptBound>,
    /// The timeout of all attempts together.
    pub deadline: Option<Duration>,
    /// The app's own retries.
    pub retries: Option<AppRetries>,
    /// The app's own hedging.
    pub hedge: Option<AppHedge>,
    /// The limit of concurrent calls from a replica to this service.
    pub pool: Option<CallConcurrency>,
    /// The effect of a failed call.
    pub on_error: OnError,
    /// The source location whose random stream draws `probability`.
    pub draw_id: DrawId,
}

/// The timeout of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptBound {
    Span(Duration),
    /// The remaining time of the deadline that the endpoint's own caller sent. No timeout if the caller sent none.
    Rest,
}

/// Retries by an app or a load's client, in addition to those of the mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRetries {
    /// The maximum number of retries.
    pub times: u32,
    /// True if a 5xx response is retried.
    pub on_5xx: bool,
    /// True if a connection failure or a reset is retried.
    pub on_reset: bool,
    /// True if the timeout of an attempt is retried.
    pub on_timeout: bool,
    /// The wait before the first retry. Doubles for each further one.
    pub backoff: Duration,
    pub max_backoff: Duration,
    /// True if each wait is drawn uniformly between zero and the backoff.
    pub full_jitter: bool,
    /// The maximum share of retries among the first attempts of the last 10 s, per caller process.
    pub budget: Option<Share>,
    /// The source location whose random stream draws jitter.
    pub draw_id: DrawId,
}

/// Attempts beside one that is slow to respond. The first response is used, the other attempts are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppHedge {
    /// The time without a response after which another attempt is sent.
    pub after: Duration,
    /// The maximum number of additional attempts.
    pub times: u32,
}

/// The limit of concurrent calls from one replica to one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallConcurrency {
    pub size: u32,
    /// The maximum wait of a call for a slot; `None`: no bound.
    pub wait: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Fails the endpoint with 504 if the call timed out, else with 502.
    Fail,
    /// Runs the next step.
    Ignore,
}
