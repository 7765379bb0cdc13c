//! The parts of a request that form its hash for consistent hashing. Source: Envoy, `RouteAction.HashPolicy`.

use std::time::Duration;

use http::header::{COOKIE, HeaderMap};

use super::matching::HeaderKey;

/// A component of a request's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    pub by: HashBy,
    /// True if the later components are skipped once there is a hash.
    pub terminal: bool,
}

/// The hashed part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The values of a header or pseudo-header.
    Header(HeaderKey),
    Cookie(HashCookie),
    SourceIp,
    /// The first value of a query parameter, not percent-decoded.
    Query(Box<str>),
}

/// A cookie, which the proxy generates if the caller sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    pub name: Box<str>,
    /// The lifetime of a generated cookie, in whole seconds. Zero: a session cookie. `None`: no cookie is generated.
    pub ttl: Option<Duration>,
    /// The cookie path. May be empty.
    pub path: Box<str>,
    /// Further attributes, by name. A value may be empty.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// Returns the value of a cookie without its surrounding quotes. Source: Envoy, `Utility::parseCookieValue`.
pub fn cookie_value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let all = headers.get_all(COOKIE);
    all.iter().find_map(|header| {
        header
            .as_bytes()
            .split(|byte| *byte == b';')
            .find_map(|pair| {
                let start = pair.iter().position(|byte| *byte != b' ')?;
                let pair = &pair[start..];
                let equals = pair.iter().position(|byte| *byte == b'=')?;
                if &pair[..equals] != name.as_bytes() {
                    return None;
                }
                let value = &pair[equals + 1..];
                match value {
                    [b'"', inner @ .., b'"'] => Some(inner),
                    _ => Some(value),
                }
            })
    })
}
