//! What a load's records do not tell: statuses, what went wrong in words, and how late the generator itself was.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;

use shakedown_results::Histogram;
use shakedown_wire::SendError;

/// So many kinds of trouble are told apart.
const TROUBLES_MAX: usize = 16;

/// What came of a load, beside its records.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that failed without a whole answer, by what went wrong.
    pub troubles: BTreeMap<Trouble, u64>,
    /// Requests whose time was up.
    pub timeouts: u64,
    /// Those of them that were still in line for a connection: the server never saw them.
    pub never_left: u64,
    /// The most requests with a lane at once: the most connections that were in use.
    pub lanes: u64,
    /// From a request's intended time to when this generator took it up, ns: late by no fault of the server's. From the
    /// warm-up's end on.
    pub late: Histogram,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// No connection was had. The server is not there, or refuses.
    Connect(String),
    /// No connection was had, for want of something on this side: file descriptors, ports.
    Exhausted(String),
    /// The connection ended before the answer did, or spoke no HTTP.
    Broken(String),
    /// More kinds than are told apart.
    Other,
}

impl Tally {
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let known = self.troubles.contains_key(&trouble) || self.troubles.len() < TROUBLES_MAX;
        let trouble = if known { trouble } else { Trouble::Other };
        *self.troubles.entry(trouble).or_default() += 1;
    }

    /// Answers that came whole, whatever their status.
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }
}

impl Trouble {
    pub(super) fn of(error: &SendError) -> Trouble {
        match error {
            SendError::Connect(cause) if is_ours(cause) => Trouble::Exhausted(cause.to_string()),
            SendError::Connect(cause) => Trouble::Connect(cause.to_string()),
            SendError::ConnectTimeout => Trouble::Connect("no answer in time".to_owned()),
            _ => Trouble::Broken(match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }),
        }
    }
}

/// Whether a connect failed for want of something on this side. Linux: ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS.
fn is_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24 | 99 | 105))
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Connect(cause) => write!(f, "connect: {cause}"),
            Trouble::Exhausted(cause) => write!(f, "connect, on this side: {cause}"),
            Trouble::Broken(what) => f.write_str(what),
            Trouble::Other => f.write_str("other"),
        }
    }
}
