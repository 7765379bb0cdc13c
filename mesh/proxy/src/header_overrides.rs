//! Header overrides: `x-envoy-*` headers by which an internal caller overrides retries and timeouts. An external
//! caller's are removed. Source: Envoy, `ConnectionManagerUtility::mutateRequestHeaders`,
//! `FilterUtility::finalTimeout`, `FilterUtility::finalHedgingParams` and `RetryStateImpl`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName};
use shakedown_xds::table::{
    HeaderKey, HeaderMatcher, RetryOn, RetryPolicy, RouteAction, ValueMatcher,
};

use crate::respond::{LocalReply, Overloaded};

const PREFIX: &str = "x-envoy-";

const CODES: HeaderName = HeaderName::from_static("x-envoy-retriable-status-codes");
const HEADERS: HeaderName = HeaderName::from_static("x-envoy-retriable-header-names");
const RETRY_ON: HeaderName = HeaderName::from_static("x-envoy-retry-on");
const RETRY_GRPC_ON: HeaderName = HeaderName::from_static("x-envoy-retry-grpc-on");
const MAX_RETRIES: HeaderName = HeaderName::from_static("x-envoy-max-retries");
const ALT_STAT_NAME: HeaderName = HeaderName::from_static("x-envoy-upstream-alt-stat-name");
const TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");
const PER_TRY_TIMEOUT: HeaderName =
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms");
const ALT_RESPONSE: HeaderName =
    HeaderName::from_static("x-envoy-upstream-rq-timeout-alt-response");
const HEDGE: HeaderName = HeaderName::from_static("x-envoy-hedge-on-per-try-timeout");

/// The headers that only the router reads. They are not sent on.
const STEERING: [HeaderName; 10] = [
    CODES,
    HEADERS,
    RETRY_ON,
    RETRY_GRPC_ON,
    MAX_RETRIES,
    ALT_STAT_NAME,
    TIMEOUT,
    PER_TRY_TIMEOUT,
    ALT_RESPONSE,
    HEDGE,
];

/// Other headers that an external caller may not set.
const INTERNAL: [HeaderName; 4] = [
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-original-url"),
];

/// The overrides of one request.
#[derive(Debug)]
pub(crate) struct HeaderOverrides {
    /// The route's action with the overrides applied.
    pub(crate) action: RouteAction,
    /// True if a timeout is answered with 204.
    alt_response: bool,
}

impl HeaderOverrides {
    /// Replaces a timeout by an empty response with 204 if the caller asked for that.
    pub(crate) fn answered(&self, reject: LocalReply) -> LocalReply {
        let is_timeout = matches!(
            reject,
            LocalReply::RouteTimeout
                | LocalReply::PerTryTimeout { .. }
                | LocalReply::PerTryIdleTimeout { .. }
        );
        if !(self.alt_response && is_timeout) {
            return reject;
        }
        LocalReply::Overloaded(Overloaded {
            status: StatusCode::NO_CONTENT,
            body: "",
            details: reject.details(),
            flags: reject.flags(),
        })
    }
}

/// Removes the headers that an external caller may not set.
pub(crate) fn remove(headers: &mut HeaderMap) {
    for name in STEERING.iter().chain(&INTERNAL) {
        headers.remove(name);
    }
}

/// Removes the overrides from a request, and applies them to its route; `None` if there are none.
pub(crate) fn take(headers: &mut HeaderMap, route: &RouteAction) -> Option<Box<HeaderOverrides>> {
    if !is_any(headers) || !STEERING.iter().any(|name| headers.contains_key(name)) {
        return None;
    }
    let mut action = route.clone();
    if let Some(ms) = number(headers, &TIMEOUT) {
        // Zero means no timeout.
        action.timeout = Some(Duration::from_millis(ms)).filter(|span| !span.is_zero());
        action.grpc_timeout = None;
    }
    action.retry = retry(headers, action.retry);
    match headers.get(&HEDGE).map(|value| value.as_bytes()) {
        Some(b"true") => action.hedge.on_per_try_timeout = true,
        Some(b"false") => action.hedge.on_per_try_timeout = false,
        _ => {}
    }
    let alt_response = headers.contains_key(&ALT_RESPONSE);
    for name in &STEERING {
        headers.remove(name);
    }
    Some(Box::new(HeaderOverrides {
        action,
        alt_response,
    }))
}

fn retry(headers: &HeaderMap, of_route: Option<Arc<RetryPolicy>>) -> Option<Arc<RetryPolicy>> {
    let steers = [
        &RETRY_ON,
        &RETRY_GRPC_ON,
        &PER_TRY_TIMEOUT,
        &MAX_RETRIES,
        &CODES,
        &HEADERS,
    ];
    if !steers.into_iter().any(|name| headers.contains_key(name)) {
        return of_route;
    }
    let mut policy = of_route.map(Arc::unwrap_or_clone).unwrap_or_default();
    for name in list(headers, &RETRY_ON) {
        policy.on = policy.on.with(condition(name, false));
    }
    for name in list(headers, &RETRY_GRPC_ON) {
        policy.on = policy.on.with(condition(name, true));
    }
    if let Some(times) = number(headers, &MAX_RETRIES) {
        policy.times = u32::try_from(times).unwrap_or(u32::MAX);
    }
    if let Some(ms) = number(headers, &PER_TRY_TIMEOUT) {
        policy.per_try_timeout = Some(Duration::from_millis(ms)).filter(|span| !span.is_zero());
    }
    let codes = list(headers, &CODES).filter_map(|code| code.parse::<u16>().ok());
    policy.codes.extend(codes);
    let names = list(headers, &HEADERS).filter_map(|name| HeaderName::try_from(name).ok());
    policy.headers.extend(names.map(|name| HeaderMatcher {
        name: HeaderKey::Name(name),
        value: ValueMatcher::Present(true),
        invert: false,
        missing_is_empty: false,
    }));
    Some(Arc::new(policy))
}

/// The retry condition of a name; `NONE` if unknown, or if it belongs to the other header.
fn condition(name: &str, grpc: bool) -> RetryOn {
    let known = RetryOn::named(name).filter(|known| RetryOn::GRPC.contains(*known) == grpc);
    known.unwrap_or(RetryOn::NONE)
}

fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// True if any `x-envoy-*` header is present. A single pass over the names is cheaper than a lookup of each, because
/// nearly no request has any of them.
fn is_any(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use shakedown_xds::table::WeightedCluster;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn route() -> RouteAction {
        RouteAction::new(vec![WeightedCluster::new("c", 1)]).unwrap()
    }

    fn steered(pairs: &[(&'static str, &'static str)]) -> RouteAction {
        take(&mut headers(pairs), &route()).unwrap().action
    }

    #[test]
    fn an_external_callers_word_on_retries_and_timeouts_does_not_count() {
        let mut map = HeaderMap::new();
        for name in STEERING.iter().chain(&INTERNAL) {
            map.insert(name.clone(), HeaderValue::from_static("1"));
        }
        map.insert("x-envoy-attempt-count", HeaderValue::from_static("2"));
        map.insert("x-other", HeaderValue::from_static("3"));
        remove(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-envoy-attempt-count", "x-other"]);
    }

    #[test]
    fn one_who_asks_for_nothing_gets_the_route() {
        let mut map = headers(&[("x-envoy-force-trace", "true"), ("a", "b")]);
        assert!(take(&mut map, &route()).is_none());
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn timeouts_take_the_place_of_the_routes() {
        let ms = Duration::from_millis;
        let action = steered(&[
            ("x-envoy-upstream-rq-timeout-ms", "70"),
            ("x-envoy-upstream-rq-per-try-timeout-ms", "30"),
        ]);
        assert_eq!(action.timeout, Some(ms(70)));
        let policy = action.retry.unwrap();
        assert_eq!(
            (policy.per_try_timeout, policy.on),
            (Some(ms(30)), RetryOn::NONE)
        );
        let mut route = route();
        route.timeout = Some(ms(5));
        let mut map = headers(&[("x-envoy-upstream-rq-timeout-ms", "0")]);
        assert_eq!(take(&mut map, &route).unwrap().action.timeout, None);
        assert!(map.is_empty(), "nobody behind the proxy is told");
        let mut map = headers(&[("x-envoy-upstream-rq-timeout-ms", "soon")]);
        let kept = take(&mut map, &route).unwrap().action.timeout;
        assert_eq!(kept, Some(ms(5)));
    }

    #[test]
    fn conditions_are_added_to_the_routes_and_their_number_takes_its_place() {
        let mut route = route();
        route.retry = Some(
            RetryPolicy {
                on: RetryOn::RESET,
                times: 1,
                codes: vec![418],
                ..RetryPolicy::default()
            }
            .into(),
        );
        let mut map = headers(&[
            ("x-envoy-retry-on", "5xx, unavailable,nothing"),
            ("x-envoy-retry-grpc-on", "cancelled,5xx"),
            ("x-envoy-max-retries", "4"),
            ("x-envoy-retriable-status-codes", "409, x,404"),
            ("x-envoy-retriable-header-names", "x-again"),
        ]);
        let policy = take(&mut map, &route).unwrap().action.retry.unwrap();
        let on = RetryOn::RESET.with(RetryOn::SERVER_ERROR);
        assert_eq!(policy.on, on.with(RetryOn::CANCELLED));
        assert_eq!((policy.times, &policy.codes[..]), (4, &[418, 409, 404][..]));
        assert_eq!(policy.headers.len(), 1);
    }

    #[test]
    fn a_caller_may_have_a_timeout_told_with_204() {
        let steering = take(
            &mut headers(&[("x-envoy-upstream-rq-timeout-alt-response", "1")]),
            &route(),
        )
        .unwrap();
        let answer = steering.answered(LocalReply::RouteTimeout);
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            (answer.body(), answer.details()),
            (&b""[..], "response_timeout")
        );
        assert_eq!(steering.answered(LocalReply::NoRoute), LocalReply::NoRoute);
    }
}
