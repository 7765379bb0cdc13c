//! The events that a metric counts: classes, conditions and measures.

use shakedown_results::{Answer, Event, PodId, Record, Root};

use super::super::board::{CountChange, PodBoard};
use super::super::fact::{Class, RequestFacts};
use crate::check::{
    Condition, Figure, Happening, Metric, ParticipantSelector, RequestMeasure, Subject, Test,
};

/// The classes of events that form the total and that may count.
pub(super) fn classes(metric: &Metric) -> (Option<Class>, Option<Class>) {
    let flag = metric
        .conditions
        .iter()
        .any(|condition| matches!(condition.test, Test::Flag(_)));
    let to_part = |condition: &Condition| matches!(condition.test, Test::To(_));
    let of_attempts = metric.conditions.iter().any(to_part);
    let base = match &metric.subject {
        Subject::Edge { .. } if of_attempts => Class::Attempt,
        Subject::Load(_) => Class::Load,
        Subject::Service(_) => Class::Service,
        Subject::Edge { to, .. } if to.is_part() => Class::Attempt,
        Subject::Edge { .. } => Class::Call,
        Subject::Control | Subject::Fault(_) => return (None, None),
    };
    let of_proxy = matches!(
        metric.figure,
        Figure::Statistic(RequestMeasure::ProxyTime, _)
    ) || metric
        .conditions
        .iter()
        .any(|condition| matches!(condition.test, Test::Measure(RequestMeasure::ProxyTime, ..)));
    // Only a proxy knows flags, but the caller or the app records the total.
    let hit = match base {
        Class::Service if flag => Class::Flagged,
        Class::Load | Class::Call if flag || of_proxy => Class::Proxied,
        _ => base,
    };
    match (metric.figure, &metric.subject) {
        (Figure::Gauge(..) | Figure::Busy | Figure::Events(_) | Figure::Hits, _) => (None, None),
        (Figure::Attempts | Figure::Retries | Figure::Hedges, _) => (None, Some(Class::Attempt)),
        (Figure::Amplification, _) => (Some(base), Some(Class::Attempt)),
        _ => (Some(base), Some(hit)),
    }
}

/// Returns true if an event belongs to the metric's subject.
pub(super) fn matches(
    metric: &Metric,
    class: Class,
    fact: &RequestFacts,
    board: &PodBoard,
) -> bool {
    let sent_by = |participant: &ParticipantSelector| {
        fact.from.is_some_and(|pod| board.sent_by(pod, participant))
    };
    let descends = |participant: &ParticipantSelector| {
        fact.root.is_some_and(|root| is_root_of(root, participant))
    };
    let arrives = |participant: &ParticipantSelector| {
        fact.to.is_some_and(|pod| board.is_of(pod, participant))
            && (participant.endpoint.is_none() || participant.endpoint == fact.endpoint)
    };
    match (&metric.subject, class) {
        (Subject::Load(participant), _) => sent_by(participant) && descends(participant),
        (Subject::Service(participant), _) => arrives(participant),
        (Subject::Control | Subject::Fault(_), _) => false,
        (Subject::Edge { from, .. }, Class::Load) => descends(from) && sent_by(from),
        (Subject::Edge { from, to, .. }, Class::Arrival) => {
            descends(from) && arrives(to) && !fact.copy
        }
        (Subject::Edge { from, to, .. }, _) => {
            let called = if to.is_part() {
                fact.to.is_some_and(|pod| board.is_of(pod, to))
            } else {
                fact.to_participant
                    .is_some_and(|participant| Some(participant) == to.participant)
            };
            called
                && (to.endpoint.is_none() || to.endpoint == fact.endpoint)
                && sent_by(from)
                && (from.entry.is_none() || descends(from))
        }
    }
}

pub(super) fn is_root_of(root: Root, participant: &ParticipantSelector) -> bool {
    participant.participant == Some(root.load)
        && participant.entry.is_none_or(|entry| entry == root.entry)
}

/// Returns true if a request meets a condition. `via` is decided in [`Via`](super::Via).
pub(super) fn holds(condition: &Condition, fact: &RequestFacts, board: &PodBoard) -> bool {
    let met = match &condition.test {
        Test::Via(_) => return true,
        Test::Ok => fact.is_ok(),
        Test::Timeout => fact.outcome.answer == Answer::Timeout,
        Test::Dropped => fact.outcome.answer == Answer::Dropped,
        Test::Retried => fact.number > 1,
        Test::Hedged => fact.hedge,
        Test::Plaintext => fact.plaintext,
        Test::Measure(measure, op, nanos) => {
            measured(*measure, fact).is_some_and(|value| op.holds(&value, nanos))
        }
        Test::Status(low, high) => (*low..=*high).contains(&fact.outcome.status),
        Test::Grpc(status) => fact.outcome.grpc == Some(*status),
        Test::Flag(flag) => fact.flags.contains(*flag),
        Test::To(participant) => fact.to.is_some_and(|pod| board.is_of(pod, participant)),
        Test::From(participant) => fact.from.is_some_and(|pod| board.sent_by(pod, participant)),
    };
    met != condition.not
}

/// The value of a measure; `None` for a dropped request.
pub(super) fn measured(measure: RequestMeasure, fact: &RequestFacts) -> Option<i64> {
    if fact.outcome.answer == Answer::Dropped {
        return None;
    }
    match measure {
        RequestMeasure::Latency => Some(fact.end_ns - fact.start_ns),
        RequestMeasure::Uncorrected => fact.sent_ns.map(|sent| fact.end_ns - sent),
        RequestMeasure::SendLag => fact.sent_ns.map(|sent| sent - fact.start_ns),
        RequestMeasure::QueueWait => fact.queue_wait_ns,
        RequestMeasure::PoolWait => fact.pool_wait_ns,
        RequestMeasure::ProxyTime => fact.proxy_ns,
        RequestMeasure::ServiceTime => fact
            .queue_wait_ns
            .map(|wait| fact.end_ns - fact.start_ns - wait),
    }
}

/// Returns true if an event is of the counted kind and belongs to the subject.
pub(super) fn happens(
    happening: Happening,
    subject: &Subject,
    record: &Record,
    change: Option<CountChange>,
    board: &PodBoard,
) -> bool {
    let is_of = |pod: &PodId| match subject {
        Subject::Service(participant) => board.is_of(*pod, participant),
        _ => false,
    };
    match (happening, &record.event) {
        (Happening::Crash, Event::Crashed { pod }) => is_of(pod),
        (Happening::Restart, Event::Ready { pod }) => {
            is_of(pod) && change.is_some_and(|change| change.restarted)
        }
        (Happening::Ejection, Event::Ejected { pod, .. }) => is_of(pod),
        (Happening::Push, Event::ConfigChanged { .. }) => *subject == Subject::Control,
        (Happening::Push, Event::ConfigInForce { pod, .. }) => is_of(pod),
        (Happening::Nack, Event::ConfigRefused { pod, .. }) => {
            *subject == Subject::Control || is_of(pod)
        }
        (Happening::Refusal, Event::DocumentRefused { document, .. }) => match subject {
            Subject::Fault(item) => board.applied_by(document, record.at_ns) == Some(item),
            subject => *subject == Subject::Control,
        },
        _ => false,
    }
}
