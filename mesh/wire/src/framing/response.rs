//! Checks of response heads.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::head::{BadHead, Fields, Http1Version, check_characters, split, version, write_lines};
use super::{Checked, Line, Payload, Role};

/// The maximum size of a response's head in bytes. Source: Envoy, `MAX_RESPONSE_HEADERS_KB`, 80.
const HEAD_BYTES_MAX: usize = 80 * 1024;
/// The greatest body length that hyper supports.
const LENGTH_MAX: u64 = u64::MAX - 2;

/// The message that a connection expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Awaited {
    /// No request is outstanding, so any bytes are unsolicited.
    Nothing = 0,
    Response = 1,
    /// A response to HEAD, which has no body.
    Headers = 2,
}

/// The expectation of a connection, set by its requests. Atomic because hyper's upgrades require `Send`.
#[derive(Debug, Default)]
pub(crate) struct ResponseWatch {
    awaited: AtomicU8,
    /// True if `line` is set: a request line that replaces the one hyper writes.
    has_line: AtomicBool,
    line: Mutex<Option<Line>>,
}

impl ResponseWatch {
    /// Sets the message that the next request expects.
    pub(crate) fn expect(&self, awaited: Awaited) {
        self.awaited.store(awaited as u8, Relaxed);
    }

    /// Sets the request line that replaces the one hyper writes for the next request.
    pub(crate) fn write_line(&self, line: Option<Line>) {
        if line.is_some() || self.has_line.load(Relaxed) {
            self.has_line.store(line.is_some(), Relaxed);
            *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}

/// The role of a connection that receives responses.
#[derive(Debug)]
pub(crate) struct ResponseFraming(Arc<ResponseWatch>);

impl ResponseFraming {
    /// Creates the role of a connection whose requests set their expectation in `watch`.
    pub(crate) fn new(watch: &Arc<ResponseWatch>) -> ResponseFraming {
        ResponseFraming(Arc::clone(watch))
    }
}

impl Role for ResponseFraming {
    fn head_bytes_max(&self) -> usize {
        HEAD_BYTES_MAX
    }

    fn awaits_head(&self) -> bool {
        self.0.awaited.load(Relaxed) != Awaited::Nothing as u8
    }

    fn skips_empty_lines(&self) -> bool {
        false
    }

    fn set_unfinished(&self, _unfinished: bool) {}

    fn check(&mut self, head: &[u8]) -> Result<Checked, BadHead> {
        let to_head = self.0.awaited.load(Relaxed) == Awaited::Headers as u8;
        let (checked, is_last) = check(head, to_head)?;
        if is_last {
            self.0.expect(Awaited::Nothing);
        }
        Ok(checked)
    }

    fn check_begun(&self, begun: &[u8]) -> Result<(), BadHead> {
        let begin = b"HTTP/";
        let most = begin.len().min(begun.len());
        if begun[..most] != begin[..most] {
            return Err(BadHead::Syntax);
        }
        match split(begun) {
            (line, _) if line.ends_with(b"\n") => StatusLine::parse(line).map(drop),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, _why: BadHead) -> Option<&'static [u8]> {
        None
    }

    fn has_line(&self) -> bool {
        self.0.has_line.load(Relaxed)
    }

    fn line(&self) -> Option<Line> {
        let line = self.0.line.lock();
        line.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line_is_written(&self) {
        self.0.write_line(None);
    }

    fn interrupted(&self) -> Option<BadHead> {
        None
    }

    fn upgraded(&self) -> Option<bool> {
        None
    }
}

/// Checks the head of a response. `to_head`: the request's method was HEAD. The second result is true if this is the
/// final response to its request.
pub(super) fn check(head: &[u8], to_head: bool) -> Result<(Checked, bool), BadHead> {
    let (first, lines) = split(head);
    let line = StatusLine::parse(first)?;
    let fields = Fields::parse(lines)?;
    if fields.has_bad_length() || (fields.codings > 0 && fields.lengths > 0) {
        return Err(BadHead::Syntax);
    }
    if fields.has_bad_coding() || fields.length.is_some_and(|length| length > LENGTH_MAX) {
        return Err(BadHead::Coding);
    }
    let interim = line.status < 200 && line.status != 101;
    let bodiless = line.status < 200 || line.status == 204;
    if bodiless && (fields.codings > 0 || fields.length.is_some_and(|length| length > 0)) {
        // Source: RFC 9110, section 8.6; RFC 9112, section 6.1.
        return Err(BadHead::Syntax);
    }
    let payload = if line.status == 101 {
        Payload::Rest
    } else if bodiless || to_head || line.status == 304 {
        Payload::Sized(0)
    } else if fields.chunked {
        Payload::Chunked
    } else {
        fields.length.map_or(Payload::Rest, Payload::Sized)
    };
    let instead = (fields.odd || line.odd).then(|| rewritten(&line, &fields, lines));
    Ok((Checked { payload, instead }, !interim))
}

/// Rewrites the head as HTTP/1.1, for any received version.
fn rewritten(line: &StatusLine<'_>, fields: &Fields, lines: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(lines.len() + line.reason.len() + 40);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(line.status.to_string().as_bytes());
    head.push(b' ');
    head.extend_from_slice(line.reason);
    head.extend_from_slice(b"\r\n");
    let persistent = match line.version {
        Http1Version::Http11 => true,
        Http1Version::Http10 => fields.keep_alive,
        Http1Version::Other { persistent } => persistent,
    };
    if !persistent {
        head.extend_from_slice(b"connection: close\r\n");
    }
    write_lines(lines, &mut head);
    head
}

#[derive(Debug)]
struct StatusLine<'l> {
    version: Http1Version,
    status: u16,
    reason: &'l [u8],
    /// True if hyper would not accept the line as received.
    odd: bool,
}

impl<'l> StatusLine<'l> {
    fn parse(whole: &'l [u8]) -> Result<StatusLine<'l>, BadHead> {
        let line = whole.trim_ascii_end();
        check_characters(line)?;
        let space = line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        let (text, rest) = line.split_at(space.ok_or(BadHead::Syntax)?);
        let version = version(text).ok_or(BadHead::Syntax)?;
        let after = rest.trim_ascii_start();
        let end = after.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        let (digits, reason) = after.split_at(end.unwrap_or(after.len()));
        let status = super::head::number(digits).filter(|_| digits.len() == 3);
        let status = status
            .filter(|status| *status >= 100)
            .ok_or(BadHead::Syntax)?;
        Ok(StatusLine {
            version,
            status: status as u16,
            reason: reason.trim_ascii_start(),
            odd: version != Http1Version::Http11 || rest.len() != after.len() + 1,
        })
    }
}
