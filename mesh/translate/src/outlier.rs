//! Translation of `outlierDetection`. Source: Istio, `applyOutlierDetection`.

use shakedown_istio::OutlierDetection;
use shakedown_xds::proto::{self, cluster};

use super::messages::wrapped;

/// Translates the settings. Unset fields have Envoy's defaults, except that success rates never eject.
pub(super) fn detection(written: &OutlierDetection) -> cluster::OutlierDetection {
    /// 100%, or 0% if the threshold is 0.
    fn enforced(threshold: u32) -> u32 {
        if threshold > 0 { 100 } else { 0 }
    }
    let mut message = cluster::OutlierDetection {
        enforcing_success_rate: Some(wrapped(0)),
        consecutive_5xx: written.consecutive_5xx_errors.map(wrapped),
        enforcing_consecutive_5xx: written
            .consecutive_5xx_errors
            .map(|errors| wrapped(enforced(errors))),
        consecutive_gateway_failure: written.consecutive_gateway_errors.map(wrapped),
        enforcing_consecutive_gateway_failure: written
            .consecutive_gateway_errors
            .map(|errors| wrapped(enforced(errors))),
        interval: written.interval.map(|interval| proto::duration(interval.0)),
        base_ejection_time: written
            .base_ejection_time
            .map(|time| proto::duration(time.0)),
        max_ejection_percent: written
            .max_ejection_percent
            .as_ref()
            .filter(|percent| percent.value > 0)
            .map(|percent| wrapped(percent.value)),
        ..Default::default()
    };
    if written.split_external_local_origin_errors {
        message.split_external_local_origin_errors = true;
        message.enforcing_local_origin_success_rate = Some(wrapped(0));
        if let Some(failures) = written
            .consecutive_local_origin_failures
            .as_ref()
            .filter(|failures| failures.value > 0)
        {
            message.consecutive_local_origin_failure = Some(wrapped(failures.value));
            message.enforcing_consecutive_local_origin_failure = Some(wrapped(100));
        }
    }
    message
}
