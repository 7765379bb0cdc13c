//! Route matching by path, headers and query: Envoy's `RouteMatch`.

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;

use super::re2;

/// The parts of a request that routes are matched against.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The host and port of the request (`:authority`).
    pub authority: &'a str,
    pub scheme: &'a str,
    pub headers: &'a HeaderMap,
}

/// The conditions of a route, all of which must match.
#[derive(Clone, Debug)]
pub struct RouteMatcher {
    /// The condition on the path without its query.
    pub path: PathMatcher,
    pub headers: Vec<HeaderMatcher>,
    pub query: Vec<QueryMatcher>,
}

#[derive(Clone, Debug)]
pub enum PathMatcher {
    Any,
    String(StringMatcher),
    /// This path or one below it: `/a` matches `/a` and `/a/b`, but not `/ab`. The flag is true if case is ignored.
    Below(Box<str>, bool),
}

/// A condition on a string. The texts of variants that ignore case are stored in lower case.
#[derive(Clone, Debug)]
pub enum StringMatcher {
    Exact(Box<str>),
    ExactIgnoringCase(Box<str>),
    Prefix(Box<str>),
    PrefixIgnoringCase(Box<str>),
    Suffix(Box<str>),
    SuffixIgnoringCase(Box<str>),
    Contains(Box<str>),
    /// A substring, in lower case, found in any case.
    ContainsIgnoringCase(Box<str>),
    /// A regular expression that must match the whole string.
    Regex(Regex),
}

/// A condition on the value of a header or query parameter.
#[derive(Clone, Debug)]
pub enum ValueMatcher {
    /// True: must be present. False: must be absent.
    Present(bool),
    /// Must be present and match.
    String(StringMatcher),
    /// A decimal integer in the half-open range from the first to the second. Headers only.
    Range(i64, i64),
}

#[derive(Clone, Debug)]
pub struct HeaderMatcher {
    pub name: HeaderKey,
    /// The condition on the value. If there are several values, at least one must match.
    pub value: ValueMatcher,
    /// True if the result is inverted.
    pub invert: bool,
    /// True if an absent header is treated as an empty one. Otherwise an absent header never matches, inverted or
    /// not, unless the condition is on presence itself.
    pub missing_is_empty: bool,
}

/// A header or pseudo-header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderKey {
    Name(HeaderName),
    Method,
    /// `:path`, including the query.
    Path,
    Authority,
    Scheme,
}

/// A condition on a query parameter. The first of several values counts. Values are not percent-decoded.
#[derive(Clone, Debug)]
pub struct QueryMatcher {
    pub name: Box<str>,
    /// The condition on the value. A parameter without `=` has an empty value.
    pub value: ValueMatcher,
}

impl RouteMatcher {
    /// Returns true if the request matches all conditions.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        self.path.matches(request.path)
            && self.headers.iter().all(|header| header.matches(request))
            && self
                .query
                .iter()
                .all(|parameter| parameter.matches(request.path))
    }
}

impl PathMatcher {
    /// Returns true if the path, given with its query, matches.
    pub fn matches(&self, path_and_query: &str) -> bool {
        let path = || path_and_query.split(['?', '#']).next().unwrap_or_default();
        match self {
            PathMatcher::Any => true,
            PathMatcher::String(matcher) => matcher.matches(path().as_bytes()),
            PathMatcher::Below(prefix, ignore_case) => {
                let path = path().as_bytes();
                let Some((head, rest)) = path.split_at_checked(prefix.len()) else {
                    return false;
                };
                let same = if *ignore_case {
                    head.eq_ignore_ascii_case(prefix.as_bytes())
                } else {
                    head == prefix.as_bytes()
                };
                same && (rest.is_empty() || rest[0] == b'/')
            }
        }
    }
}

impl StringMatcher {
    /// A regular expression in RE2's syntax that must match the whole string.
    ///
    /// # Errors
    /// The reason why RE2 would refuse the expression.
    pub fn regex(expression: &str) -> Result<Self, String> {
        Ok(StringMatcher::Regex(re2::compile_whole(expression)?))
    }

    /// Returns true if the text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let head = |of: &str| text.get(..of.len());
        let tail = |of: &str| text.len().checked_sub(of.len()).map(|start| &text[start..]);
        match self {
            StringMatcher::Exact(of) => text == of.as_bytes(),
            StringMatcher::ExactIgnoringCase(of) => text.eq_ignore_ascii_case(of.as_bytes()),
            StringMatcher::Prefix(of) => text.starts_with(of.as_bytes()),
            StringMatcher::PrefixIgnoringCase(of) => {
                head(of).is_some_and(|head| head.eq_ignore_ascii_case(of.as_bytes()))
            }
            StringMatcher::Suffix(of) => text.ends_with(of.as_bytes()),
            StringMatcher::SuffixIgnoringCase(of) => {
                tail(of).is_some_and(|tail| tail.eq_ignore_ascii_case(of.as_bytes()))
            }
            StringMatcher::Contains(of) => contains(text, of.as_bytes()),
            StringMatcher::ContainsIgnoringCase(of) => {
                contains(&text.to_ascii_lowercase(), of.as_bytes())
            }
            StringMatcher::Regex(regex) => regex.is_match(text),
        }
    }
}

impl HeaderMatcher {
    /// Returns true if the request's header matches. Each value is tested separately, and one match is enough. If
    /// inverted, no value may match. Source: Envoy 1.40, observed behaviour.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let is_such = |value: &[u8]| match &self.value {
            ValueMatcher::Present(_) => true,
            ValueMatcher::String(string) => string.matches(value),
            ValueMatcher::Range(from, below) => std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.parse::<i64>().ok())
                .is_some_and(|number| (*from..*below).contains(&number)),
        };
        let mut values = self.name.values(request).peekable();
        let there = values.peek().is_some();
        if let ValueMatcher::Present(wanted) = self.value {
            return (there == wanted) != self.invert;
        }
        if there {
            values.any(is_such) != self.invert
        } else {
            self.missing_is_empty && is_such(b"") != self.invert
        }
    }
}

impl HeaderKey {
    /// The key for a header name, including pseudo-headers. `None` if the name is not a valid header name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            ":method" => HeaderKey::Method,
            ":path" => HeaderKey::Path,
            // The HTTP/1.1 `host` header is stored as the authority.
            ":authority" | "host" => HeaderKey::Authority,
            ":scheme" => HeaderKey::Scheme,
            other => HeaderKey::Name(HeaderName::try_from(other).ok()?),
        })
    }

    /// The request's values of this header, in order.
    fn values<'a>(&self, request: &RequestView<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (one, all) = match self {
            HeaderKey::Method => (Some(request.method.as_bytes()), None),
            HeaderKey::Path => (Some(request.path.as_bytes()), None),
            HeaderKey::Authority => (Some(request.authority.as_bytes()), None),
            HeaderKey::Scheme => (Some(request.scheme.as_bytes()), None),
            HeaderKey::Name(name) => (None, Some(request.headers.get_all(name))),
        };
        let all = all.into_iter().flatten().map(http::HeaderValue::as_bytes);
        one.into_iter().chain(all)
    }

    /// The request's first value of this header.
    pub fn first<'a>(&self, request: &RequestView<'a>) -> Option<&'a [u8]> {
        self.values(request).next()
    }
}

/// Returns the first value of a query parameter. A parameter without `=` has an empty value. As in Envoy, values are
/// not percent-decoded.
pub fn query_value<'a>(path_and_query: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = path_and_query.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value)
    })
}

impl QueryMatcher {
    /// Returns true if the path's query contains a matching parameter.
    pub fn matches(&self, path_and_query: &str) -> bool {
        let found = query_value(path_and_query, &self.name);
        match (&self.value, found) {
            (ValueMatcher::Present(wanted), found) => found.is_some() == *wanted,
            (ValueMatcher::String(string), Some(value)) => string.matches(value.as_bytes()),
            (ValueMatcher::String(_), None) | (ValueMatcher::Range(..), _) => false,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
