//! The detectors of outlier detection.

use crate::named_enum::named_enum;

named_enum! {
    /// A detector of outlier detection, by Envoy's name. Source: Envoy, `OutlierEjectionType`.
    pub enum Detector {
        /// Consecutive 5xx responses, or attempts without a response.
        Consecutive5xx = "consecutive-5xx",
        /// Consecutive responses of 502, 503 and 504.
        ConsecutiveGatewayFailure = "consecutive-gateway-failure",
        /// Consecutive failures to reach the host.
        ConsecutiveLocalOriginFailure = "consecutive-local-origin-failure",
        /// A success rate far below that of the cluster's other hosts.
        SuccessRate = "success-rate",
        /// The same, of failures to reach the host.
        SuccessRateLocalOrigin = "success-rate-local-origin",
        /// Too large a share of 5xx responses.
        FailurePercentage = "failure-percentage",
        /// Too large a share of failures to reach the host.
        FailurePercentageLocalOrigin = "failure-percentage-local-origin",
    }
    expected "an outlier detector"
}
