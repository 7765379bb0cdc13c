//! Checks of request heads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::head::{
    BadHead, Fields, Http1Version, check_characters, is_token, split, version, write_lines,
};
use super::{Checked, Payload, Role, authority};
use crate::WrittenPath;

/// The request that hyper reads in place of a rejected head, so that the service can answer it. The connection closes
/// after the response.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The greatest body length that hyper supports.
const LENGTH_MAX: u64 = u64::MAX - 2;

/// The role of a connection that receives requests.
#[derive(Debug)]
pub(crate) struct RequestFraming {
    watch: Arc<RequestWatch>,
    head_bytes_max: usize,
    /// The number of heads that have been passed on.
    heads: u32,
}

/// The state of a connection's heads, as seen by its server. Atomic because hyper's upgrades require `Send`.
#[derive(Debug, Default)]
pub(crate) struct RequestWatch {
    unfinished: AtomicBool,
    late: AtomicBool,
    refused: OnceLock<(u32, BadHead)>,
    /// The number of the request whose upgrade is undecided, 0 if none is.
    undecided: AtomicU32,
    upgraded: AtomicU8,
    /// True if `paths` is not empty: paths that hyper reads in an encoded form, each with the number of its request.
    has_paths: AtomicBool,
    paths: Mutex<VecDeque<(u32, WrittenPath)>>,
}

const KEPT: u8 = 1;
const UPGRADED: u8 = 2;

impl RequestWatch {
    /// Returns true if a head has begun and is not complete.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Relaxed)
    }

    /// Rejects the unfinished head at the next read, because its time is up.
    pub(crate) fn give_up(&self) {
        self.late.store(true, Relaxed);
    }

    /// Returns the number, from 1, of the request that replaces a rejected head, if any head was rejected.
    pub(crate) fn refused(&self) -> Option<u32> {
        self.refused.get().map(|(number, _)| *number)
    }

    /// Returns the reason of the rejection if this request, numbered from 1, replaces a rejected head.
    pub(crate) fn refusal_of(&self, request: u32) -> Option<BadHead> {
        let (number, why) = self.refused.get()?;
        (*number == request).then_some(*why)
    }

    /// Returns the original path of a request, numbered from 1, if hyper has read an encoded one.
    pub(crate) fn path_of(&self, request: u32) -> Option<WrittenPath> {
        if !self.has_paths.load(Relaxed) {
            return None;
        }
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.front()?.0 != request {
            return None;
        }
        let found = paths.pop_front();
        self.has_paths.store(!paths.is_empty(), Relaxed);
        found.map(|(_, path)| path)
    }

    fn note_path(&self, request: u32, path: WrittenPath) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.push_back((request, path));
        self.has_paths.store(true, Relaxed);
    }

    /// Records the response to a request, numbered from 1.
    pub(crate) fn answered(&self, request: u32, upgraded: bool) {
        if self.undecided.load(Relaxed) == request {
            self.undecided.store(0, Relaxed);
            let verdict = if upgraded { UPGRADED } else { KEPT };
            self.upgraded.store(verdict, Relaxed);
        }
    }
}

impl RequestFraming {
    /// Creates the role of a connection that records the state of its heads in `watch`.
    pub(crate) fn new(watch: &Arc<RequestWatch>, head_bytes_max: usize) -> RequestFraming {
        RequestFraming {
            watch: Arc::clone(watch),
            head_bytes_max,
            heads: 0,
        }
    }
}

impl Role for RequestFraming {
    fn head_bytes_max(&self) -> usize {
        self.head_bytes_max
    }

    fn awaits_head(&self) -> bool {
        true
    }

    fn skips_empty_lines(&self) -> bool {
        true
    }

    fn set_unfinished(&self, unfinished: bool) {
        self.watch.unfinished.store(unfinished, Relaxed);
    }

    fn check(&mut self, head: &[u8]) -> Result<Checked, BadHead> {
        let (checked, path) = check_with_path(head)?;
        self.heads = self.heads.wrapping_add(1);
        if let Some(path) = path {
            self.watch.note_path(self.heads, path);
        }
        if checked.payload == Payload::Undecided {
            self.watch.undecided.store(self.heads, Relaxed);
        }
        Ok(checked)
    }

    fn check_begun(&self, begun: &[u8]) -> Result<(), BadHead> {
        if !is_token(begun[0]) {
            return Err(BadHead::Syntax);
        }
        match split(begun) {
            (line, _) if line.ends_with(b"\n") => RequestLine::parse(line).map(drop),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, why: BadHead) -> Option<&'static [u8]> {
        self.heads = self.heads.wrapping_add(1);
        let _first = self.watch.refused.set((self.heads, why));
        Some(STAND_IN)
    }

    fn interrupted(&self) -> Option<BadHead> {
        self.watch.late.load(Relaxed).then_some(BadHead::Late)
    }

    fn upgraded(&self) -> Option<bool> {
        match self.watch.upgraded.swap(0, Relaxed) {
            0 => None,
            verdict => Some(verdict == UPGRADED),
        }
    }
}

/// Checks the head of a request. Also returns the original path if hyper is to read an encoded one.
pub(super) fn check_with_path(head: &[u8]) -> Result<(Checked, Option<WrittenPath>), BadHead> {
    let (first, lines) = split(head);
    let line = RequestLine::parse(first)?;
    let fields = Fields::parse(lines)?;
    if fields.has_bad_length() && fields.codings == 0 {
        return Err(BadHead::Syntax);
    }
    let target = authority::check(line.method, line.target)?;
    if line.version != Http1Version::Http11 {
        // HTTP/1.0 is passed on, because the service decides about accepting it.
        return match line.version {
            Http1Version::Http10 if fields.codings == 0 => Ok((pass(&fields, line.method), None)),
            _ => Err(BadHead::Version),
        };
    }
    if fields.codings > 0 && fields.lengths > 0 {
        return Err(BadHead::LengthAndCoding);
    }
    if fields.has_bad_coding() {
        return Err(BadHead::Coding);
    }
    if fields.length.is_some_and(|length| length > LENGTH_MAX) {
        return Err(BadHead::Syntax);
    }
    if fields.bad_host {
        return Err(BadHead::Authority);
    }
    if target.path.contains(&b'#') {
        return Err(BadHead::Fragment);
    }
    let mut checked = pass(&fields, line.method);
    let path = str::from_utf8(target.path)
        .ok()
        .and_then(WrittenPath::from_path);
    if fields.odd || line.odd || target.user.is_some() || path.is_some() {
        let encoded = path.as_ref().map(|(_, encoded)| encoded.as_bytes());
        checked.instead = Some(rewritten(&line, target, encoded, lines));
    }
    Ok((checked, path.map(|(path, _)| path)))
}

fn pass(fields: &Fields, method: &[u8]) -> Checked {
    let payload = if fields.chunked {
        Payload::Chunked
    } else if let Some(length) = fields.length.filter(|length| *length > 0) {
        Payload::Sized(length)
    } else if fields.upgrade || method == b"CONNECT" {
        Payload::Undecided
    } else {
        Payload::Sized(0)
    };
    Checked {
        payload,
        instead: None,
    }
}

/// Rewrites the head to its plainest form, with `path` in place of its own path if given.
fn rewritten(
    line: &RequestLine<'_>,
    target: authority::RequestTarget<'_>,
    path: Option<&[u8]>,
    lines: &[u8],
) -> Vec<u8> {
    let before = &line.target[..line.target.len() - target.path.len()];
    let mut head = Vec::with_capacity(line.method.len() + line.target.len() + lines.len() + 16);
    head.extend_from_slice(line.method);
    head.push(b' ');
    match target.user {
        Some((at, length)) => {
            head.extend_from_slice(&before[..at]);
            head.extend_from_slice(&before[at + length..]);
        }
        None => head.extend_from_slice(before),
    }
    head.extend_from_slice(path.unwrap_or(target.path));
    head.extend_from_slice(b" HTTP/1.1\r\n");
    write_lines(lines, &mut head);
    head
}

#[derive(Debug)]
struct RequestLine<'l> {
    method: &'l [u8],
    target: &'l [u8],
    version: Http1Version,
    /// True if its parts are not separated by exactly one space.
    odd: bool,
}

impl<'l> RequestLine<'l> {
    /// Parses a line including its end. A line without a version is HTTP/0.9.
    fn parse(whole: &'l [u8]) -> Result<RequestLine<'l>, BadHead> {
        let line = whole.trim_ascii_end();
        check_characters(line)?;
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let word = |text: &'l [u8]| {
            let end = text.iter().position(is_space).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            (word, rest.trim_ascii_start())
        };
        let (method, rest) = word(line);
        let (target, text) = word(rest);
        if !is_method(method) {
            return Err(BadHead::Syntax);
        }
        let version = match text {
            [] => Http1Version::Other { persistent: false },
            text => version(text).ok_or(BadHead::Syntax)?,
        };
        let plain = method.len() + target.len() + text.len() + 2;
        let end = &whole[line.len()..];
        let odd = line.len() != plain
            || line[method.len()] != b' '
            || line[method.len() + 1 + target.len()] != b' '
            || !matches!(end, b"\r\n" | b"\n");
        Ok(RequestLine {
            method,
            target,
            version,
            odd,
        })
    }
}

/// Returns true if Envoy supports a method. Source: Envoy, `BalsaParser`'s list of methods, which is http-parser's.
fn is_method(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET"
            | b"POST"
            | b"PUT"
            | b"QUERY"
            | b"DELETE"
            | b"HEAD"
            | b"OPTIONS"
            | b"PATCH"
            | b"CONNECT"
            | b"TRACE"
            | b"ACL"
            | b"BIND"
            | b"CHECKOUT"
            | b"COPY"
            | b"LINK"
            | b"LOCK"
            | b"MERGE"
            | b"MKACTIVITY"
            | b"MKCALENDAR"
            | b"MKCOL"
            | b"MOVE"
            | b"MSEARCH"
            | b"NOTIFY"
            | b"PROPFIND"
            | b"PROPPATCH"
            | b"PURGE"
            | b"REBIND"
            | b"REPORT"
            | b"SEARCH"
            | b"SOURCE"
            | b"SUBSCRIBE"
            | b"UNBIND"
            | b"UNLINK"
            | b"UNLOCK"
            | b"UNSUBSCRIBE"
    )
}
