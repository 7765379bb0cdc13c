//! What of a request makes its hash, by which consistent hashing chooses a host. Source: Envoy, `RouteAction.HashPolicy`.

use std::time::Duration;

use http::header::{COOKIE, HeaderMap};

use super::matching::HeaderKey;

/// One part of a request's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// What is hashed.
    pub by: HashBy,
    /// Whether the parts after it are left out, once there is a hash.
    pub terminal: bool,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The values of a header, or of a pseudo-header.
    Header(HeaderKey),
    /// The value of a cookie.
    Cookie(HashCookie),
    /// The caller's IP address.
    SourceIp,
    /// The first value of a parameter of the query, as it stands there.
    Query(Box<str>),
}

/// A cookie, and how the proxy makes it where the caller has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    /// Its name.
    pub name: Box<str>,
    /// How long the caller is to keep it, in whole seconds; zero: as long as its session. `None`: it is not made.
    pub ttl: Option<Duration>,
    /// Its path; may be empty.
    pub path: Box<str>,
    /// Its further attributes, with a value or an empty one.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// The value of a cookie; quotes round it are taken off.
/// Source: Envoy, `Utility::parseCookieValue`.
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
