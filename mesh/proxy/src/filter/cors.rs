//! Cross-origin requests: answers preflights, and marks responses as readable by their origin. Envoy's CORS filter.

use http::Method;
use http::header::{HeaderMap, HeaderValue};
use shakedown_xds::table::{Cors, origin, preflight_method};

use crate::respond::LocalReply;

/// An allowed origin, for the headers of the response.
#[derive(Clone, Debug)]
pub(crate) struct AllowedOrigin<'t> {
    policy: &'t Cors,
    origin: HeaderValue,
}

/// Sets `allowed` if the policy allows the request's origin, and rejects a preflight with its answer.
pub(super) fn check<'t>(
    policy: &'t Cors,
    random: impl FnOnce() -> u64,
    method: &Method,
    headers: &HeaderMap,
    allowed: &mut Option<AllowedOrigin<'t>>,
) -> Result<(), LocalReply> {
    if !policy.enabled.takes(random) {
        return Ok(());
    }
    let Some(origin) = origin(headers) else {
        return Ok(());
    };
    if policy.allows(origin) {
        *allowed = Some(AllowedOrigin {
            policy,
            origin: origin.clone(),
        });
    }
    let Some(requested) = preflight_method(method.as_str(), headers) else {
        return Ok(());
    };
    if !policy.answers_preflight(allowed.is_some()) {
        return Ok(());
    }
    Err(LocalReply::Preflight(Box::new(
        policy.preflight(requested, headers),
    )))
}

impl AllowedOrigin<'_> {
    /// Adds the headers that let a page of the origin read the response.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        self.policy.append_allowed(&self.origin, headers);
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;
    use shakedown_xds::table::{RequestShare, StringMatcher};

    use super::*;

    fn policy() -> Cors {
        let value = |text| Some(HeaderValue::from_static(text));
        Cors {
            enabled: RequestShare::ALL,
            allow_origins: vec![StringMatcher::Exact("http://a".into())],
            allow_methods: value("GET,POST"),
            allow_headers: value("x-a"),
            expose_headers: value("x-e"),
            max_age: value("7"),
            allow_credentials: true,
            forward_not_matching_preflights: true,
        }
    }

    /// The answer to a preflight, and the CORS headers of the response.
    fn outcome(
        policy: &Cors,
        method: Method,
        pairs: &[(&'static str, &str)],
    ) -> (Option<HeaderMap>, HeaderMap) {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let headers = pairs.iter().map(pair).collect();
        let mut allowed = None;
        let checked = check(policy, || 0, &method, &headers, &mut allowed);
        let mut added = HeaderMap::new();
        if let Some(allowed) = allowed {
            allowed.write_headers(&mut added);
        }
        match checked {
            Ok(()) => (None, added),
            Err(LocalReply::Preflight(answer)) => (Some(*answer), added),
            Err(other) => panic!("{other:?}"),
        }
    }

    const A: (&str, &str) = ("origin", "http://a");
    const B: (&str, &str) = ("origin", "http://b");
    const PUT: (&str, &str) = ("access-control-request-method", "PUT");

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut all: Vec<String> = headers.iter().map(pair).collect();
        all.sort();
        all
    }

    #[test]
    fn the_response_of_an_allowed_origin_says_so_and_of_another_nothing() {
        let (answer, added) = outcome(&policy(), Method::GET, &[A]);
        assert!(answer.is_none());
        let expected = [
            "access-control-allow-credentials: true",
            "access-control-allow-origin: http://a",
            "access-control-expose-headers: x-e",
        ];
        assert_eq!(shown(&added), expected);
        assert!(outcome(&policy(), Method::GET, &[B]).1.is_empty());
        assert!(outcome(&policy(), Method::GET, &[]).1.is_empty());
    }

    #[test]
    fn a_preflight_is_answered_here() {
        let (answer, added) = outcome(&policy(), Method::OPTIONS, &[A, PUT]);
        let expected = [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: x-a",
            "access-control-allow-methods: GET,POST",
            "access-control-max-age: 7",
        ];
        assert_eq!(shown(&answer.unwrap()), expected);
        assert_eq!(added["access-control-allow-origin"], "http://a");
    }

    #[test]
    fn options_without_a_method_asked_for_is_no_preflight() {
        assert!(outcome(&policy(), Method::OPTIONS, &[A]).0.is_none());
        assert!(outcome(&policy(), Method::GET, &[A, PUT]).0.is_none());
    }

    #[test]
    fn a_preflight_of_another_origin_goes_on_or_is_answered_without_leave() {
        assert!(outcome(&policy(), Method::OPTIONS, &[B, PUT]).0.is_none());
        let strict = Cors {
            forward_not_matching_preflights: false,
            ..policy()
        };
        let (answer, added) = outcome(&strict, Method::OPTIONS, &[B, PUT]);
        assert!(answer.is_some() && added.is_empty());
    }

    #[test]
    fn a_star_is_what_the_preflight_asks_for() {
        let star = Some(HeaderValue::from_static("*"));
        let open = Cors {
            allow_methods: star.clone(),
            allow_headers: star,
            ..policy()
        };
        let request_headers = ("access-control-request-headers", "x-q");
        let answer = outcome(&open, Method::OPTIONS, &[A, PUT, request_headers])
            .0
            .unwrap();
        assert_eq!(answer["access-control-allow-methods"], "PUT");
        assert_eq!(answer["access-control-allow-headers"], "x-q");
        let answer = outcome(&open, Method::OPTIONS, &[A, PUT]).0.unwrap();
        assert_eq!(answer["access-control-allow-headers"], "");
    }
}
