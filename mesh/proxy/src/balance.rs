//! Selects the host of an attempt with Envoy's load-balancing policies, priorities, panic mode, localities and subsets,
//! and with two policies of our own.
//!
//! A [`Balancer`] is rebuilt from the hosts and their health when these change. A pick then takes the hosts' current
//! load, the request's hash, the time and a source of randomness, and returns the index of a host. Picks allocate
//! nothing, and perform no I/O.

pub mod edf;
pub mod least_loaded;
pub mod least_request;
mod levels;
pub mod locality;
pub mod maglev;
pub mod peak_ewma;
pub mod priority;
pub mod random;
pub mod ring;
pub mod round_robin;
#[cfg(test)]
mod script;
pub mod slow_start;
mod subsets;
pub mod weights;

use std::time::Duration;

use rand_core::Rng;
use shakedown_env::Time;
use shakedown_xds::table::{Assignment, Host, Labels, LbOptions, LbPolicy};

pub use priority::PriorityLoad;

use levels::PriorityLevels;
use subsets::SubsetIndex;

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

/// The load balancer of one cluster, with its state between requests.
#[derive(Debug)]
pub struct Balancer {
    seed: u64,
    levels: PriorityLevels,
    parts: Option<SubsetIndex>,
}

impl Balancer {
    /// Creates a balancer without hosts. `seed` is the starting position of rotations, and must be random because
    /// proxies that start together would otherwise all begin with the first host.
    /// Source: Envoy, `EdfLoadBalancerBase`'s `seed_`.
    pub fn new(seed: u64, now: Time) -> Balancer {
        Balancer {
            seed,
            levels: PriorityLevels::new(seed, now),
            parts: None,
        }
    }

    /// Replaces the hosts and their health.
    pub fn rebuild(&mut self, setting: &LbSettings<'_>, members: &[LbHost<'_>], now: Time) {
        self.levels.rebuild(setting, members, |_| true, now);
        let Some(subsets) = &setting.options.subsets else {
            self.parts = None;
            return;
        };
        let parts = match self.parts.take().filter(|parts| parts.are_of(subsets)) {
            Some(parts) => parts,
            None => SubsetIndex::new(subsets, self.seed, now),
        };
        let parts = self.parts.insert(parts);
        parts.rebuild(setting, members, self.seed, now);
    }

    /// Selects a host by its index in the last list; `None` if no host is available.
    pub fn pick(
        &mut self,
        request: &Request<'_>,
        avoid: impl Fn(usize) -> bool,
        load: &(impl HostLoads + ?Sized),
        random: &mut impl Rng,
    ) -> Option<usize> {
        match &mut self.parts {
            Some(parts) => parts.pick(&mut self.levels, request, avoid, load, random),
            None => self.levels.pick(request, avoid, load, random),
        }
    }

    /// The distribution of traffic over priorities.
    pub fn spread(&self) -> &PriorityLoad {
        self.levels.spread()
    }
}

/// Repeats a pick while the picked host is to be avoided, at most `attempts` times. The last pick is then returned.
/// Source: Envoy, `LoadBalancerBase::chooseHost` with the `previous_hosts` predicate and
/// `host_selection_retry_max_attempts`.
pub fn avoiding(
    attempts: u32,
    avoid: impl Fn(usize) -> bool,
    mut pick: impl FnMut() -> Option<usize>,
) -> Option<usize> {
    let mut choice = pick()?;
    for _ in 0..attempts {
        if !avoid(choice) {
            break;
        }
        choice = pick()?;
    }
    Some(choice)
}

#[cfg(test)]
mod tests;
