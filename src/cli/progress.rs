//! The progress display of long work: a line that overwrites itself on a terminal, or an occasional line in a pipe.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The minimum interval between updates of a terminal's line.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
/// The minimum interval between lines in a pipe, and before the first.
const IN_A_PIPE: Duration = Duration::from_secs(10);

/// The progress display on standard error.
pub(crate) struct ProgressLines {
    /// The time of the last line, or the start of the work before the first line.
    last: Instant,
    shown: bool,
    terminal: bool,
}

impl ProgressLines {
    /// Creates a display that has shown no line yet.
    pub(crate) fn new() -> ProgressLines {
        ProgressLines {
            last: now(),
            shown: false,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows `line`, unless the last update is too recent.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        let now = now();
        if !is_due(self.terminal, self.shown, now.duration_since(self.last)) {
            return;
        }
        (self.last, self.shown) = (now, true);
        let mut err = std::io::stderr().lock();
        // A closed reader must not stop a run.
        let _ = if self.terminal {
            write!(err, "\r\x1b[K{}", line())
        } else {
            writeln!(err, "{}", line())
        };
        let _ = err.flush();
    }
}

impl Drop for ProgressLines {
    fn drop(&mut self) {
        if self.shown && self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Returns true if a line is due this long after the last one or after the start.
fn is_due(terminal: bool, shown: bool, since: Duration) -> bool {
    match (terminal, shown) {
        (true, false) => true,
        (true, true) => since >= ON_A_TERMINAL,
        (false, _) => since >= IN_A_PIPE,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the redraw rate of a terminal line affects no result"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_written_every_ten_seconds_to_pipes_and_immediately_to_terminals() {
        let seconds = Duration::from_secs;
        assert!(!is_due(false, false, seconds(9)));
        assert!(is_due(false, false, seconds(10)));
        assert!(!is_due(false, true, seconds(9)));
        assert!(is_due(false, true, seconds(10)));
        assert!(is_due(true, false, seconds(0)));
        assert!(!is_due(true, true, Duration::from_millis(99)));
    }
}
