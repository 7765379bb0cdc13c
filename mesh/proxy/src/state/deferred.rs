//! Clusters whose state is created at their first request.
//!
//! A mesh pushes every cluster to every proxy, and a proxy sends requests to few of them. The hosts, connection pools,
//! breakers and balancer of the others would take most of its memory. Source: Envoy,
//! `ClusterManager.enable_deferred_cluster_creation`.
//!
//! A request must not see the difference: the intervals of outlier detection, its merge window and slow start count from the
//! configuration. So the configurations that a cluster has had are kept, and its state goes through all of them when it is
//! created.

use std::sync::Arc;

use shakedown_env::Time;
use shakedown_xds::table::{Assignment, Cluster, Priority};

use crate::breaker;

/// After so many configurations a cluster's state is created in any case.
pub(super) const STEPS_MAX: usize = 8;

/// A configuration that a cluster has had.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) cluster: Arc<Cluster>,
    pub(super) hosts: Option<Arc<Assignment>>,
    /// When it was put in force.
    pub(super) since: Time,
}

impl Step {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        hosts: Option<&Arc<Assignment>>,
        since: Time,
    ) -> Step {
        Step {
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
        breaker::is_opened_or_closed(before.limits.of(priority), after.limits.of(priority))
    })
}
