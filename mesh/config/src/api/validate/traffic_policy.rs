//! What is wrong with `trafficPolicy`. Source: Istio, `validateTrafficPolicy`.

use std::collections::BTreeMap;

use super::{Check, short};
use crate::api::{OutlierDetection, TrafficPolicy};
use crate::decode::Spanned;
use crate::registry::Hostname;

impl Check<'_> {
    pub(super) fn traffic_policy(&mut self, policy: &TrafficPolicy) {
        if let Some(balancer) = &policy.load_balancer {
            self.load_balancer(balancer);
        }
        if let Some(outlier) = &policy.outlier_detection {
            self.outlier_detection(outlier);
        }
        let mut seen = BTreeMap::new();
        for port in &policy.port_level_settings {
            let number = &port.port.number;
            if let Some(first) = seen.insert(number.value, &number.place) {
                let message = format!(
                    "port {number} stands here twice; the first is at {}",
                    short(first)
                );
                self.tell(&number.place, message);
            }
            if let Some(balancer) = &port.load_balancer {
                self.load_balancer(balancer);
            }
            if let Some(outlier) = &port.outlier_detection {
                self.outlier_detection(outlier);
            }
        }
    }

    /// Ports that a rule speaks of are those of its service, where that is known.
    pub(super) fn policy_ports(&mut self, host: &Hostname, policy: &TrafficPolicy) {
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        for port in &policy.port_level_settings {
            self.port_of(service, &port.port);
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
