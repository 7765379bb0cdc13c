//! Path normalisation, as done by `normalize_path` of an HTTP connection manager: that of RFC 3986, without merging
//! slashes.
//!
//! The segments `.` and `..` are resolved, and a backslash becomes a slash. Escaped characters that need no escape
//! are unescaped, and characters that need one are escaped. The query is unchanged. Source: Envoy,
//! `PathUtil::canonicalPath`, and the observed behaviour of Envoy 1.40.

use std::borrow::Cow;

use thiserror::Error;

/// The error for a path that contains an escaped NUL, which Envoy rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid path: it contains an escaped NUL")]
pub struct InvalidPath;

/// Normalises a path that begins with a slash. The query is kept. Returns a borrowed string, without allocating, if
/// the path is already normal.
///
/// # Errors
/// If the path contains an escaped NUL.
pub fn normalize_path(written: &str) -> Result<Cow<'_, str>, InvalidPath> {
    let end = written.find('?').unwrap_or(written.len());
    let (path, query) = written.split_at(end);
    if is_normal(path.as_bytes()) {
        return Ok(Cow::Borrowed(written));
    }
    let path = without_parameters(path);
    let mut normal = resolved(path.as_bytes())?;
    normal.push_str(query);
    Ok(if normal == written {
        Cow::Borrowed(written)
    } else {
        Cow::Owned(normal)
    })
}

/// A fast check that a path is already normal: it contains no escapes, no characters that need one, and no segment
/// that begins with a dot. A false result is inconclusive.
fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|byte| {
        let dot = before == b'/' && *byte == b'.';
        before = *byte;
        !dot && *byte != b'%' && *byte != b'\\' && !needs_escape(*byte)
    })
}

/// Removes the parameters of dot segments: `/a/..;x/b` becomes `/a/../b`.
fn without_parameters(path: &str) -> Cow<'_, str> {
    if !path.contains(".;") {
        return Cow::Borrowed(path);
    }
    let segments = path
        .split('/')
        .map(|segment| match segment.split_once(';') {
            Some((dots @ ("." | ".."), _)) => dots,
            _ => segment,
        });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

fn resolved(path: &[u8]) -> Result<String, InvalidPath> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((token, after)) = next(rest)? {
        rest = after;
        match token {
            PathToken::Byte(b'.') if out.ends_with('/') => match dots(after)? {
                Dots::One(after) => rest = after,
                Dots::Two(after) => {
                    rest = after;
                    // Removes the last segment, but keeps the leading slash.
                    let end = out[..out.len() - 1].rfind('/').map_or(1, |at| at + 1);
                    out.truncate(end);
                }
                Dots::Other => out.push('.'),
            },
            PathToken::Byte(byte) if needs_escape(byte) => out.push_str(&format!("%{byte:02X}")),
            PathToken::Byte(byte) => out.push(char::from(byte)),
            PathToken::Escape(escape) => out.extend(escape.map(char::from)),
        }
    }
    Ok(out)
}

/// A segment that begins with a dot, parsed from the byte after that dot. Contains the rest of the path after the
/// segment's slash.
enum Dots<'p> {
    One(&'p [u8]),
    Two(&'p [u8]),
    Other,
}

fn dots(after: &[u8]) -> Result<Dots<'_>, InvalidPath> {
    if let Some(rest) = end_of_segment(after)? {
        return Ok(Dots::One(rest));
    }
    let Some((PathToken::Byte(b'.'), after)) = next(after)? else {
        return Ok(Dots::Other);
    };
    Ok(end_of_segment(after)?.map_or(Dots::Other, Dots::Two))
}

/// Returns the path after the slash that ends a segment here, or an empty slice at the end of the path. `None` if the
/// segment continues.
fn end_of_segment(path: &[u8]) -> Result<Option<&[u8]>, InvalidPath> {
    Ok(match next(path)? {
        None => Some(&[]),
        Some((PathToken::Byte(b'/'), rest)) => Some(rest),
        Some(_) => None,
    })
}

/// A character of a path.
enum PathToken {
    /// A literal character, possibly written as an unneeded escape.
    Byte(u8),
    /// An escape that is kept as written.
    Escape([u8; 3]),
}

fn next(path: &[u8]) -> Result<Option<(PathToken, &[u8])>, InvalidPath> {
    Ok(match path {
        [] => None,
        [b'\\', rest @ ..] => Some((PathToken::Byte(b'/'), rest)),
        [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            let token = match hex(*high) * 16 + hex(*low) {
                0 => return Err(InvalidPath),
                byte if is_unreserved(byte) => PathToken::Byte(byte),
                _ => PathToken::Escape([b'%', *high, *low]),
            };
            Some((token, rest))
        }
        [byte, rest @ ..] => Some((PathToken::Byte(*byte), rest)),
    })
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

/// Source: RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7f..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of Envoy 1.40. A path in the first list is unchanged.
    #[test]
    fn paths_are_normalised_as_envoy_does() {
        let same = [
            "/",
            "/a//b",
            "//a",
            "/a/%2f/x",
            "/a/%2F../x",
            "/a%5cb",
            "/%zz",
            "/%",
            "/%2",
            "/a%20b",
            "/a%c3%a9",
            "/a?b=../c/%2e",
            "/a/...",
            "/a/..b",
            "/a/b..",
            "/a[b]",
            "/a'b",
            "/a!b$c&d(e)*+,;=:@",
            "/a%3b%3B%2c",
            "/a?x\\y",
            "/%252e%252e/x",
            "/a/b;c/d",
            "/a/..%3b/x",
            "/a/...;/x",
            "/%01a",
            "/a/.%/b",
            "/a/.%zz/b",
        ];
        for path in same {
            let normal = normalize_path(path).unwrap();
            assert_eq!(normal, path);
            assert!(matches!(normal, Cow::Borrowed(_)), "{path}");
        }
        for (path, wanted) in [
            ("/a/../x", "/x"),
            ("/a/./x", "/a/x"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/../../x", "/x"),
            ("/a/b/../../../x", "/x"),
            ("/a//../b", "/a/b"),
            ("/a///../b", "/a//b"),
            ("//..", "/"),
            ("/a/.//b", "/a//b"),
            ("/a/%2e%2E/x", "/x"),
            ("/a/.%2e/x", "/x"),
            ("/a/%2e", "/a/"),
            ("/a/%2e%2e%2fx", "/a/..%2fx"),
            ("/a/%2e%zz/b", "/a/.%zz/b"),
            ("/a\\b", "/a/b"),
            ("/a\\..\\x", "/x"),
            ("/%41%7e", "/A~"),
            ("/~a%7fb%80%7E", "/~a%7fb%80~"),
            ("/a/..?x/../y", "/?x/../y"),
            ("/a;x/../y", "/y"),
            ("/a/.b/../c", "/a/c"),
            ("/a/..;/x", "/x"),
            ("/a/..;foo/x", "/x"),
            ("/a/.;foo", "/a/"),
            ("/a/..;\\x", "/"),
            ("/a/%2e%2e;/x", "/a/..;/x"),
            ("/a\"b<c>`{d}|^", "/a%22b%3Cc%3E%60%7Bd%7D%7C%5E"),
            ("/a/../../b/./c/../d", "/b/d"),
        ] {
            assert_eq!(normalize_path(path).unwrap(), wanted, "{path}");
        }
        for path in ["/a%00b", "/a/..%00", "/%00/../a"] {
            assert_eq!(normalize_path(path), Err(InvalidPath), "{path}");
        }
    }
}
