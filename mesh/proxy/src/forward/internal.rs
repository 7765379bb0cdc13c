//! Headers by which a caller inside the mesh may steer retries and timeouts.
//!
//! They count only from internal callers. Envoy 1.40 takes no address to be internal unless its configuration lists it
//! (seen: not even the loopback), and ours does not list any, so that they are taken away from all.
//! Source: Envoy, `ConnectionManagerUtility::mutateRequestHeaders`.

use http::header::{HeaderMap, HeaderName};

const PREFIX: &str = "x-envoy-";

const NAMES: [HeaderName; 14] = [
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-upstream-alt-stat-name"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-alt-response"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-original-url"),
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
];

/// Takes them away.
pub(super) fn remove(headers: &mut HeaderMap) {
    // Nearly no request has any: one look at the names is cheaper than a look-up of each.
    if !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
        return;
    }
    for name in &NAMES {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_callers_word_on_retries_and_timeouts_does_not_count() {
        let mut map = HeaderMap::new();
        for name in &NAMES {
            map.insert(name.clone(), HeaderValue::from_static("1"));
        }
        map.insert("x-envoy-attempt-count", HeaderValue::from_static("2"));
        map.insert("x-other", HeaderValue::from_static("3"));
        remove(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-envoy-attempt-count", "x-other"]);
    }
}
