//! Files that a command writes at its end. They are opened before it begins, because a report that cannot be written
//! should be refused before an hour of load rather than after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::fault::bad_input;
use super::out;

/// The destination of one output.
pub(crate) struct Output {
    option: &'static str,
    path: PathBuf,
    to: To,
}

enum To {
    Stdout,
    File {
        file: File,
        /// True if the file was created by [`Output::open`], and so is removed again unless it is written.
        created: bool,
    },
    Written,
}

impl Output {
    /// Opens the file given to `option`; `-` is standard output. Existing contents are kept until the output is
    /// written.
    ///
    /// # Errors
    /// Fails if the file cannot be opened for writing.
    pub(crate) fn open(option: &'static str, path: &Path) -> Result<Output, Exit> {
        let to = if path == Path::new("-") {
            To::Stdout
        } else {
            let created = !path.exists();
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path);
            let file = opened.map_err(|error| refused(option, path, &error))?;
            To::File { file, created }
        };
        Ok(Output {
            option,
            path: path.to_owned(),
            to,
        })
    }

    /// Opens an optional output.
    ///
    /// # Errors
    /// See [`Output::open`].
    pub(crate) fn maybe(option: &'static str, path: Option<&Path>) -> Result<Option<Output>, Exit> {
        path.map(|path| Output::open(option, path)).transpose()
    }

    /// The path as given by the user.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the output is written to standard output, which must then contain nothing else.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.to, To::Stdout)
    }

    /// Writes the text as the whole output.
    ///
    /// # Errors
    /// Fails if the text cannot be written, for example to a full disk.
    pub(crate) fn write(self, text: &str) -> Result<(), Exit> {
        if self.is_stdout() {
            return out::print(text);
        }
        let (option, path) = (self.option, self.path.clone());
        let written = self
            .into_file()
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| refused(option, &path, &error))
    }

    /// Returns the emptied file, for output that is written incrementally.
    ///
    /// # Errors
    /// Fails if the file cannot be truncated, or if the output is standard output.
    pub(crate) fn into_file(mut self) -> io::Result<File> {
        match std::mem::replace(&mut self.to, To::Written) {
            To::File { mut file, .. } => {
                // Pipes and terminals have no length.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                    file.rewind()?;
                }
                Ok(file)
            }
            To::Stdout | To::Written => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The device and inode of a regular file.
    fn identity(&self) -> Option<(u64, u64)> {
        let To::File { file, .. } = &self.to else {
            return None;
        };
        let metadata = file.metadata().ok()?;
        metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let To::File { created: true, .. } = self.to {
            // A leftover empty file does not make the command fail.
            let _kept = std::fs::remove_file(&self.path);
        }
    }
}

/// Refuses outputs that would overwrite each other.
///
/// # Errors
/// Fails if two outputs are the same file, or are both standard output.
pub(crate) fn distinct<'a>(outputs: impl IntoIterator<Item = &'a Output>) -> Result<(), Exit> {
    let outputs: Vec<&Output> = outputs.into_iter().collect();
    for (at, one) in outputs.iter().enumerate() {
        for other in &outputs[..at] {
            let same_file = one.identity().is_some() && one.identity() == other.identity();
            if same_file || one.is_stdout() && other.is_stdout() {
                return Err(bad_input(format!(
                    "{} and {} both write `{}`: expected different files",
                    other.option,
                    one.option,
                    one.path.display()
                )));
            }
        }
    }
    Ok(())
}

fn refused(option: &str, path: &Path, error: &io::Error) -> Exit {
    bad_input(format!(
        "failed to write {option} {}: {error}",
        path.display()
    ))
}
