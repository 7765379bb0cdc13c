//! Parser for the frame headers of an HTTP/2 byte stream, which h2 does not expose.

/// Source: RFC 9113, section 6.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
/// The length of a frame's header.
const HEAD: usize = 9;
/// The bytes that every HTTP/2 client sends first. Source: RFC 9113, section 3.4.
pub(crate) const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    /// The length of the payload without padding.
    pub(super) content: usize,
}

impl FrameHeader {
    pub(super) fn ends_stream(self) -> bool {
        self.flags & END_STREAM != 0
    }

    pub(super) fn ends_headers(self) -> bool {
        self.flags & END_HEADERS != 0
    }
}

/// Finds frame headers in bytes that arrive in pieces, and skips payloads.
#[derive(Debug)]
pub(crate) struct FrameScanner {
    /// The current header, and the length of the padding if the frame is padded.
    head: [u8; HEAD + 1],
    read: usize,
    /// The number of bytes before the next header.
    skip: usize,
}

impl FrameScanner {
    /// Creates a parser of a stream whose first frame begins after `preface` bytes.
    pub(crate) fn after(preface: usize) -> FrameScanner {
        FrameScanner {
            head: [0; HEAD + 1],
            read: 0,
            skip: preface,
        }
    }

    /// Processes bytes, and calls `each` for each header that they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHeader)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let most = (self.needed() - self.read).min(bytes.len());
            self.head[self.read..self.read + most].copy_from_slice(&bytes[..most]);
            self.read += most;
            bytes = &bytes[most..];
            if self.read < self.needed() {
                continue;
            }
            let padding = match self.read - HEAD {
                0 => 0,
                _ => usize::from(self.head[HEAD]) + 1,
            };
            each(FrameHeader {
                kind: self.head[3],
                flags: self.head[4],
                stream: self.stream(),
                content: self.length().saturating_sub(padding),
            });
            self.skip = self.length() - (self.read - HEAD);
            self.read = 0;
        }
    }

    /// Returns the number of bytes of the current header, as far as it is known.
    fn needed(&self) -> usize {
        let padded = self.read >= HEAD
            && matches!(self.head[3], kind::DATA | kind::HEADERS)
            && self.head[4] & PADDED != 0
            && self.length() > 0;
        HEAD + usize::from(padded)
    }

    fn length(&self) -> usize {
        let [high, middle, low, ..] = self.head;
        u32::from_be_bytes([0, high, middle, low]) as usize
    }

    fn stream(&self) -> u32 {
        let [_, _, _, _, _, stream @ .., _] = self.head;
        u32::from_be_bytes(stream) & 0x7fff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        // The first bit of a stream's number is reserved and ignored.
        [&[0, 0, length, kind, flags, 0x80, 0, 1, 3], payload].concat()
    }

    #[test]
    fn headers_are_found_however_the_bytes_are_cut() {
        let bytes = [
            b"preface".to_vec(),
            frame(kind::HEADERS, END_HEADERS, b"abc"),
            frame(kind::DATA, PADDED, &[2, b'x', 0, 0]),
            frame(kind::DATA, PADDED | END_STREAM, &[0]),
            frame(6, 0, &[0; 8]),
            frame(kind::DATA, 0, b""),
        ]
        .concat();
        for piece in 1..bytes.len() {
            let (mut frames, mut found) = (FrameScanner::after(7), Vec::new());
            for part in bytes.chunks(piece) {
                frames.feed(part, |frame| {
                    assert_eq!(frame.stream, 0x103);
                    found.push((frame.kind, frame.content));
                });
            }
            assert_eq!(found, [(1, 3), (0, 1), (0, 0), (6, 8), (0, 0)], "{piece}");
        }
    }
}
