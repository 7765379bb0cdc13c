//! Istio's retry policies. Source: Istio, `pilot/pkg/networking/core/route/retry`.

use shakedown_istio::{HttpRetry, parse_retry_on};
use shakedown_xds::proto;
use shakedown_xds::proto::previous_hosts::PreviousHostsPredicate;
use shakedown_xds::proto::route::RetryPolicy;
use shakedown_xds::proto::route::retry_policy::retry_host_predicate::ConfigType;
use shakedown_xds::proto::route::retry_policy::{RetryBackOff, RetryHostPredicate};

use super::messages::wrapped;

/// The default retry conditions. `retriable-status-codes` is included, but no codes are listed, so a 503 from the
/// application is not retried.
const DEFAULT_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// The default number of retries.
const DEFAULT_TIMES: u32 = 2;
/// The maximum number of host selections per retry.
const SELECTION_ATTEMPTS: i64 = 5;
/// Envoy's name for the predicate.
const PREVIOUS_HOSTS: &str = "envoy.retry_host_predicates.previous_hosts";

/// Returns the policy of a route, or `None` if retries are disabled. `hashed`: true if its only destination uses
/// consistent hashing, in which case a retry uses the same host unless the route asks for another.
/// `retryRemoteLocalities: true` is removed as an unmodelled field when documents are read, because retries to other
/// priorities are not supported.
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

/// Returns the policy of inbound routes. A retry is safe because the application has not seen the request.
pub(super) fn inbound() -> RetryPolicy {
    RetryPolicy {
        retry_on: "reset-before-request".into(),
        num_retries: Some(wrapped(DEFAULT_TIMES)),
        ..Default::default()
    }
}
