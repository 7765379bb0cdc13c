//! Reads a journal back, a line at a time. A line is bounded, and accepted only as it was written.

use std::io::{self, BufRead, BufReader};

use serde::Serialize;
use serde::de::DeserializeOwned;
use shakedown_results::{Digest, Record};

use super::{Footer, HEADER_BYTES_MAX, Header, JournalError, LINE_BYTES_MAX};

/// The first bytes of a zstd frame. Source: RFC 8878, 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How the closing line begins, and no record.
const FOOTER: &[u8] = b"{\"records\":";

/// Reads a journal back.
pub struct Reader {
    input: Box<dyn BufRead + Send>,
    header: Header,
    checksum: Digest,
    /// Number of the line that was read last, from 1.
    line: u64,
    text: Vec<u8>,
    written: Vec<u8>,
}

/// A line of a journal after its first.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A fact of the run.
    Record(Record),
    /// The end.
    Footer(Footer),
}

impl Reader {
    /// Reads the header of a plain or compressed journal.
    ///
    /// # Errors
    /// It is no journal.
    pub fn open(input: impl BufRead + Send + 'static) -> Result<Reader, JournalError> {
        let mut input =
            decompressed(input).map_err(|source| JournalError::Io { line: 0, source })?;
        let mut text = Vec::new();
        if !read_line(&mut input, &mut text, 1, HEADER_BYTES_MAX)? {
            return Err(JournalError::CutOff { line: 0 });
        }
        let mut written = Vec::new();
        let header = parse(&text, &mut written, 1, "a header")?;
        Ok(Reader {
            input,
            header,
            checksum: Digest::of_bytes(&text),
            line: 1,
            text,
            written,
        })
    }

    /// What was run.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The SHA-256 of the header's line.
    pub fn checksum(&self) -> &Digest {
        &self.checksum
    }

    /// Number of the line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line.
    ///
    /// # Errors
    /// The journal is cut off, or the line is none of a journal.
    pub fn next_line(&mut self) -> Result<Line, JournalError> {
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
            return parse(text, written, self.line, "the closing line").map(Line::Footer);
        }
        parse(text, written, self.line, "a record").map(Line::Record)
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// Something does, or it cannot be read.
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
            what: format!("follows the closing line {}", self.line),
        })
    }
}

/// The lines of a journal, whichever way they are stored.
fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    // A file's buffer holds more than four bytes at its beginning; what gives them one by one is not compressed by us.
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        let lines = zstd::Decoder::with_buffer(input)?;
        return Ok(Box::new(BufReader::new(lines)));
    }
    Ok(Box::new(input))
}

/// Reads a line without its end; false where there is none.
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
            return match text.is_empty() {
                true => Ok(false),
                false => Err(JournalError::CutOff { line: line - 1 }),
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
    serde_json::to_writer(&mut *written, &value).expect("a journal's values are plain data");
    match text == written.as_slice() {
        true => Ok(value),
        false => Err(JournalError::Rewritten { line }),
    }
}
