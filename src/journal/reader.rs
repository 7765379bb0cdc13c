//! Reads a journal line by line. Lines have a maximum length and are accepted only exactly as they were written.

use std::io::{self, BufRead, BufReader};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shakedown_results::{Digest, Record};

use super::{HEADER_BYTES_MAX, JournalError, JournalFooter, JournalHeader, LINE_BYTES_MAX};

/// The first bytes of a zstd frame. Source: RFC 8878, 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The beginning of the footer, which no record shares.
const FOOTER: &[u8] = b"{\"records\":";

/// Reads a journal line by line.
pub struct JournalReader {
    input: Box<dyn BufRead + Send>,
    header: JournalHeader,
    checksum: Digest,
    /// Number of the last line read, from 1.
    line: u64,
    text: Vec<u8>,
    written: Vec<u8>,
}

/// The part of a header that all versions have.
#[derive(Deserialize)]
struct HeaderVersion {
    version: String,
}

/// A line of a journal after its first.
#[derive(Clone, Debug, PartialEq)]
pub enum JournalLine {
    /// An event of the run.
    Record(Record),
    /// The footer.
    Footer(JournalFooter),
}

impl JournalReader {
    /// Reads the header of a plain or compressed journal.
    ///
    /// # Errors
    /// Fails if the input is not a journal of this [`version`](crate::version).
    pub fn open(input: impl BufRead + Send + 'static) -> Result<JournalReader, JournalError> {
        let mut input =
            decompressed(input).map_err(|source| JournalError::Io { line: 0, source })?;
        let mut text = Vec::new();
        if !read_line(&mut input, &mut text, 1, HEADER_BYTES_MAX)? {
            return Err(JournalError::CutOff { line: 0 });
        }
        // Before the whole header, because that of another version may have other fields.
        if let Ok(HeaderVersion { version }) = serde_json::from_slice(&text)
            && version != crate::version()
        {
            return Err(JournalError::Version(version));
        }
        let mut written = Vec::new();
        let header = parse(&text, &mut written, 1, "a header")?;
        Ok(JournalReader {
            input,
            header,
            checksum: Digest::of_bytes(&text),
            line: 1,
            text,
            written,
        })
    }

    /// The header of the journal.
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// The SHA-256 of the header line.
    pub fn checksum(&self) -> &Digest {
        &self.checksum
    }

    /// Number of the last line read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// Fails if the journal is cut off, or if the line is not a valid journal line.
    pub fn next_line(&mut self) -> Result<JournalLine, JournalError> {
        if !read_line(
            &mut self.input,
            &mut self.text,
            self.line + 1,
            LINE_BYTES_MAX,
        )? {
            return Err(JournalError::CutOff { line: self.line });
        }
        self.line += 1;
        let (text, written) = (&self.text, &mut self.written);
        if text.starts_with(FOOTER) {
            return parse(text, written, self.line, "a footer").map(JournalLine::Footer);
        }
        parse(text, written, self.line, "a record").map(JournalLine::Record)
    }

    /// Requires the end of the input.
    ///
    /// # Errors
    /// Fails if more input follows or the input cannot be read.
    pub fn expect_end(&mut self) -> Result<(), JournalError> {
        let rest = self.input.fill_buf().map_err(|source| JournalError::Io {
            line: self.line,
            source,
        })?;
        if rest.is_empty() {
            return Ok(());
        }
        Err(JournalError::Contradiction {
            line: self.line + 1,
            what: format!("unexpected data after the footer in line {}", self.line),
        })
    }
}

/// The lines of a journal, decompressed if necessary.
fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    // A file's buffer starts with at least four bytes. Input that yields fewer at first is treated as plain.
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        let lines = zstd::Decoder::with_buffer(input)?;
        return Ok(Box::new(BufReader::new(lines)));
    }
    Ok(Box::new(input))
}

/// Reads a line without its line end. Returns false at the end of the input.
fn read_line(
    input: &mut impl BufRead,
    text: &mut Vec<u8>,
    line: u64,
    bytes_max: usize,
) -> Result<bool, JournalError> {
    text.clear();
    loop {
        let block = input.fill_buf().map_err(|source| JournalError::Io {
            line: line - 1,
            source,
        })?;
        if block.is_empty() {
            return if text.is_empty() {
                Ok(false)
            } else {
                Err(JournalError::CutOff { line: line - 1 })
            };
        }
        let end = block.iter().position(|byte| *byte == b'\n');
        let part = &block[..end.unwrap_or(block.len())];
        if text.len() + part.len() > bytes_max {
            return Err(JournalError::TooLong { line, bytes_max });
        }
        text.extend_from_slice(part);
        let read = part.len() + usize::from(end.is_some());
        input.consume(read);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn parse<T: Serialize + DeserializeOwned>(
    text: &[u8],
    written: &mut Vec<u8>,
    line: u64,
    wanted: &'static str,
) -> Result<T, JournalError> {
    let value = serde_json::from_slice(text).map_err(|source| JournalError::Line {
        line,
        wanted,
        source,
    })?;
    written.clear();
    serde_json::to_writer(&mut *written, &value).expect("values of a journal serialize to JSON");
    if text == written.as_slice() {
        Ok(value)
    } else {
        Err(JournalError::Rewritten { line })
    }
}
