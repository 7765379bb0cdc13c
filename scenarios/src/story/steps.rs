//! Steps of endpoints, and the calls among them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use shakedown_types::GrpcStatus;

use super::{Draw, Place};
use crate::value::Share;

/// A time that a step takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The duration.
    pub time: Draw,
    /// The frequency of draws.
    pub drawn: Drawn,
}

/// The frequency at which a step's time is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// By each attempt: the slowness is the replica's.
    Attempt,
    /// Once for all retries and hedges of one call: the slowness is the request's.
    Request,
}

/// A step of an endpoint.
#[derive(Clone, Debug)]
pub enum Step {
    /// Takes a core that long.
    Work(Timed),
    /// Waits, without a core.
    Sleep(Timed),
    /// Calls another service.
    Call(Box<Call>),
    /// Runs all branches at once and waits for all.
    Parallel(Vec<Vec<Step>>),
    /// Runs steps in order.
    Sequence(Vec<Step>),
    /// Ends here with that chance.
    Fail {
        /// The chance.
        rate: Share,
        /// With what.
        with: Failure,
        /// The place of the random stream for the chance.
        place: Place,
    },
    /// Ends here.
    Respond {
        /// The status.
        status: Status,
        /// Bytes of body.
        size: u64,
        /// Response headers.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

impl Step {
    /// Returns true if this or a step within it is of a kind.
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

/// A status, of HTTP or of gRPC. To a peer of the other protocol it is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Of HTTP.
    Http(StatusCode),
    /// Of gRPC.
    Grpc(GrpcStatus),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Http(status) => write!(f, "{}", status.as_u16()),
            Status::Grpc(status) => write!(f, "{status}"),
        }
    }
}

/// Statuses that a caller counts as success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// Of HTTP: inclusive ranges.
    pub http: Vec<(u16, u16)>,
    /// Of gRPC.
    pub grpc: Vec<GrpcStatus>,
}

impl Success {
    /// Returns true if an answer is a success; a status of gRPC decides, if there is one.
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
    /// 200 to 399; OK.
    fn default() -> Success {
        Success {
            http: vec![(200, 399)],
            grpc: vec![GrpcStatus::Ok],
        }
    }
}

/// The failure of a request by a step or a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With a status.
    Status(Status),
    /// With a RST.
    Reset,
    /// By never answering.
    Hang,
}

/// A call to another service.
#[derive(Clone, Debug)]
pub struct Call {
    /// Index into [`Story::services`](super::Story::services); past them, into [`Story::hosts`](super::Story::hosts).
    pub service: usize,
    /// Index into that service's endpoints; `None` if only another service has it, to which routes lead.
    pub endpoint: Option<usize>,
    /// The method.
    pub method: Method,
    /// The path asked for.
    pub path: String,
    /// The chance that it is made at all.
    pub probability: Share,
    /// The number of repetitions, in order; drawn as a count.
    pub times: Draw,
    /// The number at once; drawn as a count.
    pub fan_out: Draw,
    /// Request headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Bytes of request body.
    pub size: u64,
    /// Bound of a try.
    pub timeout: Option<Bound>,
    /// Bound of all tries together.
    pub deadline: Option<Duration>,
    /// Tries after the first, by the app itself.
    pub retries: Option<Retries>,
    /// Tries beside one that is slow to answer, by the app itself.
    pub hedge: Option<Hedge>,
    /// The maximum number of calls in flight from a replica to this service.
    pub pool: Option<Seats>,
    /// The effect of a failure.
    pub on_error: OnError,
    /// The place of the random stream for the chance.
    pub place: Place,
}

/// The bound of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So long.
    Span(Duration),
    /// The rest of the deadline of the caller's own caller; none if that one has none.
    Rest,
}

/// Tries after the first, by an app or a load's client, in addition to the mesh's.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// The maximum number.
    pub times: u32,
    /// After a 5xx answer.
    pub on_5xx: bool,
    /// After a connection failure or a RST.
    pub on_reset: bool,
    /// After a try's timeout.
    pub on_timeout: bool,
    /// Wait before the first retry; it doubles.
    pub backoff: Duration,
    /// The maximum backoff.
    pub max_backoff: Duration,
    /// The wait is drawn uniformly between zero and itself.
    pub full_jitter: bool,
    /// Retries as a share of the first tries of the last 10 s, per caller process.
    pub budget: Option<Share>,
    /// The place of the random stream for jitter.
    pub place: Place,
}

/// Tries beside one that is slow to answer: the first answer is taken, the others are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// The time without an answer after which another try is sent.
    pub after: Duration,
    /// The maximum number.
    pub times: u32,
}

/// Calls of one replica to one service, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    /// The number.
    pub size: u32,
    /// The maximum wait of a call; `None`: without a bound.
    pub wait: Option<Duration>,
}

/// The effect of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Ends the endpoint: 504 if it timed out, else 502.
    Fail,
    /// Continues.
    Ignore,
}
