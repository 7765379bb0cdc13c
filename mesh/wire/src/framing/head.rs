//! The lines of a head: where it ends, and what is common to requests and responses.
//!
//! Source: Envoy's `BalsaParser` with quiche's `BalsaFrame`, and seen by asking Envoy (`tests/differential`, "framing: ...").

use http::StatusCode;
use memchr::memchr;

/// Why a head is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// It is no HTTP/1 message.
    #[error("invalid HTTP/1.1 message")]
    Syntax,
    /// A control character.
    #[error("invalid character in a head")]
    Characters,
    /// A content length together with a transfer coding.
    #[error("invalid framing: a content-length together with a transfer-encoding")]
    LengthAndCoding,
    /// A transfer coding other than `chunked`.
    #[error("invalid transfer-encoding: expected `chunked`")]
    Coding,
    /// More bytes than are allowed.
    #[error("invalid head: too long")]
    TooLarge,
    /// More headers than are allowed.
    #[error("invalid head: too many headers")]
    TooMany,
    /// A request target that names no host, or a host that is none.
    #[error("invalid request target")]
    Url,
    /// An absolute target of a scheme other than HTTP's.
    #[error("invalid scheme of a request target: expected http or https")]
    Scheme,
    /// A `host` with characters that no authority has.
    #[error("invalid host")]
    Authority,
    /// A fragment in the target.
    #[error("invalid request target: a fragment")]
    Fragment,
    /// A request of another version than HTTP/1.1.
    #[error("invalid version: expected HTTP/1.1")]
    Version,
    /// It did not end in time.
    #[error("unfinished head: out of time")]
    Late,
}

impl BadHead {
    /// The status that a request is answered with.
    pub const fn status(self) -> StatusCode {
        match self {
            BadHead::Coding => StatusCode::NOT_IMPLEMENTED,
            BadHead::TooLarge | BadHead::TooMany => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            BadHead::Version => StatusCode::UPGRADE_REQUIRED,
            BadHead::Late => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The most headers of a message. Source: Envoy, `max_headers_count`, default 100.
const HEADERS_MAX: usize = 100;

/// Where the first head in `bytes` ends, if it does. The first `searched` bytes are known to hold no end.
pub(super) fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    let mut from = searched.saturating_sub(3);
    loop {
        let line = memchr(b'\n', &bytes[from..])?;
        from += line + 1;
        match bytes.get(from..) {
            Some([b'\n', ..]) => return Some(from + 1),
            Some([b'\r', b'\n', ..]) => return Some(from + 2),
            _ => {}
        }
    }
}

/// The headers that framing rests on.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Content lengths: how many, and the last.
    pub(super) lengths: usize,
    pub(super) length: Option<u64>,
    /// Transfer codings: how many, and whether the last is `chunked` alone.
    pub(super) codings: usize,
    pub(super) chunked: bool,
    /// Whether an upgrade is asked for.
    pub(super) upgrade: bool,
    /// Whether the connection is kept after HTTP/1.0.
    pub(super) keep_alive: bool,
    /// Whether each host is an authority.
    pub(super) bad_host: bool,
    /// Whether hyper does not take its lines as they stand.
    pub(super) odd: bool,
}

/// The first line of a head, and the lines behind it.
pub(super) fn split(head: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b'\n', head);
    let (line, lines) = head.split_at(end.map_or(head.len(), |end| end + 1));
    (line, lines)
}

/// Lines without their ends, up to an empty one.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some(line)
    })
}

impl Fields {
    /// Reads the header lines of a head.
    pub(super) fn of(bytes: &[u8]) -> Result<Fields, BadHead> {
        let mut fields = Fields::default();
        let mut count = 0;
        for line in lines(bytes) {
            if matches!(line[0], b' ' | b'\t') {
                // A line that goes on. Source: RFC 9112, section 5.2.
                if count == 0 {
                    return Err(BadHead::Syntax);
                }
                fields.odd = true;
                check_characters(line)?;
                continue;
            }
            count += 1;
            fields.line(line)?;
        }
        if count > HEADERS_MAX {
            return Err(BadHead::TooMany);
        }
        Ok(fields)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), BadHead> {
        let colon = memchr(b':', line);
        let (name, value) = line.split_at(colon.ok_or(BadHead::Syntax)?);
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            // A control character is what Envoy complains of first.
            check_characters(line)?;
            return Err(BadHead::Syntax);
        }
        let value = &value[1..];
        if has_controls(value) {
            check_characters(value)?;
            self.odd |= value.contains(&b'\r');
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is("host") => {
                self.bad_host |= !super::authority::is_valid(value.trim_ascii());
            }
            7 => self.upgrade |= is("upgrade"),
            10 if is("connection") => {
                let value = value.trim_ascii();
                self.keep_alive |= value.eq_ignore_ascii_case(b"keep-alive");
            }
            14 if is("content-length") => {
                self.lengths += 1;
                self.length = number(value.trim_ascii());
            }
            17 if is("transfer-encoding") => {
                self.codings += 1;
                self.chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there is more than one length, or one that is no number.
    pub(super) fn has_bad_length(&self) -> bool {
        self.lengths > 1 || (self.lengths == 1 && self.length.is_none())
    }

    /// Whether there is a coding other than `chunked` alone.
    pub(super) fn has_bad_coding(&self) -> bool {
        self.codings > 1 || (self.codings == 1 && !self.chunked)
    }
}

/// Writes header lines so that each is one line, without what Envoy drops of them.
pub(super) fn write_lines(bytes: &[u8], into: &mut Vec<u8>) {
    for (nth, line) in lines(bytes).enumerate() {
        if matches!(line[0], b' ' | b'\t') {
            into.push(line[0]);
            into.extend(line.trim_ascii().iter().filter(|byte| **byte != b'\r'));
            continue;
        }
        if nth > 0 {
            into.extend_from_slice(b"\r\n");
        }
        into.extend(line.iter().filter(|byte| **byte != b'\r'));
    }
    if lines(bytes).next().is_some() {
        into.extend_from_slice(b"\r\n");
    }
    into.extend_from_slice(b"\r\n");
}

/// Whether any byte is a control character, a tab not among them.
fn has_controls(bytes: &[u8]) -> bool {
    // Without an early end, so that it is done many bytes at a time.
    bytes.iter().fold(false, |found, byte| {
        found | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f)
    })
}

/// Refuses control characters, but for a carriage return.
pub(super) fn check_characters(bytes: &[u8]) -> Result<(), BadHead> {
    let bad = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\r')) || *byte == 0x7f;
    if bytes.iter().any(bad) {
        return Err(BadHead::Characters);
    }
    Ok(())
}

/// A number of digits only; `None` too if it is too large.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a header's name may have it. Source: RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A class of bytes: ASCII's letters and digits, and these.
pub(super) const fn letters_digits_and(symbols: &[u8]) -> [bool; 256] {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < symbols.len() {
        class[symbols[at] as usize] = true;
        at += 1;
    }
    class
}

/// Whether a text is `HTTP/`, a digit, a dot and a digit; and whether it is HTTP/1.1 or later.
pub(super) fn version(text: &[u8]) -> Option<Version> {
    match text.strip_prefix(b"HTTP/")? {
        b"1.1" => Some(Version::Http11),
        b"1.0" => Some(Version::Http10),
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some(Version::Other {
                persistent: (*major, *minor) > (b'1', b'0'),
            })
        }
        _ => None,
    }
}

/// A version of HTTP/1's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http11,
    Http10,
    /// Any other, and whether its connections stay open by default.
    Other {
        persistent: bool,
    },
}
