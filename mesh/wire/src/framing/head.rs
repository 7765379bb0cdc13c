//! Parsing of heads: the end of a head, and the header lines that requests and responses have in common.
//!
//! Source: Envoy's `BalsaParser` with quiche's `BalsaFrame`, confirmed by sending requests to Envoy
//! (`tests/differential`, "framing: ...").

use http::StatusCode;
use memchr::memchr;

/// The reason why a head is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// The bytes are not an HTTP/1 message.
    #[error("invalid HTTP/1.1 message")]
    Syntax,
    #[error("invalid character in a head")]
    Characters,
    /// A content length together with a transfer coding.
    #[error("invalid framing: a content-length together with a transfer-encoding")]
    LengthAndCoding,
    /// A transfer coding other than `chunked`.
    #[error("invalid transfer-encoding: expected `chunked`")]
    Coding,
    /// The head exceeds the limit in bytes.
    #[error("invalid head: too long")]
    TooLarge,
    /// More than 100 headers.
    #[error("invalid head: too many headers")]
    TooMany,
    /// A request target without a host, or with an invalid one.
    #[error("invalid request target")]
    Url,
    /// An absolute target with a scheme other than `http` or `https`.
    #[error("invalid scheme of a request target: expected http or https")]
    Scheme,
    /// A `host` with characters that are not allowed in an authority.
    #[error("invalid host")]
    Authority,
    /// A fragment in the target.
    #[error("invalid request target: it contains a fragment")]
    Fragment,
    /// A request of a version other than HTTP/1.1.
    #[error("invalid version: expected HTTP/1.1")]
    Version,
    /// The head did not end in time.
    #[error("unfinished head: timed out")]
    Late,
}

impl BadHead {
    /// Returns the status of the response to a request with this head.
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

/// The maximum number of headers of a message. Source: Envoy, `max_headers_count`, default 100.
const HEADERS_MAX: usize = 100;

/// Returns the end of the first head in `bytes`, if it is complete. The first `searched` bytes are known not to contain
/// the end.
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

/// The headers that determine a message's framing.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The number of content lengths, and the last one. `length` is `None` if that is not a number.
    pub(super) lengths: usize,
    pub(super) length: Option<u64>,
    /// The number of transfer codings. `chunked` is true if the last one is exactly `chunked`.
    pub(super) codings: usize,
    pub(super) chunked: bool,
    /// True if the message has an `upgrade` header.
    pub(super) upgrade: bool,
    /// True if `connection` is `keep-alive`, which keeps an HTTP/1.0 connection open.
    pub(super) keep_alive: bool,
    /// True if any `host` is not a valid authority.
    pub(super) bad_host: bool,
    /// True if hyper would not accept the header lines as received.
    pub(super) odd: bool,
}

/// Splits a head into its first line and the lines after it.
pub(super) fn split(head: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b'\n', head);
    let (line, lines) = head.split_at(end.map_or(head.len(), |end| end + 1));
    (line, lines)
}

/// Iterates over lines without their ends, up to an empty one.
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
    /// Parses the header lines of a head.
    pub(super) fn parse(bytes: &[u8]) -> Result<Fields, BadHead> {
        let mut fields = Fields::default();
        let mut count = 0;
        for line in lines(bytes) {
            if matches!(line[0], b' ' | b'\t') {
                // A folded line. Source: RFC 9112, section 5.2.
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
            // Envoy reports a control character first.
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

    /// Returns true if there is more than one length, or one that is not a number.
    pub(super) fn has_bad_length(&self) -> bool {
        self.lengths > 1 || (self.lengths == 1 && self.length.is_none())
    }

    /// Returns true if there is a coding other than a single `chunked`.
    pub(super) fn has_bad_coding(&self) -> bool {
        self.codings > 1 || (self.codings == 1 && !self.chunked)
    }
}

/// Writes header lines with each folded line joined, and without the carriage returns that Envoy drops.
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

/// Returns true if any byte is a control character other than a tab.
fn has_controls(bytes: &[u8]) -> bool {
    // No early exit, so that the loop can be vectorized.
    bytes.iter().fold(false, |found, byte| {
        found | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f)
    })
}

/// Rejects control characters other than a tab or a carriage return.
pub(super) fn check_characters(bytes: &[u8]) -> Result<(), BadHead> {
    let bad = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\r')) || *byte == 0x7f;
    if bytes.iter().any(bad) {
        return Err(BadHead::Characters);
    }
    Ok(())
}

/// Parses a number that consists of digits only. `None` also if it overflows.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns true if the byte is allowed in a header's name. Source: RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A table of ASCII's letters and digits, and the given symbols.
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

/// Parses a version, which must be `HTTP/`, a digit, a dot and a digit.
pub(super) fn version(text: &[u8]) -> Option<Http1Version> {
    match text.strip_prefix(b"HTTP/")? {
        b"1.1" => Some(Http1Version::Http11),
        b"1.0" => Some(Http1Version::Http10),
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some(Http1Version::Other {
                persistent: (*major, *minor) > (b'1', b'0'),
            })
        }
        _ => None,
    }
}

/// A version of the form that HTTP/1 uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http1Version {
    Http11,
    Http10,
    /// Any other version. `persistent`: its connections stay open by default.
    Other {
        persistent: bool,
    },
}
