//! Compiles `LocalRateLimit`, and the `rate_limits` of routes, which compute the descriptors of requests.

use std::time::Duration;

use super::headers;
use super::matching;
use super::problem::{FieldProblem, Result, duration, enumerated, fields, named};
use super::share;
use crate::proto::fractional::TokenBucket;
use crate::proto::rate_limit as message;
use crate::proto::rate_limit_common::{
    LocalRateLimitDescriptor, VhRateLimitsOptions, XRateLimitHeadersRfcVersion,
};
use crate::proto::route;
use crate::proto::route::rate_limit::action::{self as rule, ActionSpecifier};
use crate::table::{
    Bucket, DescriptorAction, DescriptorRule, HeaderKey, HostRules, LimitDescriptor, RateLimit,
};

/// The status if the configured one is missing or below 400. Source: Envoy, `LocalRateLimit.status`.
const STATUS: u16 = 429;
/// Source: Envoy, `LocalRateLimit.max_dynamic_descriptors`.
const DYNAMIC_MAX: u32 = 20;
/// The minimum fill interval. Source: Envoy, which refuses shorter intervals.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

pub(super) fn compile(message: &message::LocalRateLimit) -> Result<RateLimit> {
    fields!(message => message::LocalRateLimit {
        refused: local_cluster_rate_limit enable_retry_after_header;
        used: status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced
            response_headers_to_add descriptors stage local_rate_limit_per_downstream_connection
            enable_x_ratelimit_headers vh_rate_limits always_consume_default_token_bucket
            rate_limited_as_resource_exhausted rate_limits max_dynamic_descriptors;
        ignored: stat_prefix;
    });
    let bucket = match &message.token_bucket {
        None => None,
        Some(written) => Some(bucket(written).map_err(|problem| problem.within("token_bucket"))?),
    };
    let descriptors = descriptors(&message.descriptors)?;
    let status = message.status.as_ref().map_or(0, |status| status.code);
    let status = u16::try_from(status)
        .ok()
        .filter(|code| (400..600).contains(code));
    let ratelimit_headers = match enumerated(
        "enable_x_ratelimit_headers",
        message.enable_x_ratelimit_headers,
    )? {
        XRateLimitHeadersRfcVersion::Off => false,
        XRateLimitHeadersRfcVersion::DraftVersion03 => true,
    };
    let host_rules = match enumerated("vh_rate_limits", message.vh_rate_limits)? {
        VhRateLimitsOptions::Override => HostRules::Override,
        VhRateLimitsOptions::Include => HostRules::Include,
        VhRateLimitsOptions::Ignore => HostRules::Ignore,
    };
    let always_default = message.always_consume_default_token_bucket.as_ref();
    let dynamic_max = message.max_dynamic_descriptors.as_ref();
    let dynamic_max = dynamic_max.map_or(DYNAMIC_MAX, |max| max.value).max(1);
    Ok(RateLimit {
        bucket,
        descriptors,
        always_default: always_default.is_none_or(|always| always.value),
        status: status.unwrap_or(STATUS),
        enabled: share::runtime("filter_enabled", message.filter_enabled.as_ref())?,
        enforced: share::runtime("filter_enforced", message.filter_enforced.as_ref())?,
        response_headers: headers::ops(
            &message.response_headers_to_add,
            &[],
            ["response_headers_to_add", ""],
        )?,
        request_headers: headers::ops(
            &message.request_headers_to_add_when_not_enforced,
            &[],
            ["request_headers_to_add_when_not_enforced", ""],
        )?,
        per_connection: message.local_rate_limit_per_downstream_connection,
        report_state: ratelimit_headers,
        rules: rules(&message.rate_limits)?,
        stage: message.stage,
        host_rules,
        resource_exhausted: message.rate_limited_as_resource_exhausted,
        dynamic_max: dynamic_max as usize,
    })
}

fn descriptors(messages: &[LocalRateLimitDescriptor]) -> Result<Vec<LimitDescriptor>> {
    let mut descriptors: Vec<LimitDescriptor> = Vec::with_capacity(messages.len());
    for (index, written) in messages.iter().enumerate() {
        let path = format!("descriptors[{index}]");
        let found = descriptor(written).map_err(|problem| problem.within(&path))?;
        if descriptors
            .iter()
            .any(|known| known.entries == found.entries)
        {
            return Err(FieldProblem::new(&path, "duplicate descriptor"));
        }
        descriptors.push(found);
    }
    Ok(descriptors)
}

fn bucket(message: &TokenBucket) -> Result<Bucket> {
    fields!(message => TokenBucket {
        used: max_tokens tokens_per_fill fill_interval;
    });
    let interval = duration("fill_interval", message.fill_interval.as_ref())?.unwrap_or_default();
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let interval = Duration::from_millis(millis);
    if interval < INTERVAL_MIN {
        return Err(FieldProblem::new("fill_interval", "expected 50 ms or more"));
    }
    let per_fill = message
        .tokens_per_fill
        .as_ref()
        .map_or(1, |tokens| tokens.value);
    if per_fill == 0 {
        return Err(FieldProblem::new("tokens_per_fill", "expected 1 or more"));
    }
    Ok(Bucket {
        max: message.max_tokens,
        per_fill,
        interval,
    })
}

fn descriptor(message: &LocalRateLimitDescriptor) -> Result<LimitDescriptor> {
    fields!(message => LocalRateLimitDescriptor {
        refused: shadow_mode;
        used: entries token_bucket;
    });
    let Some(written) = &message.token_bucket else {
        return Err(FieldProblem::new(
            "token_bucket",
            "expected a token bucket, found nothing",
        ));
    };
    if message.entries.is_empty() {
        return Err(FieldProblem::new("entries", "expected at least one"));
    }
    let entry = |entry: &crate::proto::rate_limit_common::rate_limit_descriptor::Entry| {
        (entry.key.as_str().into(), entry.value.as_str().into())
    };
    Ok(LimitDescriptor {
        entries: message.entries.iter().map(entry).collect(),
        bucket: bucket(written).map_err(|problem| problem.within("token_bucket"))?,
    })
}

/// Compiles the `rate_limits` of a route, a virtual host or the filter.
pub(super) fn rules(messages: &[route::RateLimit]) -> Result<Vec<DescriptorRule>> {
    let mut rules = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let at = |problem: FieldProblem| problem.within(&format!("rate_limits[{index}]"));
        rules.push(rule(message).map_err(at)?);
    }
    Ok(rules)
}

fn rule(message: &route::RateLimit) -> Result<DescriptorRule> {
    fields!(message => route::RateLimit {
        refused: disable_key limit hits_addend apply_on_stream_done x_ratelimit_option;
        used: stage actions;
    });
    let mut actions = Vec::with_capacity(message.actions.len());
    for (index, written) in message.actions.iter().enumerate() {
        let at = |problem: FieldProblem| problem.within(&format!("actions[{index}]"));
        actions.push(action(written.action_specifier.as_ref()).map_err(at)?);
    }
    Ok(DescriptorRule {
        stage: message.stage.as_ref().map_or(0, |stage| stage.value),
        actions,
    })
}

/// Returns the configured key, or the action's default if it is empty.
fn key(written: &str, own: &str) -> Box<str> {
    if written.is_empty() { own } else { written }.into()
}

fn action(specifier: Option<&ActionSpecifier>) -> Result<DescriptorAction> {
    const ACCEPTED: &str = "expected `generic_key`, `request_headers`, `query_parameters`, `header_value_match` or \
         `query_parameter_value_match`";
    match specifier {
        Some(ActionSpecifier::GenericKey(written)) => {
            fields!(written => rule::GenericKey {
                refused: default_value;
                used: descriptor_value descriptor_key;
            });
            Ok(DescriptorAction::GenericKey {
                key: key(&written.descriptor_key, "generic_key"),
                value: fixed(&written.descriptor_value)?,
            })
        }
        Some(ActionSpecifier::RequestHeaders(written)) => {
            fields!(written => rule::RequestHeaders {
                used: header_name descriptor_key skip_if_absent;
            });
            named("descriptor_key", &written.descriptor_key)?;
            let name = HeaderKey::named(&written.header_name).ok_or_else(|| {
                let text = format!("invalid header name `{}`", written.header_name);
                FieldProblem::new("header_name", text)
            })?;
            Ok(DescriptorAction::Header {
                name,
                key: written.descriptor_key.as_str().into(),
                optional: written.skip_if_absent,
            })
        }
        Some(ActionSpecifier::QueryParameters(written)) => {
            fields!(written => rule::QueryParameters {
                used: query_parameter_name descriptor_key skip_if_absent;
            });
            named("descriptor_key", &written.descriptor_key)?;
            named("query_parameter_name", &written.query_parameter_name)?;
            Ok(DescriptorAction::Query {
                name: written.query_parameter_name.as_str().into(),
                key: written.descriptor_key.as_str().into(),
                optional: written.skip_if_absent,
            })
        }
        Some(ActionSpecifier::HeaderValueMatch(written)) => {
            fields!(written => rule::HeaderValueMatch {
                refused: default_value;
                used: descriptor_value descriptor_key expect_match headers;
            });
            Ok(DescriptorAction::HeaderMatch {
                key: key(&written.descriptor_key, "header_match"),
                value: fixed(&written.descriptor_value)?,
                headers: matching::headers(&written.headers)?,
                expect: written
                    .expect_match
                    .as_ref()
                    .is_none_or(|expect| expect.value),
            })
        }
        Some(ActionSpecifier::QueryParameterValueMatch(written)) => {
            fields!(written => rule::QueryParameterValueMatch {
                refused: default_value;
                used: descriptor_value descriptor_key expect_match query_parameters;
            });
            Ok(DescriptorAction::QueryMatch {
                key: key(&written.descriptor_key, "query_match"),
                value: fixed(&written.descriptor_value)?,
                query: matching::parameters(&written.query_parameters)?,
                expect: written
                    .expect_match
                    .as_ref()
                    .is_none_or(|expect| expect.value),
            })
        }
        Some(_) => Err(FieldProblem::new(
            "action_specifier",
            format!("not supported yet: {ACCEPTED}"),
        )),
        None => Err(FieldProblem::new(
            "action_specifier",
            format!("{ACCEPTED}, found nothing"),
        )),
    }
}

/// Refuses a value with command operators (`%...%`), which newer versions of Envoy accept here.
fn fixed(value: &str) -> Result<Box<str>> {
    named("descriptor_value", value)?;
    if value.contains('%') {
        let text = format!("not supported yet: operators like `{value}`");
        return Err(FieldProblem::new("descriptor_value", text));
    }
    Ok(value.into())
}
