//! Clusters whose state is created at their first request.
//!
//! A mesh pushes every cluster to every proxy, and a proxy sends requests to few of them. The hosts, connection pools,
//! breakers and balancer of the others would take most of its memory. Source: Envoy, `ClusterManager.enable_deferred_cluster_creation`.
//!
//! A request must not see the difference. So the times from which something counts are kept here: the outlier detection's
//! interval and merge window. A cluster with slow start, whose hosts each have a time of their own, is not deferred, and one
//! whose limits change in a way that is reported stops being so.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use shakedown_config::table::{Assignment, Cluster, Priority};
use shakedown_env::Time;

use crate::breaker;

/// When a cluster that has no state yet was configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deferred {
    /// When its hosts came, at the latest.
    pub(super) since: Time,
    /// When the interval of its outlier detection began.
    pub(super) interval_began: Time,
    /// Whether it has had hosts.
    pub(super) settled: bool,
    /// When its hosts last changed, the first ones not counted.
    pub(super) changed: Option<Time>,
}

impl Deferred {
    /// A cluster that comes now.
    pub(super) fn new(now: Time) -> Deferred {
        Deferred {
            since: now,
            interval_began: now,
            settled: false,
            changed: None,
        }
    }

    /// Follows a change of the configuration, or the first one.
    pub(super) fn follow(
        &mut self,
        before: Option<(&Cluster, Option<&Assignment>)>,
        now: (&Cluster, Option<&Assignment>),
        time: Time,
    ) {
        let (cluster, assignment) = now;
        let before_hosts = before.and_then(|(_, assignment)| assignment);
        let interval = |cluster: &Cluster| cluster.outlier.as_ref().map(|known| known.interval);
        if before.and_then(|(cluster, _)| interval(cluster)) != interval(cluster) {
            self.interval_began = time;
        }
        self.settled |= has_hosts(before_hosts);
        if self.settled && hosts(before_hosts) != hosts(assignment) {
            self.changed = Some(time);
        }
        self.settled |= has_hosts(assignment);
    }
}

/// Whether a cluster's state is created with its configuration.
pub(super) fn is_needed(before: Option<&Cluster>, now: &Cluster) -> bool {
    let is_reported = |before: &Cluster| {
        Priority::ALL.into_iter().any(|priority| {
            breaker::is_opened_or_closed(before.limits.of(priority), now.limits.of(priority))
        })
    };
    now.lb.slow_start().is_some() || before.is_some_and(is_reported)
}

fn has_hosts(assignment: Option<&Assignment>) -> bool {
    assignment.is_some_and(|assignment| !assignment.hosts.is_empty())
}

/// What makes a host another one.
fn hosts(assignment: Option<&Assignment>) -> BTreeSet<(SocketAddr, &str)> {
    let hosts = assignment.map_or(&[][..], |assignment| &assignment.hosts);
    hosts
        .iter()
        .map(|host| (host.address, &*host.workload))
        .collect()
}
