//! Paths of requests as they are written.
//!
//! A [`Uri`] takes no `<`, `>` or backtick in a path, and no `<`, `>` or quotation mark in a query. Envoy takes every visible
//! character, as do those who write JSON into queries. The path of such a request is among its extensions as it is written,
//! and its `Uri` has the odd characters percent-encoded.

use std::fmt::Write as _;
use std::sync::Arc;

use http::request::Parts;
use http::uri::{InvalidUri, PathAndQuery, Uri};

/// Among a request's extensions: its path and query as they are written, where its `Uri` does not take them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPath(Arc<str>);

impl WrittenPath {
    /// The path and query, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, if it is one that a `Uri` does not take; and what that takes in its place.
    pub(crate) fn of(path: &str) -> Option<(WrittenPath, String)> {
        let encoded = encoded(path)?;
        Some((WrittenPath(path.into()), encoded))
    }
}

/// The path and query of a request, as written; `/` where it has none.
pub fn path_of(head: &Parts) -> &str {
    match head.extensions.get::<WrittenPath>() {
        Some(written) => written.as_str(),
        None => head.uri.path_and_query().map_or("/", PathAndQuery::as_str),
    }
}

/// Makes this the path and query of a request.
///
/// # Errors
/// It is none: it has characters that no path may have.
pub fn set_path(head: &mut Parts, path: String) -> Result<(), InvalidUri> {
    let written = WrittenPath::of(&path);
    let new = match &written {
        Some((_, encoded)) => PathAndQuery::try_from(encoded.as_str())?,
        None => PathAndQuery::try_from(path)?,
    };
    head.uri = Uri::from(new);
    match written {
        Some((written, _)) => {
            head.extensions.insert(written);
        }
        None => {
            head.extensions.remove::<WrittenPath>();
        }
    }
    Ok(())
}

/// The path with percent-encoding where a `Uri` has none; `None` if there is nothing to encode.
fn encoded(path: &str) -> Option<String> {
    if !path
        .bytes()
        .any(|byte| matches!(byte, b'<' | b'>' | b'`' | b'"'))
    {
        return None;
    }
    let mut encoded = String::with_capacity(path.len() + 8);
    let mut is_odd = false;
    let mut in_query = false;
    for symbol in path.chars() {
        in_query |= symbol == '?';
        let odd = match symbol {
            '<' | '>' => true,
            '`' => !in_query,
            '"' => in_query,
            _ => false,
        };
        is_odd |= odd;
        if odd {
            let _infallible = write!(encoded, "%{:02X}", u32::from(symbol));
        } else {
            encoded.push(symbol);
        }
    }
    is_odd.then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_as_it_is_written() {
        let mut head = http::Request::get("/").body(()).unwrap().into_parts().0;
        for (path, uri) in [
            ("/a<b", "/a%3Cb"),
            ("/a`b?c=`d`", "/a%60b?c=`d`"),
            ("/?q={\"a\":\"<b>\"}", "/?q={%22a%22:%22%3Cb%3E%22}"),
            ("/a\"b", "/a\"b"),
            ("/plain?x", "/plain?x"),
        ] {
            set_path(&mut head, path.into()).unwrap();
            assert_eq!((path_of(&head), head.uri.to_string()), (path, uri.into()));
        }
        assert!(head.extensions.get::<WrittenPath>().is_none());
        assert!(set_path(&mut head, "/a b".into()).is_err());
    }
}
