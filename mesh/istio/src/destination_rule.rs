//! `DestinationRule`: the treatment of requests after routing. Source: Istio, networking/v1.

mod balancing;
mod connection_pool;
mod outlier;

pub use balancing::{
    ConsistentHash, CookieAttribute, Distribute, Failover, HttpCookie, LoadBalancer, LocalityLb,
    Maglev, RingHash, SimpleLb, Warmup,
};
pub use connection_pool::{ConnectionPool, H2UpgradePolicy, HttpPool, TcpPool};
pub use outlier::{OutlierDetection, Percent, RetryBudget};

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::{Diagnostics, Location, Node, Spanned};

use super::proxy_policy::WorkloadSelector;
use super::virtual_service::PortSelector;

/// The subsets of a service, and the traffic policies of the service and its subsets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The service: a short name, a full name or a wildcard.
    pub host: Spanned<String>,
    /// The policy of the whole service.
    pub traffic_policy: Option<TrafficPolicy>,
    #[serde(default)]
    pub subsets: Vec<Spanned<Subset>>,
    /// The namespaces whose callers the rule applies to: `*` for all, `.` for its own, or a name. Empty: the mesh's
    /// default, which is all.
    #[serde(default)]
    pub export_to: Vec<Spanned<String>>,
    /// The calling workloads, in its own namespace, that the rule applies to. `None`: all.
    pub workload_selector: Option<Spanned<WorkloadSelector>>,
}

/// A named part of a service's endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    pub name: Spanned<String>,
    /// The labels of its endpoints. Empty: all endpoints.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// The policy of the subset. Each part of it replaces that of the service.
    pub traffic_policy: Option<TrafficPolicy>,
}

impl Subset {
    /// Returns true if the subset selects endpoints with these labels.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.labels.iter();
        wanted.all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Reports policies of a DestinationRule that are written as `{}`. Inspects the document as written, because a policy
/// without any supported field is parsed into an empty one too. Source: Istio, `validateTrafficPolicy`.
pub(super) fn empty_policies(node: &Node, name: &str) -> Diagnostics {
    let mut errors = Diagnostics::new();
    let subsets = node.find(&["spec", "subsets"]).and_then(Node::as_list);
    let own = node.find(&["spec", "trafficPolicy"]);
    let of_subsets = subsets.unwrap_or_default().iter();
    let policies = own
        .into_iter()
        .chain(of_subsets.filter_map(|subset| subset.get("trafficPolicy")));
    for policy in policies {
        if policy.as_map().is_some_and(|fields| fields.is_empty()) {
            let message = format!(
                "DestinationRule {name}: `trafficPolicy` is empty: expected at least one field"
            );
            errors.add(&policy.place, message);
        }
    }
    errors
}

/// The settings of requests to a service or subset.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// The limits of connections and requests.
    pub connection_pool: Option<Spanned<ConnectionPool>>,
    /// The conditions under which a host is ejected.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
    /// The limit of concurrent retries.
    pub retry_budget: Option<Spanned<RetryBudget>>,
    /// The settings of single ports. They replace all of the above except the retry budget.
    #[serde(default)]
    pub port_level_settings: Vec<Spanned<PortPolicy>>,
}

impl TrafficPolicy {
    /// Returns the source location of the first setting. `None` without any setting.
    pub fn place(&self) -> Option<&Location> {
        let parts = [
            self.load_balancer.as_ref().map(|balancer| &balancer.place),
            self.connection_pool.as_ref().map(|pool| &pool.place),
            self.outlier_detection
                .as_ref()
                .map(|detection| &detection.place),
            self.retry_budget.as_ref().map(|budget| &budget.place),
            self.port_level_settings.first().map(|port| &port.place),
        ];
        parts.into_iter().flatten().min()
    }
}

/// The settings of requests to one port of a service. A missing part means the mesh's default, not the part of the
/// service's policy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortPolicy {
    pub port: PortSelector,
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// The limits of connections and requests.
    pub connection_pool: Option<Spanned<ConnectionPool>>,
    /// The conditions under which a host is ejected.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
}
