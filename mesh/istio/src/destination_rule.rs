//! `DestinationRule`: what happens to requests after routing. Source: Istio, networking/v1.

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
use shakedown_yaml::{Diagnostics, Node, Place, Spanned};

use super::proxy_policy::WorkloadSelector;
use super::virtual_service::PortSelector;

/// Subsets of a service, and how it and they are reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The service: a short name, a full one, or a wildcard.
    pub host: Spanned<String>,
    /// For all of it.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named parts of it.
    #[serde(default)]
    pub subsets: Vec<Spanned<Subset>>,
    /// Whose callers it is for: `*` all, `.` those of its own namespace, or a namespace. None: as the mesh says, which is all.
    #[serde(default)]
    pub export_to: Vec<Spanned<String>>,
    /// The workloads that it is for, as callers, in its own namespace; none: all.
    pub workload_selector: Option<Spanned<WorkloadSelector>>,
}

/// A named part of a service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    pub name: Spanned<String>,
    /// The labels that its endpoints have; none: all endpoints.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// What differs for it; each part given replaces the service's.
    pub traffic_policy: Option<TrafficPolicy>,
}

impl Subset {
    /// Returns true if the subset selects endpoints with these labels.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.labels.iter();
        wanted.all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Reports policies of a DestinationRule that are written as `{}`. Looks at the document as written, because a policy of which
/// every field is not modelled reads as an empty one. Source: Istio, `validateTrafficPolicy`.
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

/// How a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// Bounds on connections and requests.
    pub connection_pool: Option<Spanned<ConnectionPool>>,
    /// When a host is taken out.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
    /// How many retries there may be at once.
    pub retry_budget: Option<Spanned<RetryBudget>>,
    /// What holds for single ports, in the place of all the rest.
    #[serde(default)]
    pub port_level_settings: Vec<Spanned<PortPolicy>>,
}

impl TrafficPolicy {
    /// The place of the first thing that it says.
    pub fn place(&self) -> Option<&Place> {
        let parts = [
            self.load_balancer.as_ref().map(|it| &it.place),
            self.connection_pool.as_ref().map(|it| &it.place),
            self.outlier_detection.as_ref().map(|it| &it.place),
            self.retry_budget.as_ref().map(|it| &it.place),
            self.port_level_settings.first().map(|it| &it.place),
        ];
        parts.into_iter().flatten().min()
    }
}

/// How one port of a service is reached. What it leaves out is the mesh's default, not what the service says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortPolicy {
    /// Which.
    pub port: PortSelector,
    /// How an endpoint is chosen.
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// Bounds on connections and requests.
    pub connection_pool: Option<Spanned<ConnectionPool>>,
    /// When a host is taken out.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
}
