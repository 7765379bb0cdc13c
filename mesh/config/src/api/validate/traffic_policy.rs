//! What is wrong with `trafficPolicy`. Source: Istio, `validateTrafficPolicy`.

use super::Check;
use crate::api::{OutlierDetection, TrafficPolicy};
use crate::decode::Spanned;

impl Check<'_> {
    pub(super) fn traffic_policy(&mut self, policy: &TrafficPolicy) {
        if let Some(balancer) = &policy.load_balancer {
            self.load_balancer(balancer);
        }
        if let Some(outlier) = &policy.outlier_detection {
            self.outlier_detection(outlier);
        }
    }

    fn outlier_detection(&mut self, outlier: &OutlierDetection) {
        self.percent("maxEjectionPercent", outlier.max_ejection_percent.as_ref());
        self.percent("minHealthPercent", outlier.min_health_percent.as_ref());
        if let Some(failures) = &outlier.consecutive_local_origin_failures
            && failures.value > 0
            && !outlier.split_external_local_origin_errors
        {
            let message = "`consecutiveLocalOriginFailures` counts only where they are counted apart: \
                expected `splitExternalLocalOriginErrors: true` beside it";
            self.tell(&failures.place, message);
        }
    }

    fn percent(&mut self, field: &str, percent: Option<&Spanned<u32>>) {
        if let Some(percent) = percent.filter(|percent| percent.value > 100) {
            let message = format!("`{field}` is {}: expected 0 to 100", percent.value);
            self.tell(&percent.place, message);
        }
    }
}
