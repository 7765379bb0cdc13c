//! Deferred creation of a cluster's state until its first request.
//!
//! A mesh pushes every cluster to every proxy, and a proxy sends requests to few of them. The hosts, connection pools,
//! breakers and load balancers of the others would take most of its memory. Source: Envoy,
//! `ClusterManager.enable_deferred_cluster_creation`.
//!
//! Requests must not observe the difference: the intervals of outlier detection, its merge window and slow start count
//! from the configuration. Therefore the configurations of an unused cluster are kept, and its state applies all of
//! them when it is created.

use std::sync::Arc;

use shakedown_env::Time;
use shakedown_xds::table::{Assignment, Cluster, Priority};

use crate::breaker;

/// The number of configurations after which a cluster's state is created even without a request.
pub(super) const STEPS_MAX: usize = 8;

/// A configuration of a cluster.
#[derive(Debug)]
pub(super) struct AppliedConfig {
    pub(super) cluster: Arc<Cluster>,
    pub(super) hosts: Option<Arc<Assignment>>,
    /// The time at which it was put in force.
    pub(super) since: Time,
}

impl AppliedConfig {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        hosts: Option<&Arc<Assignment>>,
        since: Time,
    ) -> AppliedConfig {
        AppliedConfig {
            cluster: Arc::clone(cluster),
            hosts: hosts.cloned(),
            since,
        }
    }

    /// Returns true if another configuration is the same.
    pub(super) fn is(&self, cluster: &Arc<Cluster>, hosts: Option<&Arc<Assignment>>) -> bool {
        Arc::ptr_eq(&self.cluster, cluster)
            && self.hosts.as_ref().map(Arc::as_ptr) == hosts.map(Arc::as_ptr)
    }
}

/// Returns true if a change of an unused cluster opens or closes a breaker, which is reported at once.
pub(super) fn is_reported(before: &Cluster, after: &Cluster) -> bool {
    Priority::ALL.into_iter().any(|priority| {
        breaker::is_opened_or_closed(
            before.limits.for_priority(priority),
            after.limits.for_priority(priority),
        )
    })
}
