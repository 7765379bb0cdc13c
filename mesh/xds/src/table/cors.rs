//! Which cross-origin requests are allowed, and what they are told. Envoy's CORS filter.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN,
};

use super::matching::StringMatcher;
use super::share::Share;

/// Which cross-origin requests are allowed. Source: Envoy, `CorsPolicy`.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Whether it is in force, and for what share of requests.
    pub enabled: Share,
    /// The origins.
    pub allow_origins: Vec<StringMatcher>,
    /// The methods told to a preflight; `*`: the one that it asks for.
    pub allow_methods: Option<HeaderValue>,
    /// The headers told to a preflight; `*`: those that it asks for.
    pub allow_headers: Option<HeaderValue>,
    /// The headers that a page may read.
    pub expose_headers: Option<HeaderValue>,
    /// How long a preflight's answer holds, in seconds.
    pub max_age: Option<HeaderValue>,
    /// Whether credentials may be sent.
    pub allow_credentials: bool,
    /// Whether a preflight from another origin is sent on; otherwise it is answered without leave.
    pub forward_not_matching_preflights: bool,
}

/// The origin of a request that comes from a page; `None` for any other request.
pub fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ORIGIN).filter(|origin| !origin.is_empty())
}

/// The method that a preflight asks for; `None` if the request is none.
pub fn preflight_method<'h>(method: &str, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    (method == "OPTIONS" && !asked.is_empty()).then_some(asked)
}

impl Cors {
    /// Whether an origin has leave. An origin that takes `*` is any.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let takes =
            |wanted: &StringMatcher| wanted.matches(b"*") || wanted.matches(origin.as_bytes());
        self.allow_origins.iter().any(takes)
    }

    /// Whether a preflight is answered; otherwise it is sent on.
    pub fn answers_preflight(&self, is_allowed: bool) -> bool {
        is_allowed || !self.forward_not_matching_preflights
    }

    /// The answer to a preflight that asks for a method, beside what the response to any allowed request says.
    pub fn preflight(&self, method: &HeaderValue, headers: &HeaderMap) -> HeaderMap {
        let mut answer = HeaderMap::new();
        if self.allow_credentials {
            answer.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        let mut tell =
            |name: HeaderName, value: &Option<HeaderValue>, asked: Option<&HeaderValue>| {
                let Some(value) = value else { return };
                let value = if value == "*" {
                    asked.cloned().unwrap_or(HeaderValue::from_static(""))
                } else {
                    value.clone()
                };
                answer.insert(name, value);
            };
        tell(
            ACCESS_CONTROL_ALLOW_METHODS,
            &self.allow_methods,
            Some(method),
        );
        tell(
            ACCESS_CONTROL_ALLOW_HEADERS,
            &self.allow_headers,
            headers.get(ACCESS_CONTROL_REQUEST_HEADERS),
        );
        if let Some(age) = &self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        answer
    }

    /// Tells a page of an allowed origin that it may read the response.
    pub fn tell(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
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
