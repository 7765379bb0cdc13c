//! The compiled CORS policy: matches origins, and writes the `access-control-*` response headers. Source: Envoy, CORS
//! filter.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN,
};

use super::matching::StringMatcher;
use super::share::RequestShare;

/// The cross-origin requests that are allowed. Source: Envoy, `CorsPolicy`.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The share of requests that the policy applies to.
    pub enabled: RequestShare,
    pub allow_origins: Vec<StringMatcher>,
    /// The methods listed in the reply to a preflight. `*` is replaced by the requested method.
    pub allow_methods: Option<HeaderValue>,
    /// The headers listed in the reply to a preflight. `*` is replaced by the requested headers.
    pub allow_headers: Option<HeaderValue>,
    /// The response headers that a page may read.
    pub expose_headers: Option<HeaderValue>,
    /// The time for which a browser may cache the reply to a preflight, in seconds.
    pub max_age: Option<HeaderValue>,
    pub allow_credentials: bool,
    /// True if a preflight from an origin that is not allowed is forwarded upstream. Otherwise, the proxy replies
    /// without granting access.
    pub forward_not_matching_preflights: bool,
}

/// Returns the value of the `Origin` header; `None` if it is missing or empty.
pub fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ORIGIN).filter(|origin| !origin.is_empty())
}

/// Returns the method that a preflight requests; `None` if the request is not a preflight.
pub fn preflight_method<'h>(method: &str, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let requested = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    (method == "OPTIONS" && !requested.is_empty()).then_some(requested)
}

impl Cors {
    /// Returns true if an origin is allowed. A matcher that matches `*` allows every origin.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let takes =
            |wanted: &StringMatcher| wanted.matches(b"*") || wanted.matches(origin.as_bytes());
        self.allow_origins.iter().any(takes)
    }

    /// Returns true if the proxy replies to a preflight itself instead of forwarding it.
    pub fn answers_preflight(&self, is_allowed: bool) -> bool {
        is_allowed || !self.forward_not_matching_preflights
    }

    /// Returns the headers of the reply to a preflight, except those that [`Cors::append_allowed`] adds to all allowed responses.
    pub fn preflight(&self, method: &HeaderValue, headers: &HeaderMap) -> HeaderMap {
        let mut answer = HeaderMap::new();
        if self.allow_credentials {
            answer.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        let mut insert =
            |name: HeaderName, value: &Option<HeaderValue>, requested: Option<&HeaderValue>| {
                let Some(value) = value else { return };
                let value = if value == "*" {
                    requested.cloned().unwrap_or(HeaderValue::from_static(""))
                } else {
                    value.clone()
                };
                answer.insert(name, value);
            };
        insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            &self.allow_methods,
            Some(method),
        );
        insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            &self.allow_headers,
            headers.get(ACCESS_CONTROL_REQUEST_HEADERS),
        );
        if let Some(age) = &self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        answer
    }

    /// Adds the headers that let a page of an allowed origin read the response.
    pub fn append_allowed(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.allow_credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        if let Some(expose) = &self.expose_headers {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}
