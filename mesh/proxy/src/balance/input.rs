//! The inputs of the load balancer: the configuration of the cluster, its hosts, and the request.

use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::{Assignment, Host, Labels, LbOptions, LbPolicy};

/// The load-balancing configuration of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct LbSettings<'a> {
    /// The policy that selects a host within a priority.
    pub policy: LbPolicy,
    /// Options that apply to every policy.
    pub options: &'a LbOptions,
    /// See [`Assignment::overprovisioning`].
    pub overprovisioning: u32,
    /// See [`Assignment::weigh_health`].
    pub weigh_health: bool,
}

impl<'a> LbSettings<'a> {
    /// Returns the configuration for a cluster with these hosts.
    pub fn new(policy: LbPolicy, options: &'a LbOptions, assignment: Option<&Assignment>) -> Self {
        LbSettings {
            policy,
            options,
            overprovisioning: assignment.map_or(Assignment::OVERPROVISIONING, |assignment| {
                assignment.overprovisioning
            }),
            weigh_health: assignment.is_some_and(|assignment| assignment.weigh_health),
        }
    }
}

/// The balancer's input for a host. A host is identified by its index in the list of members.
#[derive(Clone, Copy, Debug)]
pub struct LbHost<'a> {
    /// The host as configured.
    pub host: &'a Host,
    /// True if the host receives traffic outside of panic mode.
    pub healthy: bool,
    /// The time at which the host was first known and healthy, from which slow start counts.
    pub since: Option<Time>,
}

/// The current load of hosts.
pub trait HostLoads {
    /// The number of active requests of a host.
    fn active(&self, host: usize) -> u32;

    /// The expected latency of a host in nanoseconds; 0 if it was never observed.
    fn latency(&self, host: usize, decay: Duration, now: Time) -> f64;
}

/// The inputs of a pick that depend on the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The request's hash. Hashing policies use a random hash if it is `None`.
    pub hash: Option<u64>,
    /// The labels of the subset selected by the route.
    pub labels: Option<&'a Labels>,
    /// The maximum number of further picks while the picked host is to be avoided.
    pub attempts: u32,
    /// The current time.
    pub now: Time,
}
