//! A request as recorded by an event: the common form of all classes.

use shakedown_results::{Answer, Event, Fate, Outcome, PartyId, PodId, Record, Root};
use shakedown_types::ResponseFlags;

/// A class of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A load's request is over.
    Load,
    /// A call is over.
    Call,
    /// A try is over.
    Attempt,
    /// A caller's proxy is through.
    Proxied,
    /// An attempt reached an app.
    Arrival,
    /// An app is through with an attempt.
    Service,
    /// A callee's proxy has something to say.
    Flagged,
}

/// The attributes of a request. Fields that its class does not have are `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    pub(super) root: Option<Root>,
    /// The sender; for a load's request its client host.
    pub(super) from: Option<PodId>,
    /// The replica, where one is known.
    pub(super) to: Option<PodId>,
    /// The party called, where one is.
    pub(super) to_party: Option<PartyId>,
    pub(super) endpoint: Option<u16>,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) outcome: Outcome,
    /// Ended before its caller had gone.
    pub(super) in_time: bool,
    pub(super) sent_ns: Option<i64>,
    pub(super) queue_wait_ns: Option<i64>,
    pub(super) pool_wait_ns: Option<i64>,
    pub(super) proxy_ns: Option<i64>,
    pub(super) flags: ResponseFlags,
    /// Number of a try.
    pub(super) number: u16,
    pub(super) hedge: bool,
    /// Tries of a call that its app sent while another was open.
    pub(super) hedges: u16,
    pub(super) plaintext: bool,
    /// A mirror's copy, which is no try of the edge's.
    pub(super) copy: bool,
    /// The app never saw it.
    pub(super) turned_away: bool,
}

impl Fact {
    fn new(start_ns: i64, end_ns: i64, outcome: Outcome) -> Fact {
        Fact {
            root: None,
            from: None,
            to: None,
            to_party: None,
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

    /// A try that another one beat: its sender took it back, and it neither succeeded nor failed.
    pub(super) fn is_beaten(&self) -> bool {
        self.outcome.answer == Answer::Cancelled && self.flags.contains(ResponseFlags::LR)
    }
}

/// The fact of an event, if it has one.
pub(super) fn of(record: &Record) -> Option<Fact> {
    sent(record).or_else(|| received(record))
}

/// Facts from senders of requests: loads, callers and their proxies.
fn sent(record: &Record) -> Option<Fact> {
    let at = record.at_ns;
    Some(match &record.event {
        Event::Finished {
            root,
            pod,
            intended_ns,
            sent_ns,
            outcome,
            tries,
        } => Fact {
            root: Some(*root),
            from: Some(*pod),
            sent_ns: *sent_ns,
            number: *tries,
            ..Fact::new(*intended_ns, at, *outcome)
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
        } => Fact {
            pool_wait_ns: Some(*pool_wait_ns),
            root: *root,
            from: Some(*from),
            to_party: Some(*to),
            endpoint: Some(*endpoint),
            number: *tries,
            hedges: *hedges,
            ..Fact::new(*start_ns, at, *outcome)
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
        } => Fact {
            proxy_ns: Some(*proxy_ns),
            root: *root,
            from: Some(*from),
            to_party: *to,
            flags: *flags,
            number: *tries,
            ..Fact::new(*start_ns, at, *outcome)
        },
        Event::Attempt {
            root,
            from,
            to,
            to_party,
            start_ns,
            outcome,
            flags,
            number,
            hedge,
            plaintext,
        } => Fact {
            root: *root,
            from: Some(*from),
            to: *to,
            to_party: Some(*to_party),
            flags: *flags,
            number: *number,
            hedge: *hedge,
            plaintext: *plaintext,
            ..Fact::new(*start_ns, at, *outcome)
        },
        _ => return None,
    })
}

/// Facts from receivers of requests: apps and their own proxies.
fn received(record: &Record) -> Option<Fact> {
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
        } => Fact {
            root: *root,
            to: Some(*pod),
            flags: *flags,
            turned_away: *turned_away,
            ..Fact::new(*start_ns, at, *outcome)
        },
        Event::Arrived {
            root,
            pod,
            endpoint,
            from,
            copy,
            ..
        } => Fact {
            root: *root,
            copy: *copy,
            from: *from,
            to: Some(*pod),
            endpoint: Some(*endpoint),
            ..Fact::new(at, at, nothing)
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
        } => Fact {
            root: *root,
            from: *from,
            to: Some(*pod),
            endpoint: Some(*endpoint),
            in_time: *fate == Fate::Done,
            queue_wait_ns: Some(*queue_wait_ns),
            ..Fact::new(*arrived_ns, at, *outcome)
        },
        _ => return None,
    })
}
