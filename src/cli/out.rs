//! What a command prints. A reader that has gone (`shakedown list | head -1`) is no error: the rest is left unsaid, and the
//! command ends as it would have.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ColorChoice;
use shakedown_reports::text::{Paint, Screen};

use super::Exit;

/// `--color`, once it is parsed.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Keeps what `--color` says.
pub(crate) fn choose_color(choice: ColorChoice) {
    // It is parsed once.
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

/// Whether to paint. Source: no-color.org, which wants a value that is not empty.
fn paint(choice: ColorChoice, terminal: bool, no_color: &str, term: &str) -> Paint {
    let paints = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && no_color.is_empty() && term != "dumb",
    };
    if paints { Paint::Ansi } else { Paint::Plain }
}

/// Prints text on standard output, as it stands.
///
/// # Errors
/// It cannot be written though somebody reads: a full disk.
pub(crate) fn print(text: impl Display) -> Result<(), Exit> {
    settle(&mut io::stdout().lock(), text).map_err(|error| {
        fault(format_args!("write to standard output: {error}"));
        Exit::Input
    })
}

/// Prints an error, or several, one a line, on standard error. Lines that go on with an error are indented.
pub(crate) fn fault(problem: impl Display) {
    for line in problem.to_string().lines() {
        let prefix = if line.starts_with(' ') { "" } else { "error: " };
        complain(format_args!("{prefix}{line}"));
    }
}

/// Prints a line on standard error. Where nobody can be told, nobody is.
pub(crate) fn complain(line: impl Display) {
    // There is no third place to tell of it.
    let _untold = settle(&mut io::stderr().lock(), format_args!("{line}\n"));
}

/// Writes all of the text, unless its reader has gone.
fn settle(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    match write!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in one way.
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
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(settle(&mut Broken(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(settle(&mut Broken(ErrorKind::StorageFull), "text").is_err());
    }
}
