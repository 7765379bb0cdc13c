//! The traffic policies of DestinationRules, merged for a cluster.

use shakedown_istio::{
    ConnectionPool, LoadBalancer, OutlierDetection, PortPolicy, RetryBudget, TrafficPolicy,
};
use shakedown_yaml::Spanned;

/// The traffic policy of a cluster. Each part of a subset's policy replaces that of the whole service. The settings of a port
/// replace all parts but the retry budget, which ports do not have.
/// Source: Istio, `MergeSubsetTrafficPolicy`, `GetPortLevelTrafficPolicy`.
#[derive(Clone, Copy, Default)]
pub struct ClusterPolicy<'a> {
    pub balancer: Option<&'a Spanned<LoadBalancer>>,
    pub pool: Option<&'a Spanned<ConnectionPool>>,
    pub outlier: Option<&'a Spanned<OutlierDetection>>,
    pub budget: Option<&'a Spanned<RetryBudget>>,
}

impl<'a> ClusterPolicy<'a> {
    /// The policy of a whole service at a port.
    pub fn for_service(policy: Option<&'a TrafficPolicy>, port: u16) -> Self {
        ClusterPolicy::default().with(policy, port)
    }

    fn replaced(self, by: &'a PortPolicy) -> Self {
        ClusterPolicy {
            balancer: by.load_balancer.as_ref(),
            pool: by.connection_pool.as_ref(),
            outlier: by.outlier_detection.as_ref(),
            budget: self.budget,
        }
    }

    /// Replaces the parts that the policy of a subset has.
    pub fn with(self, nearer: Option<&'a TrafficPolicy>, port: u16) -> Self {
        if let Some(own) = nearer.and_then(|policy| at(policy, port)) {
            return self.replaced(own);
        }
        ClusterPolicy {
            balancer: nearer
                .and_then(|policy| policy.load_balancer.as_ref())
                .or(self.balancer),
            pool: nearer
                .and_then(|policy| policy.connection_pool.as_ref())
                .or(self.pool),
            outlier: nearer
                .and_then(|policy| policy.outlier_detection.as_ref())
                .or(self.outlier),
            budget: nearer
                .and_then(|policy| policy.retry_budget.as_ref())
                .or(self.budget),
        }
    }
}

/// The settings that a policy has for one port.
fn at(policy: &TrafficPolicy, port: u16) -> Option<&PortPolicy> {
    let mut ports = policy.port_level_settings.iter();
    let found = ports.find(|own| own.port.number.value == port);
    found.map(|own| &own.value)
}

/// A part without its source location.
pub(super) fn value<T>(part: Option<&Spanned<T>>) -> Option<&T> {
    part.map(|part| &part.value)
}
