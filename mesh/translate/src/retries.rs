//! Istio's retry policies. Source: Istio, `pilot/pkg/networking/core/route/retry`.

use shakedown_istio::{HttpRetry, parse_retry_on};
use shakedown_xds::proto;
use shakedown_xds::proto::previous_hosts::PreviousHostsPredicate;
use shakedown_xds::proto::route::RetryPolicy;
use shakedown_xds::proto::route::retry_policy::retry_host_predicate::ConfigType;
use shakedown_xds::proto::route::retry_policy::{RetryBackOff, RetryHostPredicate};

use super::wrapped;

/// After what a request is tried again by default. It names status codes, but none is listed: a 503 of the app is not
/// tried again.
const DEFAULT_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Tries after the first by default.
const DEFAULT_TIMES: u32 = 2;
/// How often another host is looked for.
const SELECTION_ATTEMPTS: i64 = 5;
/// The predicate's name in Envoy.
const PREVIOUS_HOSTS: &str = "envoy.retry_host_predicates.previous_hosts";

/// The policy of a route; `None` if it has none at all. `hashed`: its only destination balances by a hash; then a retry
/// stays where the hash says, unless it is written that it looks for another host.
/// `retryRemoteLocalities` is refused where it is written: nothing here looks for other priorities.
pub(super) fn outbound(written: Option<&HttpRetry>, hashed: bool) -> Option<RetryPolicy> {
    let avoid = written
        .and_then(|written| written.retry_ignore_previous_hosts.as_ref())
        .map_or(!hashed, |avoid| avoid.value);
    let mut policy = RetryPolicy {
        retry_on: DEFAULT_ON.into(),
        num_retries: Some(wrapped(DEFAULT_TIMES)),
        retry_host_predicate: avoid.then(previous_hosts).into_iter().collect(),
        host_selection_retry_max_attempts: SELECTION_ATTEMPTS,
        ..Default::default()
    };
    let Some(written) = written else {
        return Some(policy);
    };
    if written.attempts == 0 {
        return None;
    }
    policy.num_retries = Some(wrapped(written.attempts));
    policy.per_try_timeout = written
        .per_try_timeout
        .as_ref()
        .map(|timeout| proto::duration(timeout.0));
    if let Some(on) = written.retry_on.as_ref().filter(|on| !on.is_empty()) {
        let (names, codes) = parse_retry_on(on);
        policy.retry_on = names.join(",");
        policy.retriable_status_codes = codes;
    }
    policy.retry_back_off = written.backoff.as_ref().map(|base| RetryBackOff {
        base_interval: Some(proto::duration(base.0)),
        ..Default::default()
    });
    Some(policy)
}

fn previous_hosts() -> RetryHostPredicate {
    RetryHostPredicate {
        name: PREVIOUS_HOSTS.into(),
        config_type: Some(ConfigType::TypedConfig(proto::pack(
            &PreviousHostsPredicate::default(),
        ))),
    }
}

/// The policy of an inbound route: the app has not seen the request, so another try harms nobody.
pub(super) fn inbound() -> RetryPolicy {
    RetryPolicy {
        retry_on: "reset-before-request".into(),
        num_retries: Some(wrapped(DEFAULT_TIMES)),
        ..Default::default()
    }
}
