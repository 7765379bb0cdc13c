//! Path and host rewrites, and redirects.

use http::header::{HeaderName, HeaderValue};
use regex::bytes::Regex;

use super::re2;

/// The changes to a request's path and host before it is forwarded.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    pub path: Option<PathRewrite>,
    pub host: Option<HeaderValue>,
    /// The request header whose value becomes the host, if the request contains it.
    pub host_header: Option<HeaderName>,
}

/// A change to a path. The query is kept.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// Replaces the part that the route matched.
    Prefix {
        /// The length of the matched part, in bytes. `None`: the whole path.
        matched: Option<usize>,
        /// The replacement.
        with: Box<str>,
    },
    /// Replaces all matches of an expression.
    Regex(Substitution),
}

/// A regular expression with the replacement for its matches.
#[derive(Clone, Debug)]
pub struct Substitution {
    regex: Regex,
    parts: Vec<Piece>,
}

/// A piece of the replacement: literal text or a capture group.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

/// A redirect. Source: Envoy, `RedirectAction`.
#[derive(Clone, Debug)]
pub struct Redirect {
    pub status: u16,
    /// The new scheme. `None`: unchanged.
    pub scheme: Option<Box<str>>,
    /// The new host, optionally with a port. `None`: unchanged.
    pub host: Option<Box<str>>,
    pub port: Option<u16>,
    /// The new path. `None`: unchanged.
    pub path: Option<PathRedirect>,
    /// True if the query is removed.
    pub strip_query: bool,
}

/// The path of a redirect.
#[derive(Clone, Debug)]
pub enum PathRedirect {
    /// A replacement. If it contains a query, that replaces the request's query.
    Whole(Box<str>),
    /// The request's path, rewritten.
    Rewritten(PathRewrite),
}

impl PathRewrite {
    /// Returns the new path and query.
    pub fn apply(&self, path_and_query: &str) -> Vec<u8> {
        let end = path_and_query
            .find(['?', '#'])
            .unwrap_or(path_and_query.len());
        let (path, query) = path_and_query.as_bytes().split_at(end);
        let mut new = match self {
            PathRewrite::Prefix { matched, with } => {
                let matched = matched.unwrap_or(path.len()).min(path.len());
                [with.as_bytes(), &path[matched..]].concat()
            }
            PathRewrite::Regex(substitution) => substitution.apply(path),
        };
        new.extend_from_slice(query);
        new
    }
}

impl Substitution {
    /// Parses an expression in RE2's syntax, and a replacement in which `\1` to `\9` are the capture groups, `\0` is
    /// the whole match, and `\\` is a backslash.
    ///
    /// # Errors
    /// A message that names the problem in either of them.
    pub fn new(expression: &str, text: &str) -> Result<Self, String> {
        let regex = re2::compile(expression)
            .map_err(|error| format!("invalid regular expression `{expression}` (RE2): {error}"))?;
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                plain.push(byte);
                continue;
            }
            match bytes.next() {
                Some(b'\\') => plain.push(b'\\'),
                Some(digit @ b'0'..=b'9') => {
                    let group = usize::from(digit - b'0');
                    if group >= regex.captures_len() {
                        let most = regex.captures_len() - 1;
                        return Err(format!(
                            "`{text}` refers to group {group}, but `{expression}` has only {most}"
                        ));
                    }
                    if !plain.is_empty() {
                        parts.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Piece::Group(group));
                }
                _ => {
                    return Err(format!(
                        "`{text}` has an invalid `\\`: expected `\\0` to `\\9`, or `\\\\`"
                    ));
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Piece::Text(plain.into()));
        }
        Ok(Substitution { regex, parts })
    }

    /// Returns the text with all matches replaced.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(text.len());
        let mut done = 0;
        for found in self.regex.captures_iter(text) {
            let whole = found.get(0).expect("group 0 is the whole match");
            new.extend_from_slice(&text[done..whole.start()]);
            for part in &self.parts {
                match part {
                    Piece::Text(text) => new.extend_from_slice(text),
                    Piece::Group(group) => {
                        let group = found.get(*group).map_or(&b""[..], |group| group.as_bytes());
                        new.extend_from_slice(group);
                    }
                }
            }
            done = whole.end();
        }
        new.extend_from_slice(&text[done..]);
        new
    }
}

impl Redirect {
    /// Returns the value of the `location` header. `scheme` is that of the request. Source: Envoy,
    /// `Http::Utility::newUri`.
    pub fn location(&self, scheme: &str, authority: &str, path_and_query: &str) -> Vec<u8> {
        let new_scheme = self.scheme.as_deref().unwrap_or(scheme);
        let mut uri = Vec::with_capacity(64);
        uri.extend_from_slice(new_scheme.as_bytes());
        uri.extend_from_slice(b"://");
        match &self.host {
            Some(host) => uri.extend_from_slice(host.as_bytes()),
            None => {
                let host = self.kept_host(scheme, new_scheme, authority);
                uri.extend_from_slice(host.as_bytes());
            }
        }
        if let Some(port) = self.port {
            uri.extend_from_slice(format!(":{port}").as_bytes());
        }
        self.write_path(path_and_query, &mut uri);
        uri
    }

    /// Returns the request's host. The port is removed if the redirect sets another, or if it was the default port of
    /// the old scheme and the scheme changes.
    fn kept_host<'a>(&self, scheme: &str, new_scheme: &str, authority: &'a str) -> &'a str {
        let colon = if authority.starts_with('[') {
            authority.rfind("]:").map(|at| at + 1)
        } else {
            authority.rfind(':')
        };
        let Some(colon) = colon else { return authority };
        let port = &authority[colon..];
        let schemes_own =
            (scheme == "http" && port == ":80") || (scheme == "https" && port == ":443");
        if self.port.is_some() || (scheme != new_scheme && schemes_own) {
            &authority[..colon]
        } else {
            authority
        }
    }

    fn write_path(&self, path_and_query: &str, uri: &mut Vec<u8>) {
        let query = path_and_query.find('?').map(|at| &path_and_query[at..]);
        match &self.path {
            Some(PathRedirect::Whole(path)) => {
                if !path.starts_with('/') {
                    uri.push(b'/');
                }
                uri.extend_from_slice(path.as_bytes());
                // A query in the configured path replaces that of the request.
                if !self.strip_query && !path.contains('?') {
                    uri.extend_from_slice(query.unwrap_or_default().as_bytes());
                }
                return;
            }
            Some(PathRedirect::Rewritten(rewrite)) => {
                uri.extend_from_slice(&rewrite.apply(path_and_query));
            }
            None => uri.extend_from_slice(path_and_query.as_bytes()),
        }
        if self.strip_query {
            uri.truncate(uri.len() - query.unwrap_or_default().len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(matched: Option<usize>, with: &str, path: &str) -> String {
        let rewrite = PathRewrite::Prefix {
            matched,
            with: with.into(),
        };
        String::from_utf8(rewrite.apply(path)).unwrap()
    }

    #[test]
    fn what_matched_is_exchanged_and_the_query_stays() {
        assert_eq!(prefix(Some(3), "/new", "/rw/x?q=1"), "/new/x?q=1");
        assert_eq!(prefix(Some(3), "/", "/rw"), "/");
        assert_eq!(prefix(Some(1), "/new", "/x"), "/newx");
        assert_eq!(prefix(None, "/y", "/exact?c"), "/y?c");
    }

    fn replaced(expression: &str, text: &str, path: &str) -> String {
        let substitution = Substitution::new(expression, text).unwrap();
        let rewrite = PathRewrite::Regex(substitution);
        String::from_utf8(rewrite.apply(path)).unwrap()
    }

    #[test]
    fn all_that_an_expression_finds_is_exchanged_outside_the_query() {
        let swap = "/([a-z]+)/(.*)";
        assert_eq!(
            replaced(swap, r"/\2/x/\1", "/abc/def?/q/r"),
            "/def/x/abc?/q/r"
        );
        assert_eq!(replaced("a", r"\0\0", "/aba"), "/aabaa");
        assert_eq!(replaced("a", r"\\", "/a"), r"/\");
        assert_eq!(replaced("z", "", "/a"), "/a");
    }

    #[test]
    fn a_group_that_the_expression_does_not_have_is_refused() {
        let error = |text| Substitution::new("(a)", text).unwrap_err();
        assert_eq!(
            error(r"\2"),
            r"`\2` refers to group 2, but `(a)` has only 1"
        );
        assert!(error(r"\x").contains("expected"));
        assert!(Substitution::new("(", "").unwrap_err().contains("unclosed"));
    }

    const PLAIN: Redirect = Redirect {
        status: 301,
        scheme: None,
        host: None,
        port: None,
        path: None,
        strip_query: false,
    };

    fn location(redirect: &Redirect, authority: &str, path: &str) -> String {
        String::from_utf8(redirect.location("http", authority, path)).unwrap()
    }

    #[test]
    fn a_redirect_keeps_what_it_does_not_name() {
        assert_eq!(location(&PLAIN, "t:8", "/p?q"), "http://t:8/p?q");
        let host = Redirect {
            host: Some("other:99".into()),
            ..PLAIN
        };
        assert_eq!(location(&host, "t", "/p?q"), "http://other:99/p?q");
    }

    #[test]
    fn a_port_goes_with_its_scheme_or_for_another() {
        let https = Redirect {
            scheme: Some("https".into()),
            ..PLAIN
        };
        assert_eq!(location(&https, "t:80", "/"), "https://t/");
        assert_eq!(location(&https, "t:8080", "/"), "https://t:8080/");
        let http = Redirect {
            scheme: Some("http".into()),
            ..PLAIN
        };
        let from_https =
            |authority: &str| String::from_utf8(http.location("https", authority, "/")).unwrap();
        assert_eq!(from_https("t:443"), "http://t/");
        assert_eq!(from_https("t:80"), "http://t:80/");
        assert_eq!(from_https("[::1]:443"), "http://[::1]/");
        let port = Redirect {
            port: Some(8443),
            ..PLAIN
        };
        assert_eq!(location(&port, "t:1", "/"), "http://t:8443/");
        assert_eq!(location(&port, "[::1]:1", "/"), "http://[::1]:8443/");
        assert_eq!(location(&port, "[::1]", "/"), "http://[::1]:8443/");
    }

    #[test]
    fn a_new_path_takes_the_old_query_unless_it_has_its_own() {
        let path = |path: &str, strip_query| Redirect {
            path: Some(PathRedirect::Whole(path.into())),
            strip_query,
            ..PLAIN
        };
        assert_eq!(location(&path("/n", false), "t", "/p?q"), "http://t/n?q");
        assert_eq!(location(&path("/n?z", false), "t", "/p?q"), "http://t/n?z");
        assert_eq!(location(&path("/n", true), "t", "/p?q"), "http://t/n");
        let prefix = Redirect {
            path: Some(PathRedirect::Rewritten(PathRewrite::Prefix {
                matched: Some(2),
                with: "/n".into(),
            })),
            strip_query: true,
            ..PLAIN
        };
        assert_eq!(location(&prefix, "t", "/p/x?q"), "http://t/n/x");
    }
}
