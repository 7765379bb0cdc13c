//! Compiles `RetryPolicy`.

use std::time::Duration;

use http::HeaderName;
use prost::Name as _;
use shakedown_yaml::suggest;

use super::matching;
use super::problem::{FieldProblem, Result, duration, enumerated, fields, named};
use crate::proto::previous_hosts::PreviousHostsPredicate;
use crate::proto::route as message;
use crate::proto::route::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader as WrittenResetHeader, ResetHeaderFormat, RetryBackOff,
    RetryHostPredicate, retry_host_predicate,
};
use crate::table::{
    HeaderMatcher, RateLimitedBackOff, ResetFormat, ResetHeader, RetryOn, RetryPolicy,
};

/// An Envoy condition that cannot occur without HTTP/3.
const HTTP3: &str = "http3-post-connect-failure";

/// Compiles a policy. `None` if it has no effect.
pub(super) fn compile(message: &message::RetryPolicy) -> Result<Option<RetryPolicy>> {
    fields!(message => message::RetryPolicy {
        refused: retry_priority retry_options_predicates refresh_cluster_on_retry;
        used: retry_on num_retries per_try_timeout per_try_idle_timeout retry_host_predicate
            host_selection_retry_max_attempts retriable_status_codes retry_back_off rate_limited_retry_back_off
            retriable_headers retriable_request_headers;
    });
    for (index, predicate) in message.retry_host_predicate.iter().enumerate() {
        previous_hosts(predicate)
            .map_err(|problem| problem.within(&format!("retry_host_predicate[{index}]")))?;
    }
    let on = conditions(&message.retry_on)?;
    // The default number is 1. Source: Envoy, `RetryPolicy.num_retries`.
    let times = message.num_retries.as_ref().map_or(1, |times| times.value);
    let (base_interval, max_interval) = back_off(message)?;
    let policy = RetryPolicy {
        on,
        codes: codes(&message.retriable_status_codes)?,
        headers: headers("retriable_headers", &message.retriable_headers)?,
        request_headers: headers(
            "retriable_request_headers",
            &message.retriable_request_headers,
        )?,
        times,
        per_try_timeout: duration("per_try_timeout", message.per_try_timeout.as_ref())?
            .filter(|timeout| !timeout.is_zero()),
        per_try_idle_timeout: duration(
            "per_try_idle_timeout",
            message.per_try_idle_timeout.as_ref(),
        )?
        .filter(|timeout| !timeout.is_zero()),
        base_interval,
        max_interval,
        rate_limited: message
            .rate_limited_retry_back_off
            .as_ref()
            .map(rate_limited)
            .transpose()
            .map_err(|problem| problem.within("rate_limited_retry_back_off"))?,
        avoid_previous_hosts: !message.retry_host_predicate.is_empty(),
        host_selection_attempts: attempts(message.host_selection_retry_max_attempts)?,
    };
    // A policy without conditions is kept if it has per-try timeouts. Source: Envoy, `FilterUtility::finalTimeout`.
    let bounds = policy.per_try_timeout.is_some() || policy.per_try_idle_timeout.is_some();
    Ok(Some(policy).filter(|policy| bounds || !policy.on.is_empty()))
}

fn conditions(text: &str) -> Result<RetryOn> {
    let mut on = RetryOn::NONE;
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != HTTP3)
    {
        let condition = RetryOn::named(name).ok_or_else(|| {
            let hint = suggest::hint(name, RetryOn::ALL.iter().map(|(known, _)| *known));
            FieldProblem::new("retry_on", format!("unknown `{name}`: {hint}"))
        })?;
        on = on.with(condition);
    }
    Ok(on)
}

fn codes(numbers: &[u32]) -> Result<Vec<u16>> {
    let code = |number: &u32| {
        u16::try_from(*number)
            .ok()
            .filter(|code| (100..600).contains(code))
            .ok_or(*number)
    };
    let codes: std::result::Result<_, u32> = numbers.iter().map(code).collect();
    codes.map_err(|number| {
        FieldProblem::new(
            "retriable_status_codes",
            format!("expected an HTTP status, found {number}"),
        )
    })
}

/// Compiles the back-off. The defaults are 25 ms, and a maximum of ten times the base. Source: Envoy,
/// `RetryPolicy.retry_back_off`.
fn back_off(message: &message::RetryPolicy) -> Result<(Duration, Duration)> {
    let base = RetryPolicy::BASE_INTERVAL;
    let Some(written) = &message.retry_back_off else {
        return Ok((base, base * 10));
    };
    let read = || {
        fields!(written => RetryBackOff {
            used: base_interval max_interval;
        });
        let base = duration("base_interval", written.base_interval.as_ref())?
            .filter(|base| !base.is_zero());
        let base =
            base.ok_or_else(|| FieldProblem::new("base_interval", "expected more than 0"))?;
        let max = duration("max_interval", written.max_interval.as_ref())?
            .unwrap_or(base.saturating_mul(10));
        if max < base {
            return Err(FieldProblem::new(
                "max_interval",
                "expected at least `base_interval`",
            ));
        }
        Ok((base, max))
    };
    read().map_err(|problem: FieldProblem| problem.within("retry_back_off"))
}

fn headers(field: &str, written: &[message::HeaderMatcher]) -> Result<Vec<HeaderMatcher>> {
    let read = |(index, written): (usize, &message::HeaderMatcher)| {
        matching::header(written).map_err(|problem| problem.within(&format!("{field}[{index}]")))
    };
    written.iter().enumerate().map(read).collect()
}

/// Compiles the back-off requested by upstreams. The default maximum is 300 s. Source: Envoy,
/// `RateLimitedRetryBackOff`.
fn rate_limited(written: &RateLimitedRetryBackOff) -> Result<RateLimitedBackOff> {
    fields!(written => RateLimitedRetryBackOff {
        used: reset_headers max_interval;
    });
    if written.reset_headers.is_empty() {
        return Err(FieldProblem::new("reset_headers", "expected at least one"));
    }
    let mut headers = Vec::with_capacity(written.reset_headers.len());
    for (index, header) in written.reset_headers.iter().enumerate() {
        let read = || {
            fields!(header => WrittenResetHeader {
                used: name format;
            });
            named("name", &header.name)?;
            let name = HeaderName::try_from(header.name.as_str()).map_err(|_| {
                FieldProblem::new("name", format!("invalid header name `{}`", header.name))
            })?;
            let format = match enumerated("format", header.format)? {
                ResetHeaderFormat::Seconds => ResetFormat::Seconds,
                ResetHeaderFormat::UnixTimestamp => ResetFormat::UnixTimestamp,
            };
            Ok(ResetHeader { name, format })
        };
        headers.push(
            read().map_err(|problem: FieldProblem| {
                problem.within(&format!("reset_headers[{index}]"))
            })?,
        );
    }
    let max = duration("max_interval", written.max_interval.as_ref())?;
    if max.is_some_and(|max| max.is_zero()) {
        return Err(FieldProblem::new("max_interval", "expected more than 0"));
    }
    Ok(RateLimitedBackOff {
        headers,
        max_interval: max.unwrap_or(Duration::from_secs(300)),
    })
}

fn previous_hosts(predicate: &RetryHostPredicate) -> Result<()> {
    fields!(predicate => RetryHostPredicate {
        used: name config_type;
    });
    let wanted = PreviousHostsPredicate::type_url();
    match &predicate.config_type {
        Some(retry_host_predicate::ConfigType::TypedConfig(config))
            if config.type_url == wanted =>
        {
            Ok(())
        }
        _ => Err(FieldProblem::new(
            "typed_config",
            format!("not supported yet: `{}`; expected {wanted}", predicate.name),
        )),
    }
}

/// Compiles the number of host selections. 0 or unset means 1. Source: Envoy,
/// `RetryPolicy.host_selection_retry_max_attempts`.
fn attempts(number: i64) -> Result<u32> {
    match u32::try_from(number) {
        Ok(0) => Ok(1),
        Ok(number) => Ok(number),
        Err(_) => Err(FieldProblem::new(
            "host_selection_retry_max_attempts",
            format!("expected 0 or more, found {number}"),
        )),
    }
}
