//! Translation of per-route filter settings: fault injection and CORS. Source: Istio, `TranslateFault`,
//! `TranslateCORSPolicy`.

use std::time::Duration;

use shakedown_istio::{
    Abort, CorsPolicy, Delay, Fault, HttpRoute, Percentage, StringMatch, UnmatchedPreflights,
};
use shakedown_xds::proto::core::RuntimeFractionalPercent;
use shakedown_xds::proto::fault::fault_abort::ErrorType;
use shakedown_xds::proto::fault_delay::fault_delay::FaultDelaySecifier;
use shakedown_xds::proto::fractional::FractionalPercent;
use shakedown_xds::proto::fractional::fractional_percent::DenominatorType;
use shakedown_xds::proto::matcher::StringMatcher;
use shakedown_xds::proto::matcher::string_matcher::MatchPattern;
use shakedown_xds::proto::protobuf::{Any, BoolValue};
use shakedown_xds::proto::{self, CORS, FAULT, cors, fault, fault_delay};

use super::condition::string_matcher;

/// Returns a route's settings by filter, sorted by filter name.
pub(super) fn of_route(route: &HttpRoute) -> Vec<(String, Any)> {
    let mut settings = Vec::new();
    if let Some(policy) = &route.cors_policy {
        settings.push((CORS.into(), proto::pack(&cors_policy(policy))));
    }
    if let Some(fault) = &route.fault {
        settings.push((FAULT.into(), proto::pack(&http_fault(fault))));
    }
    settings
}

/// A percentage in parts per million, as Istio sends percentages with decimals.
pub(super) fn millionths(percentage: &Percentage) -> FractionalPercent {
    FractionalPercent {
        numerator: percentage.value.0,
        denominator: DenominatorType::Million.into(),
    }
}

/// An integer percentage.
pub(super) fn percent(percent: u32) -> FractionalPercent {
    FractionalPercent {
        numerator: percent,
        denominator: DenominatorType::Hundred.into(),
    }
}

fn http_fault(fault: &Fault) -> fault::HttpFault {
    fault::HttpFault {
        delay: fault.delay.as_ref().and_then(|delay| self::delay(delay)),
        abort: fault.abort.as_ref().and_then(|abort| self::abort(abort)),
        ..Default::default()
    }
}

fn delay(delay: &Delay) -> Option<fault_delay::FaultDelay> {
    let fixed = delay.fixed_delay.as_ref()?;
    let whole = || percent(delay.percent.as_ref().map_or(0, |percent| percent.value));
    let share = delay.percentage.as_ref().map(|share| millionths(share));
    Some(fault_delay::FaultDelay {
        percentage: Some(share.unwrap_or_else(whole)),
        fault_delay_secifier: Some(FaultDelaySecifier::FixedDelay(proto::duration(fixed.0))),
    })
}

fn abort(abort: &Abort) -> Option<fault::FaultAbort> {
    let of_http = abort
        .http_status
        .as_ref()
        .map(|status| ErrorType::HttpStatus(status.value.into()));
    let of_grpc = || abort.grpc_number().map(ErrorType::GrpcStatus);
    Some(fault::FaultAbort {
        percentage: abort.percentage.as_ref().map(|share| millionths(share)),
        error_type: Some(of_http.or_else(of_grpc)?),
        ..Default::default()
    })
}

fn cors_policy(policy: &CorsPolicy) -> cors::CorsPolicy {
    let matcher = |wanted: &StringMatch| {
        // A presence match allows any origin.
        string_matcher(wanted).unwrap_or_else(|| StringMatcher {
            match_pattern: Some(MatchPattern::SafeRegex(super::condition::regex_matcher(
                ".*",
            ))),
            ignore_case: false,
        })
    };
    let exact = |origin: &String| matcher(&StringMatch::Exact(origin.clone()));
    let origins = if policy.allow_origins.is_empty() {
        policy
            .allow_origin
            .iter()
            .map(|origin| exact(origin))
            .collect()
    } else {
        policy
            .allow_origins
            .iter()
            .map(|origin| matcher(origin))
            .collect()
    };
    let list = |names: &[shakedown_yaml::Spanned<String>]| {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        names.join(",")
    };
    let forward = policy.unmatched_preflights != Some(UnmatchedPreflights::Ignore);
    cors::CorsPolicy {
        allow_origin_string_match: origins,
        allow_methods: list(&policy.allow_methods),
        allow_headers: list(&policy.allow_headers),
        expose_headers: list(&policy.expose_headers),
        max_age: policy
            .max_age
            .as_ref()
            .map_or_else(String::new, |age| seconds(age.0)),
        allow_credentials: policy.allow_credentials.map(|value| BoolValue { value }),
        filter_enabled: Some(RuntimeFractionalPercent {
            default_value: Some(percent(100)),
            ..Default::default()
        }),
        forward_not_matching_preflights: Some(BoolValue { value: forward }),
        ..Default::default()
    }
}

fn seconds(age: Duration) -> String {
    age.as_secs().to_string()
}
