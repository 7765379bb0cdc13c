//! The target of a load: a URL, parsed once, and the template that is copied for every request.

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use shakedown_scenarios::scenario::MixEntry;
use shakedown_wire::Body;

/// The maximum size of a request body, in bytes. All requests in flight share one copy.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// The server of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// The name or address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// True for TLS.
    pub tls: bool,
}

/// A request template and its server.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    server: Server,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Error of a target that cannot be requested. The message follows the text that the user typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestTemplateError {
    /// Not a URL, or a relative one.
    #[error("invalid URL `{0}`: expected a URL such as `http://localhost:8080/path`")]
    Url(String),
    #[error("invalid URL scheme `{0}://`: not supported; expected `http://` or `https://`")]
    Scheme(String),
    /// The port is 0.
    #[error("invalid port 0: expected the port that the server listens on")]
    Port,
    /// The URL contains a user name and a password.
    #[error(
        "invalid URL: user names and passwords are not supported; use `-H 'authorization: ...'` instead"
    )]
    User,
    #[error("invalid method `{0}`")]
    Method(String),
    /// Not a header. Contains only the name, because the rest may be a secret.
    #[error("invalid header `{0}`: expected `name: value`")]
    Header(String),
    /// The URL of a scenario's target has a query. Entries have paths of their own.
    #[error(
        "invalid target: a query is not allowed, because the entries of the load set the paths"
    )]
    Query,
    #[error("invalid body size: expected at most {BODY_BYTES_MAX} bytes")]
    Body,
}

impl RequestTemplate {
    /// The request as typed. Each of `headers` is `name: value`, and replaces a default header of that name.
    ///
    /// # Errors
    /// If the URL, the method or a header is invalid or not supported.
    pub fn new(
        url: &str,
        method: &str,
        headers: &[String],
        body_bytes: u64,
    ) -> Result<RequestTemplate, RequestTemplateError> {
        let url = Url::parse(url)?;
        let mut map = HeaderMap::new();
        for line in headers {
            let shown = line.split([':', ' ']).next().unwrap_or_default();
            let bad = || RequestTemplateError::Header(shown.to_owned());
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| bad())?;
            let value = HeaderValue::try_from(value.trim()).map_err(|_| bad())?;
            map.append(name, value);
        }
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| RequestTemplateError::Method(method.to_owned()))?;
        let path = url.path.clone();
        url.template(method, &path, map, body_bytes)
    }

    /// The request of an entry of a scenario's load, at `url`. A path in the URL is prepended to the entry's path.
    ///
    /// # Errors
    /// As [`RequestTemplate::new`].
    pub fn of_entry(url: &str, entry: &MixEntry) -> Result<RequestTemplate, RequestTemplateError> {
        let url = Url::parse(url)?;
        let (before, query) = url.path.split_once('?').unwrap_or((&url.path, ""));
        if !query.is_empty() {
            return Err(RequestTemplateError::Query);
        }
        let path = format!("{}{}", before.trim_end_matches('/'), entry.path);
        let headers = entry.headers.iter().cloned().collect();
        url.template(entry.method.clone(), &path, headers, entry.size)
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The complete URL, with the host of the server, not that of a `host` header.
    pub fn url(&self) -> String {
        let Server { host, port, tls } = &self.server;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let (scheme, usual) = if *tls { ("https", 443) } else { ("http", 80) };
        let port = if *port == usual {
            String::new()
        } else {
            format!(":{port}")
        };
        format!("{scheme}://{host}{port}{}", self.path())
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Creates another request.
    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::full(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A parsed URL.
struct Url {
    server: Server,
    /// The value of a `host` header.
    authority: HeaderValue,
    /// Path and query.
    path: String,
}

impl Url {
    fn parse(url: &str) -> Result<Url, RequestTemplateError> {
        let bad_url = || RequestTemplateError::Url(url.to_owned());
        let parsed = Uri::try_from(url).map_err(|_| bad_url())?;
        // `localhost:8080` alone parses as an authority.
        let scheme = parsed.scheme().ok_or_else(bad_url)?;
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(RequestTemplateError::Scheme(scheme.to_string()));
        }
        let authority = parsed.authority().ok_or_else(bad_url)?;
        if authority.as_str().contains('@') {
            return Err(RequestTemplateError::User);
        }
        let port = match authority.port() {
            Some(port) => match port.as_str().parse().map_err(|_| bad_url())? {
                0 => return Err(RequestTemplateError::Port),
                port => port,
            },
            None if authority.as_str() != authority.host() => return Err(bad_url()),
            None if tls => 443,
            None => 80,
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let path = parsed.path_and_query().map_or("/", PathAndQuery::as_str);
        Ok(Url {
            server: Server {
                host: host.to_owned(),
                port,
                tls,
            },
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| bad_url())?,
            path: path.to_owned(),
        })
    }

    fn template(
        self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body_bytes: u64,
    ) -> Result<RequestTemplate, RequestTemplateError> {
        if body_bytes > BODY_BYTES_MAX {
            return Err(RequestTemplateError::Body);
        }
        let body = usize::try_from(body_bytes).map_err(|_| RequestTemplateError::Body)?;
        Ok(RequestTemplate {
            server: self.server,
            method,
            uri: Uri::try_from(path).map_err(|_| RequestTemplateError::Url(path.to_owned()))?,
            headers: with_ours(headers, self.authority),
            body: Bytes::from(vec![b'x'; body]),
        })
    }
}

/// Adds the default headers, unless they were typed.
fn with_ours(mut headers: HeaderMap, host: HeaderValue) -> HeaderMap {
    let agent = concat!("shakedown/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        (HOST, host),
        (USER_AGENT, HeaderValue::from_static(agent)),
        (ACCEPT, HeaderValue::from_static("*/*")),
    ] {
        headers.entry(name).or_insert(value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use shakedown_scenarios::scenario::{Callee, EndpointId, ServiceId};

    use super::*;

    fn template(url: &str) -> Result<RequestTemplate, RequestTemplateError> {
        RequestTemplate::new(url, "GET", &[], 0)
    }

    #[test]
    fn a_url_gives_server_path_and_host_header() {
        let template = template("http://shop.example:8080/a/b?c=d").unwrap();
        assert_eq!(
            (template.server.host.as_str(), template.server.port),
            ("shop.example", 8080)
        );
        let request = template.request();
        assert_eq!(request.uri(), "/a/b?c=d");
        assert_eq!(request.headers()[HOST], "shop.example:8080");
    }

    #[test]
    fn a_url_without_port_and_path_is_port_80_and_the_root() {
        let template = template("http://shop.example").unwrap();
        assert_eq!((template.server.port, template.path()), (80, "/"));
        assert_eq!(template.request().headers()[HOST], "shop.example");
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets() {
        let template = template("http://[::1]:8080/").unwrap();
        assert_eq!(
            (template.server.host.as_str(), template.server.port),
            ("::1", 8080)
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_with_its_reason() {
        for url in [
            "localhost:8080",
            "/path",
            "",
            "http://a:99999/",
            "http://a:/",
        ] {
            assert_eq!(
                template(url).unwrap_err(),
                RequestTemplateError::Url(url.to_owned()),
                "{url}"
            );
        }
        assert_eq!(
            template("ftp://a/").unwrap_err(),
            RequestTemplateError::Scheme("ftp".to_owned())
        );
        assert_eq!(
            template("http://me:pw@a/").unwrap_err(),
            RequestTemplateError::User
        );
        assert_eq!(
            template("http://a:0/").unwrap_err(),
            RequestTemplateError::Port
        );
        for (header, shown) in [("x", "x"), ("a b: c", "a"), (": c", ""), ("a: \u{1}", "a")] {
            let error =
                RequestTemplate::new("http://a/", "GET", &[header.to_owned()], 0).unwrap_err();
            assert_eq!(error, RequestTemplateError::Header(shown.to_owned()));
        }
        assert!(RequestTemplate::new("http://a/", "G T", &[], 0).is_err());
        assert!(RequestTemplate::new("http://a/", "POST", &[], u64::MAX).is_err());
    }

    #[test]
    fn https_is_tls_on_port_443() {
        let template = template("https://shop.example/a").unwrap();
        assert_eq!((template.server.port, template.server.tls), (443, true));
        assert_eq!(template.request().headers()[HOST], "shop.example");
    }

    #[test]
    fn an_entry_asks_for_its_path_below_the_targets() {
        let entry = MixEntry {
            name: String::new(),
            weight: 1,
            callee: Callee::Service(ServiceId::new(0)),
            endpoint: Some(EndpointId::new(0)),
            method: Method::POST,
            path: "/order?rush=1".to_owned(),
            headers: vec![(HOST, HeaderValue::from_static("shop"))],
            size: 3,
        };
        for (url, path) in [
            ("http://a:1", "/order?rush=1"),
            ("http://a:1/", "/order?rush=1"),
            ("http://a:1/shop/", "/shop/order?rush=1"),
        ] {
            let template = RequestTemplate::of_entry(url, &entry).unwrap();
            assert_eq!(
                (template.path(), template.method()),
                (path, &Method::POST),
                "{url}"
            );
            assert_eq!(template.request().headers()[HOST], "shop");
        }
        let error = RequestTemplate::of_entry("http://a:1/?x=y", &entry).unwrap_err();
        assert_eq!(error, RequestTemplateError::Query);
    }

    #[test]
    fn a_typed_header_replaces_ours_and_repeats() {
        let typed = ["Host: other", "x-a: 1", "x-a: 2"].map(str::to_owned);
        let template = RequestTemplate::new("http://a/", "POST", &typed, 3).unwrap();
        let headers = template.request().headers().clone();
        assert_eq!(headers[HOST], "other");
        assert_eq!(headers.get_all("x-a").iter().count(), 2);
    }
}
