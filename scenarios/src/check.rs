//! Checks: the expectations of a scenario, each parsed from one line and typed, with all names resolved.
//!
//! `syntax` parses the complete grammar. `resolve` determines units and subjects and refuses invalid combinations, with
//! the messages in the language's error table. The judge only has to compute the resulting checks.

mod figures;
pub(crate) mod names;
pub(crate) mod resolve;
pub(crate) mod syntax;

use std::fmt;
use std::time::Duration;

use shakedown_results::ParticipantId;
use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_yaml::Location as FilePlace;

use crate::value::{Ratio, Share, Unit};

#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The name; the text of the check if none is given.
    pub name: String,
    /// True if the check has a name of its own.
    pub named: bool,
    pub text: String,
    pub place: FilePlace,
    pub temporal: Temporal,
    /// The left side of the comparison.
    pub left: Expression,
    pub relation: Relation,
    /// The right side of the comparison.
    pub right: Expression,
    pub unit: Unit,
    /// True if the check compares values at instants, false if over windows.
    pub instants: bool,
    /// The length of the slices for the temporal word.
    pub per: Option<Duration>,
    /// The window of all metrics that have none of their own.
    pub window: Window,
    /// The rule for a sweep; `None` if each seed is judged on its own.
    pub seeds: Option<Seeds>,
}

impl Check {
    /// Returns true if only a sweep can judge the check.
    pub const fn over_seeds(&self) -> bool {
        self.seeds.is_some()
    }
}

/// The temporal word of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporal {
    /// No temporal word: computed once over the window.
    Once,
    /// In every slice or at every instant.
    Always,
    /// In no slice or at no instant.
    Never,
    /// In at least one slice or at one instant.
    Eventually,
    /// From a slice or instant before the deadline until the end.
    Recovers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A comparison by order or equality.
    Compare(Op),
    /// `~= X within S`: the distance from X is at most this share of X.
    Near(Share),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Differs,
}

impl Op {
    /// Returns true if `left op right`.
    pub fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Op::Less => left < right,
            Op::AtMost => left <= right,
            Op::More => left > right,
            Op::AtLeast => left >= right,
            Op::Equal => left == right,
            Op::Differs => left != right,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::More => ">",
            Op::AtLeast => ">=",
            Op::Equal => "==",
            Op::Differs => "!=",
        })
    }
}

/// The rule by which a sweep judges a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// `over seeds`: by the mean over seeds and its confidence interval.
    Over,
    /// `in >= 99% of seeds`: by the share of seeds that pass.
    In {
        /// `>=` or `<=`.
        op: Op,
        /// The required share of seeds.
        share: Share,
    },
}

/// A side of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A quantity in its unit's base.
    Constant(Ratio),
    Metric(Box<Metric>),
    Binary(Arithmetic, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// A figure of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub figure: Figure,
    pub subject: Subject,
    /// Restricts the figure to requests that meet all conditions. For `share`, the numerator only.
    pub conditions: Vec<Condition>,
    /// The metric's own window.
    pub window: Option<Window>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The share of requests that succeeded.
    Success,
    /// The share of requests that did not succeed: 100% minus [`Figure::Success`].
    Errors,
    /// The number of requests that meet the conditions.
    Count,
    /// The share of requests that meet the conditions.
    Share,
    /// Requests begun per second.
    Offered,
    /// Responses per second.
    Rate,
    /// Successful responses per second within the caller's timeout.
    Goodput,
    /// A statistic of a measure.
    Statistic(RequestMeasure, Statistic),
    /// Attempts sent by the app or the mesh.
    Attempts,
    /// Attempts after the first.
    Retries,
    /// Attempts sent while another one was open.
    Hedges,
    /// Attempts per request.
    Amplification,
    /// The share of time in which workers (or cores) were in use.
    Busy,
    /// The number of events of a kind.
    Events(Happening),
    /// The number of packets, requests, connections or pods that a chaos item affected.
    Hits,
    /// A value at an instant, or its reduction over the window.
    Gauge(Gauge, Option<Reduction>),
}

/// A kind of event that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A pod crashed.
    Crash,
    /// A crashed pod became ready again.
    Restart,
    /// The control plane built a configuration (subject `control`), or a proxy put one in force (subject a service).
    Push,
    /// A proxy refused a resource.
    Nack,
    /// The control plane refused a document.
    Refusal,
    /// A proxy ejected a pod.
    Ejection,
}

/// A measure of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestMeasure {
    /// Latency by the subject's clock.
    Latency,
    /// Latency from the actual send.
    Uncorrected,
    /// The time from the intended to the actual send.
    SendLag,
    /// The time in the app's queue.
    QueueWait,
    /// The time at the app, without the wait in its queue.
    ServiceTime,
    /// The wait of a call for a slot in its caller's `pool`, before the clock of the edge starts.
    PoolWait,
    /// The time in the caller's proxy during which no attempt had a connection.
    ProxyTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    Min,
    Max,
    /// A percentile, in parts per million.
    Percentile(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Requests begun and not ended.
    InFlight,
    /// Requests in the app's queue.
    Queued,
    /// Pods that exist, ready or not.
    Replicas,
    Ready,
    /// The phase of a canary.
    Canary,
    /// The share of a version that is in force at the control plane.
    Weight,
    /// Pods that are ejected by at least one proxy.
    Ejected,
    /// The state of a circuit breaker. Open if it is at its limit at any of the caller's proxies.
    Breaker,
}

/// The time-weighted reduction of a gauge over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    Mean,
    Max,
    Min,
}

/// The subject of a figure. Services and loads are indices into the run's participants: services in file order, then
/// loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A load, or an entry of its mix.
    Load(ParticipantSelector),
    /// A service, or a part of it.
    Service(ParticipantSelector),
    Control,
    /// A chaos item, by name.
    Fault(String),
    /// Calls from a caller to a callee.
    Edge {
        from: ParticipantSelector,
        to: ParticipantSelector,
        /// True if routes decide which of the caller's calls reach the callee.
        routed: bool,
    },
}

/// A service or load, or a part of it. `None` means no restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantSelector {
    pub participant: Option<ParticipantId>,
    /// Index of an entry of the load's mix.
    pub entry: Option<u16>,
    /// Index of the version.
    pub version: Option<u16>,
    pub replica: Option<u32>,
    /// Index of the endpoint.
    pub endpoint: Option<u16>,
    /// Index of the zone.
    pub zone: Option<u16>,
}

impl ParticipantSelector {
    /// Returns true if this names a version, replica or zone. An edge to such a part consists of attempts instead of
    /// calls.
    pub const fn is_part(&self) -> bool {
        self.version.is_some() || self.replica.is_some() || self.zone.is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// True if the test must fail.
    pub not: bool,
    pub test: Test,
}

/// A test of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Ok,
    /// Not answered in time.
    Timeout,
    /// Never sent.
    Dropped,
    /// Has at least one retry. For an attempt: is not the first.
    Retried,
    /// Sent while another attempt was open.
    Hedged,
    /// Sent without TLS.
    Plaintext,
    /// Compares a measure with a duration in ns.
    Measure(RequestMeasure, Op, i64),
    /// The HTTP status is within this inclusive range.
    Status(u16, u16),
    /// The gRPC status equals this one.
    Grpc(GrpcStatus),
    /// A proxy set this response flag.
    Flag(ResponseFlags),
    /// A descendant of the request reached this service or part.
    Via(ParticipantSelector),
    /// Sent by this service, load or part.
    From(ParticipantSelector),
    /// Sent to this part of the callee. Applies to attempts only.
    To(ParticipantSelector),
}

/// A time window of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: TimePoint,
    pub to: TimePoint,
    /// True if written with `within`. The end is then the deadline of `recovers`.
    pub within: bool,
}

impl Window {
    /// From the end of the warm-up to the end of load and chaos.
    pub const WHOLE: Window = Window {
        from: TimePoint {
            base: Base::WarmUp,
            offset_ns: 0,
        },
        to: TimePoint {
            base: Base::End,
            offset_ns: 0,
        },
        within: false,
    };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePoint {
    pub base: Base,
    /// The offset from the base, ns.
    pub offset_ns: i64,
}

/// The origin of a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Zero,
    WarmUp,
    /// The end of load and chaos.
    End,
    /// The first start of a chaos item.
    StartOf(String),
    /// The last end of a chaos item.
    EndOf(String),
}
