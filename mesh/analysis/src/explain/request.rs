//! The request to explain, parsed from user input.

use http::Method;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use shakedown_xds::table::{RequestView, normalize_path};
use thiserror::Error;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A placeholder for the ID that a proxy generates if there is none, because routes may match on its presence.
const ANY_ID: HeaderValue = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");

/// A request as its sender's proxy sees it at route lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRequest {
    method: Method,
    scheme: &'static str,
    authority: String,
    path: String,
    headers: HeaderMap,
}

/// The reason why the input is not a valid request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExplainedRequestError {
    #[error("invalid request `{0}`: write `METHOD URL`, as in `GET http://reviews:9080/x`")]
    Form(String),
    #[error("invalid method `{0}`: expected `GET`, `POST` or another")]
    Method(String),
    #[error("invalid URL `{0}`: write `http://HOST[:PORT]/PATH`")]
    Url(String),
    /// The URL's scheme is neither `http` nor `https`.
    #[error("invalid scheme `{scheme}` in `{url}`: expected `http` or `https`")]
    Scheme { url: String, scheme: String },
    #[error("invalid header `{0}`: write `NAME: VALUE`")]
    Header(String),
}

impl ExplainedRequest {
    /// Parses `METHOD URL`, or a URL alone for a GET, and headers in the form `NAME: VALUE`. A `host` header takes
    /// precedence over the URL's host, as it does on the wire.
    ///
    /// # Errors
    /// The invalid part, with the accepted form.
    pub fn parse(
        request: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<ExplainedRequest, ExplainedRequestError> {
        let words: Vec<&str> = request.split_whitespace().collect();
        let (method, url) = match *words.as_slice() {
            [url] => ("GET", url),
            [method, url] => (method, url),
            _ => return Err(ExplainedRequestError::Form(request.into())),
        };
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| ExplainedRequestError::Method(method.to_owned()))?;
        let (mut scheme, mut authority, path) = split(url)?;
        let mut map = HeaderMap::new();
        for header in headers {
            let (name, value) = self::header(header.as_ref())?;
            if name == HOST {
                let host = value.to_str();
                let wrong = || ExplainedRequestError::Header(header.as_ref().into());
                authority = host.map_err(|_| wrong())?.to_owned();
            } else {
                map.append(name, value);
            }
        }
        match map.get(&FORWARDED_PROTO) {
            Some(proto) if proto.as_bytes().eq_ignore_ascii_case(b"https") => scheme = "https",
            Some(_) => {}
            None => {
                map.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
            }
        }
        if !map.contains_key(&REQUEST_ID) {
            map.insert(REQUEST_ID, ANY_ID);
        }
        Ok(ExplainedRequest {
            method,
            scheme,
            authority,
            path,
            headers: map,
        })
    }

    /// The request's host without the port.
    pub fn host(&self) -> &str {
        self.split_authority().0
    }

    /// The request's port. Default: 80 or 443, by scheme.
    pub fn port(&self) -> u16 {
        let own = if self.scheme == "https" { 443 } else { 80 };
        self.split_authority().1.unwrap_or(own)
    }

    /// The authority with the port that the caller connects to, even if the request omits it.
    pub(super) fn authority_with_port(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    fn split_authority(&self) -> (&str, Option<u16>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (&self.authority, None),
            },
            None => (&self.authority, None),
        }
    }

    /// Returns the request with its path normalised, or `None` if the path is invalid.
    pub(super) fn normalized(&self) -> Option<ExplainedRequest> {
        let path = normalize_path(&self.path).ok()?.into_owned();
        Some(ExplainedRequest {
            path,
            ..self.clone()
        })
    }

    /// Returns the parts of the request that routes match on.
    pub(super) fn view(&self) -> RequestView<'_> {
        RequestView {
            method: self.method.as_str(),
            path: &self.path,
            authority: &self.authority,
            scheme: self.scheme,
            headers: &self.headers,
        }
    }
}

/// Splits a URL into scheme, authority and path.
fn split(url: &str) -> Result<(&'static str, String, String), ExplainedRequestError> {
    let wrong = || ExplainedRequestError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let scheme = match uri.scheme_str().ok_or_else(wrong)? {
        "http" => "http",
        "https" => "https",
        other => {
            return Err(ExplainedRequestError::Scheme {
                url: url.to_owned(),
                scheme: other.to_owned(),
            });
        }
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // `http://host?query` has an empty path.
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((scheme, authority.as_str().to_owned(), path))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), ExplainedRequestError> {
    let wrong = || ExplainedRequestError::Header(text.to_owned());
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(request: &str, headers: &[&str]) -> String {
        ExplainedRequest::parse(request, headers)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_url_alone_is_a_get() {
        let request =
            ExplainedRequest::parse("http://reviews:9080/x?q=1", ["end-user: jason"]).unwrap();
        let view = request.view();
        assert_eq!((view.method, view.path), ("GET", "/x?q=1"));
        assert_eq!((view.authority, view.scheme), ("reviews:9080", "http"));
        assert_eq!(view.headers["end-user"], "jason");
        assert_eq!((request.host(), request.port()), ("reviews", 9080));
    }

    #[test]
    fn a_host_header_goes_before_the_urls_host() {
        let request = ExplainedRequest::parse("POST https://gateway", ["Host: reviews"]).unwrap();
        let view = request.view();
        assert_eq!((view.method, view.path), ("POST", "/"));
        assert_eq!((view.authority, view.scheme), ("reviews", "https"));
        assert_eq!(request.port(), 443);
    }

    #[test]
    fn what_is_no_request_is_told_with_what_would_be() {
        assert!(error("GET", &[]).contains("invalid URL `GET`"));
        assert!(error("GET http://a b", &[]).contains("write `METHOD URL`"));
        assert!(error("GET /x", &[]).contains("invalid URL"));
        assert!(error("GET ftp://a/", &[]).contains("scheme `ftp`"));
        assert!(error("G@T http://a/", &[]).contains("invalid method"));
        assert!(error("http://a/", &["end-user"]).contains("write `NAME: VALUE`"));
    }
}
