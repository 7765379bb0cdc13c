//! Conversion of heads between HTTP/2, with its pseudo-headers, and HTTP/1.1's form, which the rest of the code uses.

use http::header::{
    self, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};
use http_body::Body as HttpBody;

/// Headers that apply only to one HTTP/1.1 connection. Source: RFC 9113, section 8.2.2.
const CONNECTION_HEADERS: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Converts a request received over HTTP/2: its target becomes path and `host`, and its cookies are joined into one
/// line.
pub(crate) fn toward_service(head: &mut Parts) {
    if head.method != Method::CONNECT {
        let parts = std::mem::take(&mut head.uri).into_parts();
        if let Some(authority) = parts.authority
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            head.headers.insert(HOST, host);
        }
        let path = parts.path_and_query;
        head.uri = path.map_or_else(Uri::default, Uri::from);
    }
    join_cookies(&mut head.headers);
}

/// Converts a request for HTTP/2: `host` becomes the authority. A request without a valid authority is sent without
/// one, as HTTP/1.1 allows.
pub(crate) fn toward_wire(head: &mut Parts) {
    strip(&mut head.headers);
    // HTTP/2 allows only this value of `te`.
    if head
        .headers
        .get(header::TE)
        .is_some_and(|te| te != "trailers")
    {
        head.headers.remove(header::TE);
    }
    head.version = Version::HTTP_2;
    if head.method == Method::CONNECT {
        return;
    }
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    if parts.authority.is_none() {
        parts.authority = head
            .headers
            .get(HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    }
    parts
        .path_and_query
        .get_or_insert(PathAndQuery::from_static("/"));
    if parts.authority.is_some() {
        parts.scheme.get_or_insert(Scheme::HTTP);
        head.headers.remove(HOST);
    } else {
        // h2 allows a request without an authority only if its version is HTTP/1.1.
        parts.scheme = None;
        head.version = Version::HTTP_11;
    }
    head.uri =
        Uri::from_parts(parts).expect("a path, with or without scheme and authority, is a URI");
}

/// Converts a response for HTTP/2.
pub(crate) fn toward_wire_response(headers: &mut HeaderMap) {
    strip(headers);
    if headers.contains_key(header::TE) {
        headers.remove(header::TE);
    }
}

/// Sets `content-length` from a body of known length, unless the header is already set.
pub(crate) fn set_length(headers: &mut HeaderMap, body: &impl HttpBody) {
    if let Some(length) = body.size_hint().exact()
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Removes connection-level headers, and those that the `connection` header names.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &CONNECTION_HEADERS {
        if headers.contains_key(name) {
            headers.remove(name);
        }
    }
}

/// Joins cookies, which HTTP/2 may send in separate headers. Source: RFC 9113, section 8.2.3.
fn join_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(COOKIE).iter();
    if values.next().is_none() || values.next().is_none() {
        return;
    }
    let mut all = Vec::new();
    for value in headers.get_all(COOKIE) {
        if !all.is_empty() {
            all.extend_from_slice(b"; ");
        }
        all.extend_from_slice(value.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(all)) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_authority_becomes_the_host_and_comes_back() {
        let mut head = head("http://a.b:81/p?q=1", &[("host", "other"), ("x", "1")]);
        toward_service(&mut head);
        assert_eq!(
            (head.uri.to_string(), &head.headers[HOST]),
            ("/p?q=1".into(), &"a.b:81".parse().unwrap())
        );
        toward_wire(&mut head);
        assert_eq!(head.uri, "http://a.b:81/p?q=1");
        assert!(!head.headers.contains_key(HOST));
        assert_eq!((head.version, head.headers.len()), (Version::HTTP_2, 1));
    }

    #[test]
    fn a_host_that_is_no_authority_stays_a_header() {
        let mut head = head("/p", &[("host", "not an authority")]);
        toward_wire(&mut head);
        assert_eq!(
            (head.uri.to_string(), head.version),
            ("/p".into(), Version::HTTP_11)
        );
        assert_eq!(head.headers[HOST], "not an authority");
    }

    #[test]
    fn headers_of_a_connection_go_and_te_stays_where_it_says_trailers() {
        let mut plain = head(
            "/",
            &[
                ("host", "h"),
                ("connection", "keep-alive, x-private, host"),
                ("keep-alive", "timeout=5"),
                ("x-private", "1"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("te", "trailers"),
            ],
        );
        toward_wire(&mut plain);
        assert_eq!(plain.uri, "http://h/");
        assert_eq!(plain.headers.keys().collect::<Vec<_>>(), ["te"]);
        let mut other = head("/", &[("host", "h"), ("te", "gzip")]);
        toward_wire(&mut other);
        assert!(other.headers.is_empty());
    }

    #[test]
    fn a_length_that_is_told_already_stands() {
        let mut headers = HeaderMap::new();
        set_length(&mut headers, &crate::Body::full("abc"));
        assert_eq!(headers[CONTENT_LENGTH], "3");
        set_length(&mut headers, &crate::Body::full("a longer one"));
        assert_eq!(headers[CONTENT_LENGTH], "3");
    }

    #[test]
    fn cookies_sent_one_by_one_become_one_line() {
        let mut head = head("http://h/", &[("cookie", "a=1"), ("cookie", "b=2")]);
        toward_service(&mut head);
        let cookies: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }
}
