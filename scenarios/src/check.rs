//! Checks: what a story expects, parsed from one line each, typed, with every name resolved.
//!
//! The grammar is read whole by `syntax`; `resolve` gives units and subjects, and refuses what does not fit in the
//! words of the language's error table. What is typed here the judge only has to compute.

mod figures;
pub(crate) mod names;
pub(crate) mod resolve;
pub(crate) mod syntax;

use std::fmt;
use std::time::Duration;

use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_yaml::Place as FilePlace;

use crate::value::{Ratio, Share, Unit};

/// A check of a story.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The name; the check itself if it has none.
    pub name: String,
    /// Has a name of its own.
    pub named: bool,
    /// As written.
    pub text: String,
    /// The place in the file.
    pub place: FilePlace,
    /// The quantifier over the run.
    pub temporal: Temporal,
    /// The comparison.
    pub left: Expression,
    /// The operator.
    pub relation: Relation,
    /// With what.
    pub right: Expression,
    /// The unit of both sides.
    pub unit: Unit,
    /// Compares values at instants (else over windows).
    pub instants: bool,
    /// Length of the slices of a temporal operator.
    pub per: Option<Duration>,
    /// The window of all metrics that have none of their own.
    pub window: Window,
    /// Judged over many seeds, and how.
    pub seeds: Option<Seeds>,
}

impl Check {
    /// Returns true if only a sweep can judge it.
    pub const fn over_seeds(&self) -> bool {
        self.seeds.is_some()
    }
}

/// A temporal word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporal {
    /// None: computed once over the window.
    Once,
    /// In every slice, at every instant.
    Always,
    /// In no slice, at no instant.
    Never,
    /// In a slice, at an instant.
    Eventually,
    /// From a slice or instant before the deadline, to the end.
    Recovers,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// By order.
    Compare(Op),
    /// `~= X within S`: no further from X than this share of it.
    Near(Share),
}

/// A comparison.
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
    /// `over seeds`: by the mean and its interval.
    Over,
    /// `in >= 99% of seeds`: by the share in which it holds.
    In {
        /// `>=` or `<=`.
        op: Op,
        /// Of the seeds.
        share: Share,
    },
}

/// A side of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A quantity, in its unit's base.
    Constant(Ratio),
    /// A measured figure.
    Metric(Box<Metric>),
    /// Arithmetic.
    Binary(Arithmetic, Box<Expression>, Box<Expression>),
}

/// An operation on two values.
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
    /// The figure.
    pub figure: Figure,
    /// Of whom.
    pub subject: Subject,
    /// Only of requests that meet these (for a share: these of all).
    pub conditions: Vec<Condition>,
    /// The window of the metric alone.
    pub window: Option<Window>,
    /// As written.
    pub text: String,
}

/// A figure of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// ok / all.
    Success,
    /// 100% less success.
    Errors,
    /// Requests that meet the conditions.
    Count,
    /// Their share.
    Share,
    /// Clocks started per second.
    Offered,
    /// Answers per second.
    Rate,
    /// Ok answers per second, before the caller's timeout.
    Goodput,
    /// A statistic of a measure.
    Statistic(Measure, Statistic),
    /// Tries sent, by app or mesh.
    Attempts,
    /// Without the first ones.
    Retries,
    /// Tries sent while another was open.
    Hedges,
    /// Attempts per request.
    Amplification,
    /// Worker (or core) time in use over time.
    Busy,
    /// The number of events of a kind.
    Events(Happening),
    /// The number of packets, requests, connections or pods that a chaos item touched.
    Hits,
    /// A value at an instant, or its reduction over the window.
    Gauge(Gauge, Option<Reduction>),
}

/// A kind of event that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A pod was gone of a sudden.
    Crash,
    /// A pod that had crashed was ready again.
    Restart,
    /// A configuration was made (of the control plane), or put in force by a proxy (of services).
    Push,
    /// A proxy refused a resource.
    Nack,
    /// The control plane refused a document.
    Refusal,
    /// A proxy took a pod out.
    Ejection,
}

/// A measure of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// By the subject's clock.
    Latency,
    /// From the actual send.
    Uncorrected,
    /// From the intended to the actual send.
    SendLag,
    /// In the app's queue.
    QueueWait,
    /// At the app, less its wait.
    ServiceTime,
    /// Until a call had a place among its caller's (`pool`), before its clock starts.
    PoolWait,
    /// In the caller's proxy, while no try had a connection.
    ProxyTime,
}

/// A statistic of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Exact mean.
    Mean,
    /// Exact minimum.
    Min,
    /// Exact maximum.
    Max,
    /// Percentile, in parts per million.
    Percentile(u32),
}

/// A value at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Requests begun and not ended.
    InFlight,
    /// Requests in the app's queue.
    Queued,
    /// Pods that are there, ready or not.
    Replicas,
    /// Pods that are ready.
    Ready,
    /// The phase of a canary.
    Canary,
    /// The share of a version that is in force at the control plane.
    Weight,
    /// Pods that a proxy or more has taken out.
    Ejected,
    /// The state of a circuit breaker: open if it is at its limit at any of the caller's proxies.
    Breaker,
}

/// A gauge over a window, time-weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The mean.
    Mean,
    /// The largest.
    Max,
    /// The least.
    Min,
}

/// The subject of a figure. Parties are indices into the cast: services in the story's order, then loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A load, or an entry of its mix.
    Load(Party),
    /// A service, or a part of it.
    Service(Party),
    /// The control plane.
    Control,
    /// A chaos item.
    Fault(String),
    /// Calls from one to the other.
    Edge {
        /// The caller.
        from: Party,
        /// The callee.
        to: Party,
        /// Routes decide which calls of the caller go to it.
        routed: bool,
    },
}

/// A party or a part of it; each `None` narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Index of the party; `None`: any.
    pub party: Option<u16>,
    /// Entry of a load's mix.
    pub entry: Option<u16>,
    /// Index of the version.
    pub version: Option<u16>,
    /// The replica.
    pub replica: Option<u32>,
    /// Index of the endpoint.
    pub endpoint: Option<u16>,
    /// Index of the zone.
    pub zone: Option<u16>,
}

impl Party {
    /// Names single replicas or versions: an edge to it is made of attempts.
    pub const fn is_part(&self) -> bool {
        self.version.is_some() || self.replica.is_some() || self.zone.is_some()
    }
}

/// A condition on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Must not be met.
    pub not: bool,
    /// The test.
    pub test: Test,
}

/// A test of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// A success.
    Ok,
    /// Not answered in time.
    Timeout,
    /// Never sent.
    Dropped,
    /// More than the first try.
    Retried,
    /// Sent while another try was open.
    Hedged,
    /// Without TLS.
    Plaintext,
    /// A measure compared with a duration in ns.
    Measure(Measure, Op, i64),
    /// The status is within.
    Status(u16, u16),
    /// gRPC's status is this.
    Grpc(GrpcStatus),
    /// The proxy set this flag.
    Flag(ResponseFlags),
    /// A descendant reached it.
    Via(Party),
    /// Sent by it.
    From(Party),
    /// Sent to this part of the callee: only of attempts.
    To(Party),
}

/// A stretch of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The start.
    pub from: Point,
    /// The end.
    pub to: Point,
    /// Written with `within`: its end is the deadline of `recovers`.
    pub within: bool,
}

impl Window {
    /// From the warm-up to the end.
    pub const WHOLE: Window = Window {
        from: Point {
            base: Base::WarmUp,
            offset_ns: 0,
        },
        to: Point {
            base: Base::End,
            offset_ns: 0,
        },
        within: false,
    };
}

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// From where.
    pub base: Base,
    /// The offset, ns.
    pub offset_ns: i64,
}

/// The origin of a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// 0 s.
    Zero,
    /// The end of the warm-up.
    WarmUp,
    /// The end of load and chaos.
    End,
    /// The first start of a chaos item.
    StartOf(String),
    /// The last end of a chaos item.
    EndOf(String),
}
