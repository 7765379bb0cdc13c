//! Request paths in their original spelling.
//!
//! A [`Uri`] accepts no `<`, `>` or backtick in a path, and no `<`, `>` or quotation mark in a query. Envoy accepts
//! every visible character, and clients that write JSON into queries rely on that. Such a request carries its original
//! path among its extensions, and has these characters percent-encoded in its `Uri`.

use std::fmt::Write as _;
use std::sync::Arc;

use http::request::Parts;
use http::uri::{InvalidUri, PathAndQuery, Uri};

/// A request extension with the original path and query, present if a `Uri` cannot represent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPath(Arc<str>);

impl WrittenPath {
    /// Returns the original path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path with its encoded form if a `Uri` cannot represent it.
    pub(crate) fn from_path(path: &str) -> Option<(WrittenPath, String)> {
        let encoded = encoded(path)?;
        Some((WrittenPath(path.into()), encoded))
    }
}

/// Returns the original path and query of a request, or `/` if it has none.
pub fn path_of(head: &Parts) -> &str {
    match head.extensions.get::<WrittenPath>() {
        Some(written) => written.as_str(),
        None => head.uri.path_and_query().map_or("/", PathAndQuery::as_str),
    }
}

/// Sets the path and query of a request.
///
/// # Errors
/// The path has characters that are invalid in any path.
pub fn set_path(head: &mut Parts, path: String) -> Result<(), InvalidUri> {
    let written = WrittenPath::from_path(&path);
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

/// Percent-encodes the characters that a `Uri` does not accept. `None` if there are none.
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
