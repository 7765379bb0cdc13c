//! The frames of HTTP/2 as they are written: which streams have their HEADERS on the wire.

/// What a client sends before its first frame. Source: RFC 9113, 3.4.
const PREFACE_BYTES: usize = 24;
/// Length, type, flags and stream of a frame. Source: RFC 9113, 4.1.
const HEAD_BYTES: usize = 9;
/// The type of HEADERS. Source: RFC 9113, 6.2.
const HEADERS: u8 = 1;

/// Follows what a client writes, in whatever pieces it is written.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass over before the next frame.
    skip: usize,
    head: [u8; HEAD_BYTES],
    /// How much of the head is there.
    filled: usize,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            skip: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            filled: 0,
        }
    }
}

impl Frames {
    /// Follows these bytes, and calls `headers` with the stream of each HEADERS frame that begins in them.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut headers: impl FnMut(u32)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let wanted = (HEAD_BYTES - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + wanted].copy_from_slice(&bytes[..wanted]);
            self.filled += wanted;
            bytes = &bytes[wanted..];
            if self.filled < HEAD_BYTES {
                continue;
            }
            self.filled = 0;
            let [a, b, c, kind, _flags, stream @ ..] = self.head;
            self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
            if kind == HEADERS {
                headers(u32::from_be_bytes(stream) & 0x7fff_ffff);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS of 6 bytes, HEADERS of streams 1 and 3, DATA between them.
        bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        bytes.extend([0, 0, 2, 1, 4, 0, 0, 0, 1, 9, 9]);
        bytes.extend([0, 0, 3, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
        bytes.extend([0, 0, 0, 1, 5, 0, 0, 0, 3]);
        for size in 1..=bytes.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.follow(piece, |stream| found.push(stream));
            }
            assert_eq!(found, [1, 3], "pieces of {size}");
        }
    }
}
