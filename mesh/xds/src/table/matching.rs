//! Whether a request is a route's: path, headers and query. Envoy's `RouteMatch`.

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;

use super::re2;

/// What routes look at of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The host and port asked for.
    pub authority: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// What a route takes: all of these must hold.
#[derive(Clone, Debug)]
pub struct RouteMatcher {
    /// Of the path, without its query.
    pub path: PathMatcher,
    /// Of the headers.
    pub headers: Vec<HeaderMatcher>,
    /// Of the query.
    pub query: Vec<QueryMatcher>,
}

/// What a path must be.
#[derive(Clone, Debug)]
pub enum PathMatcher {
    /// Anything.
    Any,
    /// As a string.
    String(StringMatcher),
    /// This path, or one below it: `/a` takes `/a` and `/a/b`, not `/ab`. The flag: whether case is ignored.
    Below(Box<str>, bool),
}

/// What a text must be. Those in lower case are compared without regard to case.
#[derive(Clone, Debug)]
pub enum StringMatcher {
    /// This.
    Exact(Box<str>),
    /// This, whatever the case of letters.
    ExactIgnoringCase(Box<str>),
    /// Begins with this.
    Prefix(Box<str>),
    /// Begins with this, whatever the case of letters.
    PrefixIgnoringCase(Box<str>),
    /// Ends with this.
    Suffix(Box<str>),
    /// Ends with this, whatever the case of letters.
    SuffixIgnoringCase(Box<str>),
    /// Contains this.
    Contains(Box<str>),
    /// Contains this, given in lower case, whatever the case of letters.
    ContainsIgnoringCase(Box<str>),
    /// Matches as a whole.
    Regex(Regex),
}

/// What a header's or parameter's value must be.
#[derive(Clone, Debug)]
pub enum ValueMatcher {
    /// There (true), or not there (false).
    Present(bool),
    /// There, and such.
    String(StringMatcher),
    /// There, and a whole number from the first to below the second. Of headers only.
    Range(i64, i64),
}

/// What a header must be.
#[derive(Clone, Debug)]
pub struct HeaderMatcher {
    /// Which.
    pub name: HeaderKey,
    /// Its value; of several one at least.
    pub value: ValueMatcher,
    /// Whether the result is turned round.
    pub invert: bool,
    /// Whether a missing header counts as an empty one. Otherwise a missing one never matches, turned round or not,
    /// unless presence itself is asked.
    pub missing_is_empty: bool,
}

/// A header, or a pseudo-header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderKey {
    /// A header.
    Name(HeaderName),
    /// `:method`.
    Method,
    /// `:path`, with its query.
    Path,
    /// `:authority`.
    Authority,
    /// `:scheme`.
    Scheme,
}

/// What a parameter of the query must be. Of several values of a name, the first counts; nothing is unescaped.
#[derive(Clone, Debug)]
pub struct QueryMatcher {
    /// Its name.
    pub name: Box<str>,
    /// Its value; one without `=` is empty.
    pub value: ValueMatcher,
}

impl RouteMatcher {
    /// Whether the request is the route's.
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
    /// Whether a path, given with its query, is such.
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
    /// A text that must match the expression as a whole, in RE2's syntax.
    ///
    /// # Errors
    /// The reason why RE2 would refuse the expression.
    pub fn regex(expression: &str) -> Result<Self, String> {
        Ok(StringMatcher::Regex(re2::compile_whole(expression)?))
    }

    /// Whether a text is such.
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
    /// Whether the request's header is such. Each value is looked at alone, and one that is such is enough; turned round,
    /// none may be. Source: Envoy 1.40, seen by asking it.
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
    /// The header of a name, pseudo-headers included; `None` if the name is not one.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            ":method" => HeaderKey::Method,
            ":path" => HeaderKey::Path,
            // What HTTP/1.1 calls host is kept as the authority.
            ":authority" | "host" => HeaderKey::Authority,
            ":scheme" => HeaderKey::Scheme,
            other => HeaderKey::Name(HeaderName::try_from(other).ok()?),
        })
    }

    /// The request's values of it, in order.
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

    /// The request's first value of it.
    pub fn first<'a>(&self, request: &RequestView<'a>) -> Option<&'a [u8]> {
        self.values(request).next()
    }
}

/// The first value of a parameter in a path's query; one without `=` is empty. Nothing is unescaped, as in Envoy.
pub fn query_value<'a>(path_and_query: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = path_and_query.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value)
    })
}

impl QueryMatcher {
    /// Whether a path's query has such a parameter.
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
