//! Gauges and `busy`: the changes of their values by events.

use shakedown_results::{Answer, Event, PodId, Record, Root};

use super::Leaf;
use super::counting::is_root_of;
use crate::check::{Figure, Gauge, ParticipantSelector, Subject};
use crate::judge::board::{CountChange, PodBoard};

impl Leaf {
    /// Sets the value of a gauge at the beginning of the run.
    pub(in crate::judge) fn begin(mut self, board: &PodBoard) -> Leaf {
        if let Figure::Gauge(gauge, _) = self.metric.figure {
            self.value = match (gauge, &self.metric.subject) {
                (Gauge::Replicas, Subject::Service(participant)) => board.pods_of(participant).0,
                (Gauge::Ready, Subject::Service(participant)) => board.pods_of(participant).1,
                _ => self.current(board).unwrap_or(0),
            };
        }
        self
    }

    /// The value of a gauge that the board maintains. `None` for gauges that are updated change by change.
    fn current(&self, board: &PodBoard) -> Option<i64> {
        let Figure::Gauge(gauge, _) = self.metric.figure else {
            return None;
        };
        Some(match (gauge, &self.metric.subject) {
            (Gauge::Canary, Subject::Service(participant)) => board.canary(participant),
            (Gauge::Weight, Subject::Service(participant)) => board.weight(participant),
            (Gauge::Ejected, Subject::Service(participant)) => {
                board.outage().ejected(participant, None, board)
            }
            (Gauge::Ejected, Subject::Edge { from, to, .. }) => {
                board.outage().ejected(to, Some(from), board)
            }
            (Gauge::Breaker, Subject::Edge { from, to, .. }) => {
                board.outage().breaker(from, to, board)
            }
            _ => return None,
        })
    }

    /// The change of the tracked value by an event.
    pub(in crate::judge) fn delta(
        &self,
        record: &Record,
        change: Option<CountChange>,
        board: &PodBoard,
    ) -> i64 {
        match (self.metric.figure, &self.metric.subject) {
            (Figure::Busy, Subject::Service(participant)) => change.map_or(0, |change| {
                let counts =
                    board.is_of(change.pod, participant) && board.limits(change.pod).0.is_some();
                if counts {
                    change.present - change.waiting
                } else {
                    0
                }
            }),
            (Figure::Gauge(Gauge::Queued, _), Subject::Service(participant))
                if participant.endpoint.is_some() =>
            {
                queued(&record.event, participant, board)
            }
            (Figure::Gauge(Gauge::Queued, _), Subject::Service(participant)) => change
                .filter(|change| board.is_of(change.pod, participant))
                .map_or(0, |change| change.waiting),
            (
                Figure::Gauge(gauge @ (Gauge::Replicas | Gauge::Ready), _),
                Subject::Service(participant),
            ) => change
                .filter(|change| board.is_of(change.pod, participant))
                .map_or(0, |change| match gauge {
                    Gauge::Replicas => change.there,
                    _ => change.ready,
                }),
            (Figure::Gauge(gauge, _), _) if turns(gauge, &record.event) => self
                .current(board)
                .map_or(0, |current| current - self.value),
            (Figure::Gauge(Gauge::InFlight, _), subject) => {
                in_flight(record, change, subject, board)
            }
            _ => 0,
        }
    }
}

/// The change of the number of queued requests to one endpoint.
fn queued(event: &Event, participant: &ParticipantSelector, board: &PodBoard) -> i64 {
    let (pod, endpoint, by) = match event {
        Event::Arrived {
            pod,
            endpoint,
            queued: true,
            ..
        } => (*pod, *endpoint, 1),
        Event::Queued { pod, endpoint } => (*pod, *endpoint, 1),
        Event::Dequeued { pod, endpoint } => (*pod, *endpoint, -1),
        _ => return 0,
    };
    let counts = participant.endpoint == Some(endpoint) && board.is_of(pod, participant);
    if counts { by } else { 0 }
}

/// Returns true if an event may change a gauge that the board maintains.
const fn turns(gauge: Gauge, event: &Event) -> bool {
    match event {
        Event::Canary { .. } => matches!(gauge, Gauge::Canary),
        Event::Weight { .. } => matches!(gauge, Gauge::Canary | Gauge::Weight),
        Event::Ejected { .. } | Event::Returned { .. } => matches!(gauge, Gauge::Ejected),
        Event::Breaker { .. } => matches!(gauge, Gauge::Breaker),
        Event::Crashed { .. } | Event::Stopped { .. } => {
            matches!(gauge, Gauge::Ejected | Gauge::Breaker)
        }
        _ => false,
    }
}

/// The change of the number of requests in flight.
fn in_flight(
    record: &Record,
    change: Option<CountChange>,
    subject: &Subject,
    board: &PodBoard,
) -> i64 {
    match (subject, &record.event) {
        (Subject::Load(participant), Event::Sent { root }) => {
            i64::from(is_root_of(*root, participant))
        }
        (Subject::Load(participant), Event::Finished { root, outcome, .. })
            if outcome.answer != Answer::Dropped =>
        {
            -i64::from(is_root_of(*root, participant))
        }
        (
            Subject::Edge { from, to, .. },
            Event::CallStarted {
                root,
                from: pod,
                to: callee,
            },
        ) => i64::from(is_call(*root, *pod, *callee, from, to, board)),
        (
            Subject::Edge { from, to, .. },
            Event::CallRouted {
                root,
                from: pod,
                left,
                to: callee,
            },
        ) => {
            let counts = |callee| i64::from(is_call(*root, *pod, callee, from, to, board));
            counts(*callee) - counts(*left)
        }
        (
            Subject::Edge { from, to, .. },
            Event::CallEnded {
                root,
                from: pod,
                to: callee,
                ..
            },
        ) => -i64::from(is_call(*root, *pod, *callee, from, to, board)),
        (Subject::Service(participant), _) if participant.endpoint.is_none() => change
            .filter(|change| board.is_of(change.pod, participant))
            .map_or(0, |change| change.present),
        (Subject::Service(participant), Event::Arrived { pod, endpoint, .. }) => {
            i64::from(board.is_of(*pod, participant) && participant.endpoint == Some(*endpoint))
        }
        (Subject::Service(participant), Event::Served { pod, endpoint, .. }) => {
            -i64::from(board.is_of(*pod, participant) && participant.endpoint == Some(*endpoint))
        }
        _ => 0,
    }
}

fn is_call(
    root: Option<Root>,
    pod: PodId,
    callee: shakedown_results::ParticipantId,
    from: &ParticipantSelector,
    to: &ParticipantSelector,
    board: &PodBoard,
) -> bool {
    Some(callee) == to.participant
        && board.sent_by(pod, from)
        && (from.entry.is_none() || root.is_some_and(|root| is_root_of(root, from)))
}
