//! What a command prints. A reader that has gone (`shakedown list | head -1`) is no error: the rest is left unsaid, and the
//! command ends as it would have.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::Exit;

/// Prints text on standard output, as it stands.
///
/// # Errors
/// It cannot be written though somebody reads: a full disk.
pub(crate) fn print(text: impl Display) -> Result<(), Exit> {
    settle(&mut io::stdout().lock(), text).map_err(|error| {
        complain(format_args!("shakedown: write to standard output: {error}"));
        Exit::Input
    })
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
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(settle(&mut Broken(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(settle(&mut Broken(ErrorKind::StorageFull), "text").is_err());
    }
}
