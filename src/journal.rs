//! A journal on disk: one JSON value per line, plain or as one zstd stream.
//!
//! The first line is the header, which identifies the run. The records follow in order, and a footer closes the
//! journal. [`JournalHeader`] carries the whole scenario, so a journal is enough to repeat the run and compare it event by
//! event.
//!
//! Only a journal exactly as this program wrote it is read back. Each line is compared with the serialization of its
//! value, and the footer contains the number of records, the digest of the run and a checksum of the header.

mod comparison;
mod reader;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use shakedown_results::{Digest, Engine, Participants, Record};

pub use comparison::{Comparison, Divergence};
pub use reader::{JournalLine, JournalReader};

/// The maximum length of the header line. The header contains the scenario and the files that it includes.
pub const HEADER_BYTES_MAX: usize = 64 << 20;
/// The maximum length of each later line. The largest record names every pod of a run.
pub const LINE_BYTES_MAX: usize = 4 << 20;
/// Compression level of a journal: zstd's default, which compresses faster than a simulated run produces records.
const ZSTD_LEVEL: i32 = 3;

/// The first line of a journal, which identifies the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalHeader {
    /// The package and journal version that wrote it, see [`version`](crate::version).
    pub version: String,
    /// The scenario's name, from its `scenario` key.
    pub scenario: String,
    /// The name of the variant that was run.
    pub variant: String,
    /// The `--set` edits, with secrets masked.
    pub set: Vec<String>,
    /// The seed of the run's random streams.
    pub seed: u64,
    /// The backend of the run.
    pub engine: Engine,
    /// The whole scenario as YAML, with the variant merged and included files in place.
    pub expanded: String,
    /// The participants of the run.
    pub participants: Participants,
}

/// The last line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalFooter {
    /// Number of records between header and footer.
    pub records: u64,
    /// The digest of the run's records.
    pub digest: Digest,
    /// The SHA-256 of the header line, without its line end.
    pub header: Digest,
}

/// A journal that could not be read, or that is not as it was written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read, or decompressed.
    #[error("failed to read the journal after line {line}")]
    Io {
        /// The last line that was read, counted from 1.
        line: u64,
        /// The underlying I/O or decompression error.
        source: io::Error,
    },
    /// The journal was written by another version.
    #[error(
        "cannot replay a journal of version {0} with version {own}, because its events may have another meaning",
        own = crate::version()
    )]
    Version(String),
    /// A line does not parse as the value required at its position.
    #[error("invalid journal, line {line}: expected {wanted}: {source}")]
    Line {
        /// The number of the line, counted from 1.
        line: u64,
        /// The value required there, with its article.
        wanted: &'static str,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A line parses, but differs from the serialization of its value.
    #[error(
        "invalid journal, line {line}: not in the exact form that a journal is written in (unknown or repeated keys, different spaces or numbers)"
    )]
    Rewritten {
        /// The number of the line, counted from 1.
        line: u64,
    },
    /// A line exceeds its maximum length.
    #[error("invalid journal, line {line}: longer than {bytes_max} bytes")]
    TooLong {
        /// The number of the line, counted from 1.
        line: u64,
        /// The maximum length, in bytes.
        bytes_max: usize,
    },
    /// A line contradicts other lines or the run.
    #[error("invalid journal, line {line}: {what}")]
    Contradiction {
        /// The number of the line, counted from 1.
        line: u64,
        /// A description of the contradiction.
        what: String,
    },
    /// The journal is empty, or ends before its footer.
    #[error("invalid journal: truncated after line {line}")]
    CutOff {
        /// The last line that is present, counted from 1; 0 if the journal is empty.
        line: u64,
    },
}

/// The storage format of a journal. A reader detects it by the first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines of JSON without compression.
    #[default]
    Plain,
    /// The same lines as one zstd stream, about a twentieth of the size.
    Zstd,
}

/// The destination and format of a journal.
pub struct JournalOutput {
    /// The writer of the journal's bytes.
    pub out: Box<dyn Write + Send>,
    /// The storage format.
    pub format: Format,
}

/// Writes a journal during the run.
pub struct JournalWriter<W: Write> {
    out: Out<W>,
    header: Digest,
    records: u64,
    line: Vec<u8>,
    failed: Option<io::Error>,
}

enum Out<W: Write> {
    Plain(W),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Out<W> {
    fn finish(self) -> io::Result<()> {
        match self {
            Out::Plain(mut out) => out.flush(),
            Out::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl<W: Write> JournalWriter<W> {
    /// Writes the header of a journal.
    ///
    /// # Errors
    /// Fails if the header could not be written.
    pub fn begin(out: W, format: Format, header: &JournalHeader) -> io::Result<JournalWriter<W>> {
        let out = match format {
            Format::Plain => Out::Plain(out),
            Format::Zstd => Out::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
        };
        let line = serde_json::to_vec(header)?;
        let mut writer = JournalWriter {
            out,
            header: Digest::of_bytes(&line),
            records: 0,
            line,
            failed: None,
        };
        writer.end_line()?;
        Ok(writer)
    }

    /// Appends a record. A failure is kept for [`end`](Self::end), because a run must not stop for its journal.
    pub fn record(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = self.write_line(record).err();
            self.records += 1;
        }
    }

    /// Ends the journal of an interrupted run, without a footer.
    ///
    /// # Errors
    /// Fails if this or an earlier write failed.
    pub fn leave(self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.finish(),
        }
    }

    /// Writes the footer and closes the journal.
    ///
    /// # Errors
    /// Fails if this or an earlier write failed.
    pub fn end(mut self, digest: &Digest) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let footer = JournalFooter {
            records: self.records,
            digest: digest.clone(),
            header: self.header.clone(),
        };
        self.write_line(&footer)?;
        self.out.finish()
    }

    fn write_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.end_line()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        match &mut self.out {
            Out::Plain(out) => out.write_all(&self.line),
            Out::Zstd(out) => out.write_all(&self.line),
        }
    }
}

#[cfg(test)]
mod tests;
