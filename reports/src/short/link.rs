//! A sentence of the summary, and its place in the order of causes.

pub(super) const SECOND_NS: i64 = 1_000_000_000;

/// The kind of an event, in causal order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LinkKind {
    Fault,
    /// A refused document or resource.
    Refused,
    /// Requests waited in a queue.
    Queue,
    Failures,
    /// Requests took much longer than usual.
    Slow,
    /// Retries after failed attempts.
    Retries,
    /// Pods ejected, and detections that could not eject.
    Ejections,
    /// Circuit breakers at their limit.
    Breakers,
    Rollout,
}

/// A sentence of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainLink {
    pub(crate) kind: LinkKind,
    pub(crate) from_ns: i64,
    /// End of the interval, ns from 0 s; `None` for an instant.
    pub(crate) to_ns: Option<i64>,
    /// The object of the event.
    pub(crate) subject: String,
    /// Description of the event.
    pub(crate) words: String,
    /// Severity among events of the same kind.
    pub(super) weight: u64,
}
