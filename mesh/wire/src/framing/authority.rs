//! Checks of authorities and request targets. Source: Envoy, `BalsaParser`'s `isUrlValid`, `Http::Utility::Url`, and
//! `HeaderUtility::authorityIsValid`.

use super::head::{BadHead, letters_digits_and};

/// A request target that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestTarget<'t> {
    /// The offset and length of user information that is dropped.
    pub(super) user: Option<(usize, usize)>,
    /// The path and query of the target.
    pub(super) path: &'t [u8],
}

/// Returns true if an authority consists only of characters that are allowed in one. An empty authority is valid but
/// matches no virtual host.
pub(crate) fn is_valid(authority: &[u8]) -> bool {
    authority.iter().all(|byte| HOST[*byte as usize])
}

static HOST: [bool; 256] = letters_digits_and(b"!$%&'()*+,-.:;=@[]_~");

/// Checks the target of a request with this method.
pub(super) fn check<'t>(method: &[u8], target: &'t [u8]) -> Result<RequestTarget<'t>, BadHead> {
    let origin = |path| Ok(RequestTarget { user: None, path });
    if !target.iter().all(u8::is_ascii_graphic) || target.is_empty() {
        return Err(BadHead::Syntax);
    }
    match (method, target[0]) {
        (b"CONNECT", b'/' | b'*') => Err(BadHead::Url),
        (b"CONNECT", _) => {
            if target.contains(&b'/') || target.contains(&b'?') || !is_host_and_port(target) {
                return Err(BadHead::Url);
            }
            origin(&[][..])
        }
        (_, b'/') => origin(target),
        (b"OPTIONS", b'*') if target == b"*" => origin(&[][..]),
        (_, b'*') => Err(BadHead::Url),
        _ => absolute(target),
    }
}

/// Checks a target with a scheme and an authority.
fn absolute(target: &[u8]) -> Result<RequestTarget<'_>, BadHead> {
    let scheme = target
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let scheme = scheme.count();
    let rest = target[scheme..]
        .strip_prefix(b"://")
        .ok_or(BadHead::Syntax)?;
    if !target[0].is_ascii_alphabetic() {
        return Err(BadHead::Syntax);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    if !is_valid(authority) || authority.windows(2).any(|pair| pair == b"@@") {
        return Err(BadHead::Syntax);
    }
    let user = authority
        .iter()
        .rposition(|byte| *byte == b'@')
        .map(|at| at + 1);
    let host = &authority[user.unwrap_or(0)..];
    let port = host
        .iter()
        .rposition(|byte| *byte == b':')
        .filter(|_| !host.ends_with(b"]"));
    let has_port = port.is_none_or(|port| is_port(&host[port + 1..]));
    if host.is_empty() || port == Some(0) || !has_port {
        return Err(BadHead::Url);
    }
    let is_scheme = |known: &str| target[..scheme].eq_ignore_ascii_case(known.as_bytes());
    if !is_scheme("http") && !is_scheme("https") {
        return Err(BadHead::Scheme);
    }
    Ok(RequestTarget {
        user: user.map(|length| (scheme + 3, length)),
        path,
    })
}

fn is_host_and_port(target: &[u8]) -> bool {
    let Some(colon) = target.iter().rposition(|byte| *byte == b':') else {
        return false;
    };
    let (host, port) = (&target[..colon], &target[colon + 1..]);
    !host.is_empty() && is_valid(host) && !host.contains(&b'@') && is_port(port)
}

fn is_port(digits: &[u8]) -> bool {
    super::head::number(digits).is_some_and(|port| port <= 65_535)
}
