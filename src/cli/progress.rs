//! Progress of long work: one line on a terminal that overwrites itself, nothing in a pipe.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two updates of the line.
const PERIOD: Duration = Duration::from_millis(100);

/// A line on standard error.
pub(crate) struct Progress {
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// A line that is not shown yet.
    pub(crate) fn new() -> Progress {
        Progress {
            shown: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows `line`, unless the last one is too fresh or nobody looks.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if !self.terminal {
            return;
        }
        let now = now();
        if self
            .shown
            .is_some_and(|shown| now.duration_since(shown) < PERIOD)
        {
            return;
        }
        self.shown = Some(now);
        let mut err = std::io::stderr().lock();
        // A terminal that has gone away is no reason to stop a run.
        let _ = write!(err, "\r\x1b[K{}", line());
        let _ = err.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often a terminal line is drawn decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}
