//! Progress of long work: on a terminal one line that overwrites itself, in a pipe a line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two updates of a terminal's line.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
/// Between two lines elsewhere, and before the first.
const IN_A_PIPE: Duration = Duration::from_secs(10);

/// Lines on standard error.
pub(crate) struct Progress {
    /// When the last line was shown; before the first one, when the work began.
    last: Instant,
    shown: bool,
    terminal: bool,
}

impl Progress {
    /// No line is shown yet.
    pub(crate) fn new() -> Progress {
        Progress {
            last: now(),
            shown: false,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows `line`, unless the last one is too fresh.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        let now = now();
        if !is_due(self.terminal, self.shown, now.duration_since(self.last)) {
            return;
        }
        (self.last, self.shown) = (now, true);
        let mut err = std::io::stderr().lock();
        // A reader that has gone away is no reason to stop a run.
        let _ = match self.terminal {
            true => write!(err, "\r\x1b[K{}", line()),
            false => writeln!(err, "{}", line()),
        };
        let _ = err.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Whether a line is due so long after the last one, or after the beginning.
fn is_due(terminal: bool, shown: bool, since: Duration) -> bool {
    match (terminal, shown) {
        (true, false) => true,
        (true, true) => since >= ON_A_TERMINAL,
        (false, _) => since >= IN_A_PIPE,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often a terminal line is drawn decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_a_line_each_ten_seconds_and_a_terminal_at_once() {
        let seconds = Duration::from_secs;
        assert!(!is_due(false, false, seconds(9)));
        assert!(is_due(false, false, seconds(10)));
        assert!(!is_due(false, true, seconds(9)));
        assert!(is_due(false, true, seconds(10)));
        assert!(is_due(true, false, seconds(0)));
        assert!(!is_due(true, true, Duration::from_millis(99)));
    }
}
