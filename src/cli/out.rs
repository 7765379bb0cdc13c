//! Output of a command to the terminal. A reader that has closed the pipe (`shakedown list | head -1`) is not an error:
//! the rest of the output is discarded, and the command ends with its normal exit code.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ColorChoice;
use shakedown_reports::text::{Paint, Screen};

use super::exit::Exit;

/// The parsed `--color` option.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Stores the `--color` option.
pub(crate) fn choose_color(choice: ColorChoice) {
    // Arguments are parsed once, so the cell is empty.
    let _kept = COLOR.set(choice);
}

/// Colours and width of standard output.
pub(crate) fn screen() -> Screen {
    let terminal = io::stdout().is_terminal();
    let choice = COLOR.get().copied().unwrap_or(ColorChoice::Auto);
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let width = terminal_size::terminal_size().filter(|_| terminal);
    Screen {
        paint: paint(choice, terminal, &variable("NO_COLOR"), &variable("TERM")),
        width: width.map(|(width, _)| usize::from(width.0)),
    }
}

/// Decides whether output is coloured. Source: no-color.org, which requires a non-empty value.
fn paint(choice: ColorChoice, terminal: bool, no_color: &str, term: &str) -> Paint {
    let paints = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && no_color.is_empty() && term != "dumb",
    };
    if paints { Paint::Ansi } else { Paint::Plain }
}

/// Prints text on standard output, without adding a line end.
///
/// # Errors
/// Fails if the text cannot be written for another reason than a closed pipe, such as a full disk.
pub(crate) fn print(text: impl Display) -> Result<(), Exit> {
    settle(&mut io::stdout().lock(), text).map_err(|error| {
        fault(format_args!("failed to write to standard output: {error}"));
        Exit::Input
    })
}

/// Prints one or more errors on standard error, one per line. Indented lines continue the error above.
pub(crate) fn fault(problem: impl Display) {
    for line in problem.to_string().lines() {
        let prefix = if line.starts_with(' ') { "" } else { "error: " };
        complain(format_args!("{prefix}{line}"));
    }
}

/// Prints a line on standard error. A failure to write is ignored.
pub(crate) fn complain(line: impl Display) {
    // The failure has no other place to be reported.
    let _unwritten = settle(&mut io::stderr().lock(), format_args!("{line}\n"));
}

/// Writes and flushes the text. A closed pipe counts as success.
fn settle(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    match write!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that fails with the given kind of error.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn colours_are_for_terminals_that_want_them_unless_asked_for() {
        let auto = |terminal, no_color, term| paint(ColorChoice::Auto, terminal, no_color, term);
        assert_eq!(auto(true, "", "xterm"), Paint::Ansi);
        assert_eq!(auto(false, "", "xterm"), Paint::Plain);
        assert_eq!(auto(true, "1", "xterm"), Paint::Plain);
        assert_eq!(auto(true, "", "dumb"), Paint::Plain);
        assert_eq!(paint(ColorChoice::Always, false, "1", "dumb"), Paint::Ansi);
        assert_eq!(paint(ColorChoice::Never, true, "", "xterm"), Paint::Plain);
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        assert!(settle(&mut Broken(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(settle(&mut Broken(ErrorKind::StorageFull), "text").is_err());
    }
}
