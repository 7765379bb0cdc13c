//! Whether a request is a route's: path, headers and query. Envoy's `RouteMatch`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;

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
}

/// What a header must be.
#[derive(Clone, Debug)]
pub struct HeaderMatcher {
    /// Which.
    pub name: HeaderKey,
    /// Its value; several are joined by commas.
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
    /// What is wrong with the expression.
    pub fn regex(expression: &str) -> Result<Self, regex::Error> {
        Ok(StringMatcher::Regex(compile_regex(expression)?))
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

/// An expression that must match as a whole: RE2's full match. The group keeps alternatives inside the anchors.
///
/// # Errors
/// What is wrong with the expression.
pub fn compile_regex(expression: &str) -> Result<Regex, regex::Error> {
    // Checked alone first: `a)(b` would be mended by the group.
    Regex::new(expression)?;
    Regex::new(&format!("^(?:{expression})$"))
}

impl HeaderMatcher {
    /// Whether the request's header is such.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let found = self.name.value(request);
        let string = match &self.value {
            ValueMatcher::Present(wanted) => return (found.is_some() == *wanted) != self.invert,
            ValueMatcher::String(string) => string,
        };
        match found {
            Some(value) => string.matches(&value) != self.invert,
            None if self.missing_is_empty => string.matches(b"") != self.invert,
            None => false,
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

    /// The request's value; several are joined by commas.
    fn value<'a>(&self, request: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
        let name = match self {
            HeaderKey::Method => return Some(request.method.as_bytes().into()),
            HeaderKey::Path => return Some(request.path.as_bytes().into()),
            HeaderKey::Authority => return Some(request.authority.as_bytes().into()),
            HeaderKey::Scheme => return Some(request.scheme.as_bytes().into()),
            HeaderKey::Name(name) => name,
        };
        let mut values = request.headers.get_all(name).iter();
        let first = values.next()?.as_bytes();
        let mut joined = Cow::Borrowed(first);
        for value in values {
            let all = joined.to_mut();
            all.push(b',');
            all.extend_from_slice(value.as_bytes());
        }
        Some(joined)
    }
}

impl QueryMatcher {
    /// Whether a path's query has such a parameter.
    pub fn matches(&self, path_and_query: &str) -> bool {
        let query = path_and_query
            .split_once('?')
            .map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let found = query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == &*self.name).then_some(value)
        });
        match (&self.value, found) {
            (ValueMatcher::Present(wanted), found) => found.is_some() == *wanted,
            (ValueMatcher::String(string), Some(value)) => string.matches(value.as_bytes()),
            (ValueMatcher::String(_), None) => false,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
