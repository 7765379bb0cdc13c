//! What of a request makes its hash, by which consistent hashing chooses a host. Source: Envoy, `RouteAction.HashPolicy`.

use std::time::Duration;

use http::HeaderName;

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
    /// The values of a header.
    Header(HeaderName),
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
