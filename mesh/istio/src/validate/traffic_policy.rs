//! Validation of `trafficPolicy`. Source: Istio, `validateTrafficPolicy`.

use std::collections::BTreeMap;

use shakedown_yaml::Spanned;

use super::DocumentCheck;
use crate::{ConnectionPool, H2UpgradePolicy, OutlierDetection, TrafficPolicy};

impl DocumentCheck<'_> {
    pub(super) fn traffic_policy(&mut self, policy: &TrafficPolicy) {
        if let Some(balancer) = &policy.load_balancer {
            self.load_balancer(balancer);
        }
        if let Some(outlier) = &policy.outlier_detection {
            self.outlier_detection(outlier);
        }
        if let Some(pool) = &policy.connection_pool {
            self.connection_pool(pool);
        }
        let mut seen = BTreeMap::new();
        for port in &policy.port_level_settings {
            let number = &port.port.number;
            self.port_number(&port.port);
            if let Some(first) = seen.insert(number.value, &number.place) {
                let message = format!(
                    "duplicate port {number}; the first is at {}",
                    first.in_file()
                );
                self.report(&number.place, message);
            }
            if let Some(balancer) = &port.load_balancer {
                self.load_balancer(balancer);
            }
            if let Some(outlier) = &port.outlier_detection {
                self.outlier_detection(outlier);
            }
            if let Some(pool) = &port.connection_pool {
                self.connection_pool(pool);
            }
        }
    }

    /// Source: Istio, `validateConnectionPool`.
    fn connection_pool(&mut self, pool: &Spanned<ConnectionPool>) {
        if pool.tcp.is_none() && pool.http.is_none() {
            self.report(
                &pool.place,
                "`connectionPool` is empty: expected `tcp` or `http`",
            );
        }
        if let Some(http) = &pool.http
            && http.use_client_protocol
            && http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade)
        {
            let message = "both `useClientProtocol: true` and `h2UpgradePolicy: UPGRADE` are set: expected one of them";
            self.report(&pool.place, message);
        }
    }

    fn outlier_detection(&mut self, outlier: &OutlierDetection) {
        self.percent("maxEjectionPercent", outlier.max_ejection_percent.as_ref());
        self.percent("minHealthPercent", outlier.min_health_percent.as_ref());
        if let Some(failures) = &outlier.consecutive_local_origin_failures
            && failures.value > 0
            && !outlier.split_external_local_origin_errors
        {
            let message = "`consecutiveLocalOriginFailures` has no effect without `splitExternalLocalOriginErrors: true`";
            self.report(&failures.place, message);
        }
    }

    fn percent(&mut self, field: &str, percent: Option<&Spanned<u32>>) {
        if let Some(percent) = percent.filter(|percent| percent.value > 100) {
            let message = format!("`{field}` is {}: expected 0 to 100", percent.value);
            self.report(&percent.place, message);
        }
    }
}
