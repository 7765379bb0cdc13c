//! A journal on disk: one JSON value a line, plain or as one zstd stream. The header says what was run, then come the
//! records in order, then a line that closes it. It is enough to run the same again ([`Header`] carries the whole scenario)
//! and compare event by event.
//!
//! Only a journal as this program wrote it is read back: each line is compared with how its value is written, and the closing
//! line holds the number of records, the digest of the run and a checksum of the header.

mod comparison;
mod reader;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use shakedown_results::{Cast, Digest, Record};

pub use comparison::{Comparison, Divergence};
pub use reader::{Line, Reader};

/// The longest header that is read; the scenario and the files that it includes are in it.
pub const HEADER_BYTES_MAX: usize = 64 << 20;
/// The longest line after it that is read. The largest record names every pod of a run.
pub const LINE_BYTES_MAX: usize = 4 << 20;
/// Compression level of a journal: zstd's own default, faster than a simulated run writes.
const ZSTD_LEVEL: i32 = 3;

/// The first line of a journal: what was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Package and journal version that wrote it.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// The variant.
    pub variant: String,
    /// The `--set` edits.
    pub set: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The world that it ran in: `native`, `turmoil`, or `real`, which no other run is like.
    pub engine: String,
    /// The whole scenario, written out.
    pub expanded: String,
    /// Who took part.
    pub cast: Cast,
}

/// The last line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    /// Number of records before it.
    pub records: u64,
    /// The digest of the run.
    pub digest: Digest,
    /// The SHA-256 of the header's line, without its line end.
    pub header: Digest,
}

/// A journal that could not be read, or is not as it was written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read, or decompressed.
    #[error("read the journal after line {line}")]
    Io {
        /// The last line that was read.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is not what stands at that place of a journal.
    #[error("invalid journal, line {line}: not {wanted}: {source}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What should stand there.
        wanted: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A line holds something beside its value, or the value in other letters.
    #[error(
        "invalid journal, line {line}: not as a journal writes it (unknown or repeated keys, other spaces or numbers)"
    )]
    Rewritten {
        /// Counted from 1.
        line: u64,
    },
    /// A line does not end.
    #[error("invalid journal, line {line}: longer than {bytes_max} bytes")]
    TooLong {
        /// Counted from 1.
        line: u64,
        /// The most that is read.
        bytes_max: usize,
    },
    /// A line contradicts others, or the run.
    #[error("invalid journal, line {line}: {what}")]
    Contradiction {
        /// Counted from 1.
        line: u64,
        /// In words.
        what: String,
    },
    /// It is empty, or ends before its closing line.
    #[error("the journal is cut off after line {line}")]
    CutOff {
        /// The last line there is.
        line: u64,
    },
}

/// How a journal is stored. Both forms are told apart by their first bytes when they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines of JSON.
    #[default]
    Plain,
    /// The same lines as one zstd stream, about a twentieth of the size.
    Zstd,
}

/// Where a journal is written, and how.
pub struct Destination {
    /// The file.
    pub out: Box<dyn Write + Send>,
    /// Its format.
    pub format: Format,
}

/// Writes a journal as the run goes.
pub struct Writer<W: Write> {
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

impl<W: Write> Writer<W> {
    /// Begins a journal.
    ///
    /// # Errors
    /// The header could not be written.
    pub fn begin(out: W, format: Format, header: &Header) -> io::Result<Writer<W>> {
        let out = match format {
            Format::Plain => Out::Plain(out),
            Format::Zstd => Out::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
        };
        let line = serde_json::to_vec(header)?;
        let mut writer = Writer {
            out,
            header: Digest::of_bytes(&line),
            records: 0,
            line,
            failed: None,
        };
        writer.end_line()?;
        Ok(writer)
    }

    /// Adds a record. A failure is kept for [`end`](Self::end): a run is not stopped for its journal.
    pub fn record(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = self.write_line(record).err();
            self.records += 1;
        }
    }

    /// Leaves the journal without its last line: the run was cut short.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn leave(self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.finish(),
        }
    }

    /// Closes the journal.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn end(mut self, digest: &Digest) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let footer = Footer {
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
