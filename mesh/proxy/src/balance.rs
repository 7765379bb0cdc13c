//! Chooses the host of a try: Envoy's policies, its priorities, panic, localities and subsets, and two policies of our own.
//!
//! Pure deciders. A [`Balancer`] is built of hosts and their health, when these change; a pick then sees what the hosts are
//! doing, the request's hash, the time and a source of randomness, and gives a number of a host. It allocates nothing.

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

pub use priority::Spread;

use levels::Levels;
use subsets::Parts;

/// How the hosts of a cluster are to be chosen from.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The policy.
    pub policy: LbPolicy,
    /// What holds beside it.
    pub options: &'a LbOptions,
    /// See [`Assignment::overprovisioning`].
    pub overprovisioning: u32,
    /// See [`Assignment::weigh_health`].
    pub weigh_health: bool,
}

impl<'a> Setting<'a> {
    /// The setting of a cluster with these hosts.
    pub fn of(policy: LbPolicy, options: &'a LbOptions, assignment: Option<&Assignment>) -> Self {
        Setting {
            policy,
            options,
            overprovisioning: assignment.map_or(Assignment::OVERPROVISIONING, |assignment| {
                assignment.overprovisioning
            }),
            weigh_health: assignment.is_some_and(|assignment| assignment.weigh_health),
        }
    }
}

/// A host, as far as a balancer is built of it. Its number is its place in the list.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// As configured.
    pub host: &'a Host,
    /// Whether it takes traffic when there is no panic.
    pub healthy: bool,
    /// When it was first there and healthy: slow start counts from then.
    pub since: Option<Time>,
}

/// What hosts are doing.
pub trait Load {
    /// The requests that a host has now.
    fn active(&self, host: usize) -> u32;

    /// The latency that is expected of a host now, in nanoseconds; 0 if it was never observed.
    fn latency(&self, host: usize, decay: Duration, now: Time) -> f64;
}

/// What a host is wanted for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The request's hash, if it has one; hashing policies take a random one else.
    pub hash: Option<u64>,
    /// The labels of the subset that its route asks for.
    pub labels: Option<&'a Labels>,
    /// How often more is chosen while the choice is one to avoid.
    pub attempts: u32,
    /// The time.
    pub now: Time,
}

/// The choice of one cluster, and what it remembers from one request to the next.
#[derive(Debug)]
pub struct Balancer {
    seed: u64,
    levels: Levels,
    parts: Option<Parts>,
}

impl Balancer {
    /// A balancer without hosts. `seed` is where rounds begin: random, so that proxies that start together do not all begin
    /// with the first host. Source: Envoy, `EdfLoadBalancerBase`'s `seed_`.
    pub fn new(seed: u64, now: Time) -> Balancer {
        Balancer {
            seed,
            levels: Levels::new(seed, now),
            parts: None,
        }
    }

    /// Takes in hosts and their health as they are now.
    pub fn rebuild(&mut self, setting: &Setting<'_>, members: &[Member<'_>], now: Time) {
        self.levels.rebuild(setting, members, |_| true, now);
        let Some(subsets) = &setting.options.subsets else {
            self.parts = None;
            return;
        };
        let parts = match self.parts.take().filter(|parts| parts.are_of(subsets)) {
            Some(parts) => parts,
            None => Parts::new(subsets, self.seed, now),
        };
        let parts = self.parts.insert(parts);
        parts.rebuild(setting, members, self.seed, now);
    }

    /// The host to try, as a number below the length of the last list; `None` when there is none.
    pub fn pick(
        &mut self,
        request: &Request<'_>,
        avoid: impl Fn(usize) -> bool,
        load: &(impl Load + ?Sized),
        random: &mut impl Rng,
    ) -> Option<usize> {
        match &mut self.parts {
            Some(parts) => parts.pick(&mut self.levels, request, avoid, load, random),
            None => self.levels.pick(request, avoid, load, random),
        }
    }

    /// How traffic is spread over priorities.
    pub fn spread(&self) -> &Spread {
        self.levels.spread()
    }
}

/// Picks again while the pick is one to avoid, `attempts` times more at the most; then the last pick stands.
/// Source: Envoy, `LoadBalancerBase::chooseHost` with the `previous_hosts` predicate and `host_selection_retry_max_attempts`.
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
