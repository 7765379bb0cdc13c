//! Parser that follows a chunked body to its end. Source: RFC 9112, section 7.1. If Envoy is more lenient, it follows
//! quiche's `BalsaFrame`.

use super::head::{BadHead, check_characters};

/// The maximum size in bytes of a chunk's line with its extensions, and of all trailers: Envoy's limit for a head.
const LINE_BYTES_MAX: usize = 60 * 1024;

/// A position in a chunked body.
#[derive(Debug)]
pub(super) struct ChunkedDecoder {
    state: ChunkState,
    size: u64,
    /// The number of bytes of the current line, or of all trailers.
    line: usize,
    /// The received part of a trailer line.
    trailer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    /// In the digits of a size. `begun`: at least one digit has been read.
    Size {
        begun: bool,
    },
    /// After the digits, before the end of the line.
    Extension {
        cr: bool,
    },
    Data,
    /// After the data: all bytes up to a line feed are dropped.
    DataEnd,
    Trailers,
    End,
}

/// The outcome of processing some bytes.
pub(super) struct ChunkStep<'b> {
    /// The number of bytes that were processed.
    pub(super) used: usize,
    /// The bytes among them that are passed on.
    pub(super) pass: &'b [u8],
    /// Bytes that are passed on after them.
    pub(super) then: &'static [u8],
}

impl ChunkedDecoder {
    pub(super) fn new() -> ChunkedDecoder {
        ChunkedDecoder {
            state: ChunkState::Size { begun: false },
            size: 0,
            line: 0,
            trailer: Vec::new(),
        }
    }

    /// Returns true if the body has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state == ChunkState::End
    }

    /// Processes some of these bytes, which must not be empty.
    pub(super) fn step<'b>(&mut self, bytes: &'b [u8]) -> Result<ChunkStep<'b>, BadHead> {
        let all = |used: usize| ChunkStep {
            used,
            pass: &bytes[..used],
            then: b"",
        };
        match self.state {
            ChunkState::Size { .. } | ChunkState::Extension { .. } => {
                self.size_line(bytes).map(all)
            }
            ChunkState::Data => {
                let most =
                    usize::try_from(self.size).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.size -= most as u64;
                if self.size == 0 {
                    self.state = ChunkState::DataEnd;
                }
                Ok(all(most))
            }
            ChunkState::DataEnd => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let used = end.map_or(bytes.len(), |end| end + 1);
                self.line += used;
                if self.line > LINE_BYTES_MAX {
                    return Err(BadHead::Syntax);
                }
                if end.is_some() {
                    self.begin_line();
                }
                Ok(ChunkStep {
                    used,
                    pass: b"",
                    then: if end.is_some() { b"\r\n" } else { b"" },
                })
            }
            ChunkState::Trailers => self.trailers(bytes).map(all),
            ChunkState::End => Ok(all(0)),
        }
    }

    fn begin_line(&mut self) {
        self.state = ChunkState::Size { begun: false };
        self.size = 0;
        self.line = 0;
    }

    /// Processes the line of a chunk's size, and returns the number of bytes consumed.
    fn size_line(&mut self, bytes: &[u8]) -> Result<usize, BadHead> {
        for (at, byte) in bytes.iter().enumerate() {
            self.line += 1;
            if self.line > LINE_BYTES_MAX {
                return Err(BadHead::Syntax);
            }
            self.state = match (self.state, byte) {
                (ChunkState::Size { .. }, digit) if digit.is_ascii_hexdigit() => {
                    let digit = char::from(*digit).to_digit(16).unwrap_or_default();
                    let size = self.size.checked_mul(16).ok_or(BadHead::Syntax)?;
                    self.size = size + u64::from(digit);
                    ChunkState::Size { begun: true }
                }
                (ChunkState::Size { begun: true }, b' ' | b'\t' | b';') => {
                    ChunkState::Extension { cr: false }
                }
                (ChunkState::Size { begun: true } | ChunkState::Extension { .. }, b'\r') => {
                    ChunkState::Extension { cr: true }
                }
                (ChunkState::Extension { cr: true }, b'\n') if self.size == 0 => {
                    self.state = ChunkState::Trailers;
                    self.line = 0;
                    return Ok(at + 1);
                }
                (ChunkState::Extension { cr: true }, b'\n') => {
                    self.state = ChunkState::Data;
                    return Ok(at + 1);
                }
                (ChunkState::Extension { cr: false }, byte) if *byte != b'\n' => {
                    ChunkState::Extension { cr: false }
                }
                _ => return Err(BadHead::Syntax),
            };
        }
        Ok(bytes.len())
    }

    /// Processes a line of the trailers, and returns the number of bytes consumed.
    fn trailers(&mut self, bytes: &[u8]) -> Result<usize, BadHead> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(bytes.len(), |end| end + 1);
        self.line += used;
        if self.line > LINE_BYTES_MAX {
            return Err(BadHead::TooLarge);
        }
        self.trailer.extend_from_slice(&bytes[..used]);
        if end.is_none() {
            return Ok(used);
        }
        let line = std::mem::take(&mut self.trailer);
        match line.strip_suffix(b"\r\n") {
            Some(b"") => {
                self.state = ChunkState::End;
                Ok(used)
            }
            Some(line) if !matches!(line[0], b' ' | b'\t') => {
                check_characters(line)?;
                super::head::Fields::parse(line)?;
                Ok(used)
            }
            _ => Err(BadHead::Syntax),
        }
    }
}
