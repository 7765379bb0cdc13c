//! Compiles `OutlierDetection`.

use std::time::Duration;

use super::problem::{FieldProblem, Result, duration, fields, is_true};
use crate::proto::cluster as message;
use crate::proto::protobuf::{self, UInt32Value};
use crate::table::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};

/// Compiles outlier detection. Unset fields have Envoy's defaults. `successful_active_health_check_uneject_host` is
/// ignored because active health checks are not supported.
pub(super) fn compile(message: &message::OutlierDetection) -> Result<OutlierDetection> {
    fields!(message => message::OutlierDetection {
        refused: monitors detect_degraded_hosts;
        used: consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx
            enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume
            success_rate_stdev_factor consecutive_gateway_failure enforcing_consecutive_gateway_failure
            split_external_local_origin_errors consecutive_local_origin_failure
            enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate
            failure_percentage_threshold enforcing_failure_percentage enforcing_failure_percentage_local_origin
            failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time
            max_ejection_time_jitter always_eject_one_host;
        ignored: successful_active_health_check_uneject_host;
    });
    let envoy = OutlierDetection::default();
    let base = span("base_ejection_time", &message.base_ejection_time)?
        .unwrap_or(envoy.base_ejection_time);
    let max = span("max_ejection_time", &message.max_ejection_time)?
        .unwrap_or(OutlierDetection::MAX_EJECTION_TIME.max(base));
    if max < base {
        return Err(FieldProblem::new(
            "max_ejection_time",
            "expected at least `base_ejection_time`",
        ));
    }
    let jitter = duration(
        "max_ejection_time_jitter",
        message.max_ejection_time_jitter.as_ref(),
    )?;
    Ok(OutlierDetection {
        consecutive_5xx: number(&message.consecutive_5xx, envoy.consecutive_5xx),
        consecutive_gateway_failure: number(
            &message.consecutive_gateway_failure,
            envoy.consecutive_gateway_failure,
        ),
        consecutive_local_origin_failure: number(
            &message.consecutive_local_origin_failure,
            envoy.consecutive_local_origin_failure,
        ),
        split_local_origin: message.split_external_local_origin_errors,
        interval: span("interval", &message.interval)?.unwrap_or(envoy.interval),
        base_ejection_time: base,
        max_ejection_time: max,
        max_ejection_time_jitter: jitter.map(whole_millis).unwrap_or_default(),
        max_ejection_percent: percent(
            "max_ejection_percent",
            &message.max_ejection_percent,
            envoy.max_ejection_percent,
        )?,
        always_eject_one_host: is_true(message.always_eject_one_host.as_ref()),
        success_rate: success_rate(message, envoy.success_rate),
        failure_percentage: failure_percentage(message, envoy.failure_percentage)?,
        enforcing: enforcing(message, envoy.enforcing)?,
    })
}

fn success_rate(message: &message::OutlierDetection, envoy: SuccessRate) -> SuccessRate {
    SuccessRate {
        minimum_hosts: number(&message.success_rate_minimum_hosts, envoy.minimum_hosts),
        request_volume: number(&message.success_rate_request_volume, envoy.request_volume),
        stdev_factor_thousandths: number(
            &message.success_rate_stdev_factor,
            envoy.stdev_factor_thousandths,
        ),
    }
}

fn failure_percentage(
    message: &message::OutlierDetection,
    envoy: FailurePercentage,
) -> Result<FailurePercentage> {
    Ok(FailurePercentage {
        threshold: percent(
            "failure_percentage_threshold",
            &message.failure_percentage_threshold,
            envoy.threshold,
        )?,
        minimum_hosts: number(
            &message.failure_percentage_minimum_hosts,
            envoy.minimum_hosts,
        ),
        request_volume: number(
            &message.failure_percentage_request_volume,
            envoy.request_volume,
        ),
    })
}

fn enforcing(message: &message::OutlierDetection, envoy: Enforcing) -> Result<Enforcing> {
    /// A percentage field of the message.
    macro_rules! share {
        ($field:ident, $default:expr) => {
            percent(stringify!($field), &message.$field, $default)?
        };
    }
    Ok(Enforcing {
        consecutive_5xx: share!(enforcing_consecutive_5xx, envoy.consecutive_5xx),
        consecutive_gateway_failure: share!(
            enforcing_consecutive_gateway_failure,
            envoy.consecutive_gateway_failure
        ),
        consecutive_local_origin_failure: share!(
            enforcing_consecutive_local_origin_failure,
            envoy.consecutive_local_origin_failure
        ),
        success_rate: share!(enforcing_success_rate, envoy.success_rate),
        success_rate_local_origin: share!(
            enforcing_local_origin_success_rate,
            envoy.success_rate_local_origin
        ),
        failure_percentage: share!(enforcing_failure_percentage, envoy.failure_percentage),
        failure_percentage_local_origin: share!(
            enforcing_failure_percentage_local_origin,
            envoy.failure_percentage_local_origin
        ),
    })
}

fn number(written: &Option<UInt32Value>, default: u32) -> u32 {
    written.as_ref().map_or(default, |number| number.value)
}

fn percent(field: &str, written: &Option<UInt32Value>, default: u32) -> Result<u32> {
    match number(written, default) {
        percent @ 0..=100 => Ok(percent),
        other => Err(FieldProblem::new(
            field,
            format!("expected 0 to 100, found {other}"),
        )),
    }
}

/// Converts a duration, which must be at least 1 ms because Envoy truncates to whole milliseconds.
fn span(field: &str, written: &Option<protobuf::Duration>) -> Result<Option<Duration>> {
    let span = duration(field, written.as_ref())?.map(whole_millis);
    match span {
        Some(span) if span.is_zero() => Err(FieldProblem::new(field, "expected 1 ms or more")),
        span => Ok(span),
    }
}

fn whole_millis(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
