//! Exit codes of commands.

use std::cmp::Ordering;

use shakedown::Verdict;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every judged check passed.
    Pass = 0,
    /// A check failed.
    Fail = 1,
    /// The input is invalid.
    Input = 2,
    /// Every check is over seeds, which a single run does not judge.
    NotJudged = 4,
    /// The run is invalid, so its results cannot be relied on.
    Invalid = 3,
    /// The user interrupted the command with Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The severity of an exit: the command exits with the worst of its runs.
    const fn rank(self) -> u8 {
        match self {
            Exit::Pass => 0,
            Exit::NotJudged => 1,
            Exit::Fail => 2,
            Exit::Input => 3,
            Exit::Invalid => 4,
            Exit::Interrupted => 5,
        }
    }
}

impl Ord for Exit {
    fn cmp(&self, other: &Exit) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Exit {
    fn partial_cmp(&self, other: &Exit) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::NotJudged => Exit::NotJudged,
            Verdict::Fail => Exit::Fail,
            Verdict::Invalid => Exit::Invalid,
        }
    }
}

/// The result of a command. An `Err` was already reported to the user.
pub(crate) type Reported = Result<Exit, Exit>;
