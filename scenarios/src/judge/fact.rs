//! The common form of all events that record a request.

use shakedown_results::{Answer, Event, Fate, Outcome, ParticipantId, PodId, Record, Root};
use shakedown_types::ResponseFlags;

/// A class of events that record requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A request of a load ended.
    Load,
    /// A call ended.
    Call,
    /// An attempt ended.
    Attempt,
    /// The caller's proxy finished a call.
    Proxied,
    /// An attempt reached an app.
    Arrival,
    /// An app finished an attempt.
    Service,
    /// The callee's proxy reported response flags.
    Flagged,
}

/// The attributes of a request. Fields that the event's class does not record are `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestFacts {
    pub(super) root: Option<Root>,
    /// The sender. For a request of a load, its client host.
    pub(super) from: Option<PodId>,
    /// The replica that received it, if known.
    pub(super) to: Option<PodId>,
    /// The called service, if any.
    pub(super) to_participant: Option<ParticipantId>,
    pub(super) endpoint: Option<u16>,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) outcome: Outcome,
    /// True if it ended before its caller gave up.
    pub(super) in_time: bool,
    pub(super) sent_ns: Option<i64>,
    pub(super) queue_wait_ns: Option<i64>,
    pub(super) pool_wait_ns: Option<i64>,
    pub(super) proxy_ns: Option<i64>,
    pub(super) flags: ResponseFlags,
    /// The number of the attempt, or the number of attempts for a call or request.
    pub(super) number: u16,
    pub(super) hedge: bool,
    /// The attempts of a call that its app sent while another one was open.
    pub(super) hedges: u16,
    pub(super) plaintext: bool,
    /// True for a mirrored copy, which is not an attempt of the edge.
    pub(super) copy: bool,
    /// True if the request never reached the app.
    pub(super) turned_away: bool,
}

impl RequestFacts {
    fn new(start_ns: i64, end_ns: i64, outcome: Outcome) -> RequestFacts {
        RequestFacts {
            root: None,
            from: None,
            to: None,
            to_participant: None,
            endpoint: None,
            start_ns,
            end_ns,
            outcome,
            in_time: true,
            sent_ns: None,
            queue_wait_ns: None,
            pool_wait_ns: None,
            proxy_ns: None,
            flags: ResponseFlags::empty(),
            number: 1,
            hedge: false,
            hedges: 0,
            plaintext: false,
            copy: false,
            turned_away: false,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.outcome.answer == Answer::Ok
    }

    /// True for an attempt that lost against another one and was cancelled. Such an attempt neither succeeded nor
    /// failed.
    pub(super) fn is_beaten(&self) -> bool {
        self.outcome.answer == Answer::Cancelled && self.flags.contains(ResponseFlags::LR)
    }
}

/// Converts an event to a request record, if the event has one.
pub(super) fn from_record(record: &Record) -> Option<RequestFacts> {
    sent(record).or_else(|| received(record))
}

/// Converts events of senders: loads, callers and their proxies.
fn sent(record: &Record) -> Option<RequestFacts> {
    let at = record.at_ns;
    Some(match &record.event {
        Event::Finished {
            root,
            pod,
            intended_ns,
            sent_ns,
            outcome,
            tries,
        } => RequestFacts {
            root: Some(*root),
            from: Some(*pod),
            sent_ns: *sent_ns,
            number: *tries,
            ..RequestFacts::new(*intended_ns, at, *outcome)
        },
        Event::CallEnded {
            root,
            from,
            to,
            asked: _,
            endpoint,
            start_ns,
            outcome,
            tries,
            hedges,
            pool_wait_ns,
        } => RequestFacts {
            pool_wait_ns: Some(*pool_wait_ns),
            root: *root,
            from: Some(*from),
            to_participant: Some(*to),
            endpoint: Some(*endpoint),
            number: *tries,
            hedges: *hedges,
            ..RequestFacts::new(*start_ns, at, *outcome)
        },
        Event::Proxied {
            root,
            from,
            to,
            start_ns,
            outcome,
            flags,
            tries,
            proxy_ns,
        } => RequestFacts {
            proxy_ns: Some(*proxy_ns),
            root: *root,
            from: Some(*from),
            to_participant: *to,
            flags: *flags,
            number: *tries,
            ..RequestFacts::new(*start_ns, at, *outcome)
        },
        Event::Attempt {
            root,
            from,
            to,
            to_participant,
            start_ns,
            outcome,
            flags,
            number,
            hedge,
            plaintext,
        } => RequestFacts {
            root: *root,
            from: Some(*from),
            to: *to,
            to_participant: Some(*to_participant),
            flags: *flags,
            number: *number,
            hedge: *hedge,
            plaintext: *plaintext,
            ..RequestFacts::new(*start_ns, at, *outcome)
        },
        _ => return None,
    })
}

/// Converts events of receivers: apps and their proxies.
fn received(record: &Record) -> Option<RequestFacts> {
    let at = record.at_ns;
    let nothing = Outcome::new(0, Answer::Ok);
    Some(match &record.event {
        Event::Flagged {
            root,
            pod,
            start_ns,
            outcome,
            flags,
            turned_away,
        } => RequestFacts {
            root: *root,
            to: Some(*pod),
            flags: *flags,
            turned_away: *turned_away,
            ..RequestFacts::new(*start_ns, at, *outcome)
        },
        Event::Arrived {
            root,
            pod,
            endpoint,
            from,
            copy,
            ..
        } => RequestFacts {
            root: *root,
            copy: *copy,
            from: *from,
            to: Some(*pod),
            endpoint: Some(*endpoint),
            ..RequestFacts::new(at, at, nothing)
        },
        Event::Served {
            root,
            pod,
            endpoint,
            from,
            arrived_ns,
            queue_wait_ns,
            outcome,
            fate,
            ..
        } => RequestFacts {
            root: *root,
            from: *from,
            to: Some(*pod),
            endpoint: Some(*endpoint),
            in_time: *fate == Fate::Done,
            queue_wait_ns: Some(*queue_wait_ns),
            ..RequestFacts::new(*arrived_ns, at, *outcome)
        },
        _ => return None,
    })
}
