//! Selects the host of an attempt with Envoy's load-balancing policies, priorities, panic mode, localities and subsets,
//! and with two policies of our own.
//!
//! A [`Balancer`] is rebuilt from the hosts and their health when these change. A pick then takes the hosts' current
//! load, the request's hash, the time and a source of randomness, and returns the index of a host. Picks allocate
//! nothing, and perform no I/O.

mod avoid;
pub mod edf;
mod input;
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

use rand::Rng;
use shakedown_env::Time;

pub use avoid::avoiding;
pub use input::{HostLoads, LbHost, LbSettings, Request};
pub use priority::PriorityLoad;

use levels::PriorityLevels;
use subsets::SubsetIndex;

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

#[cfg(test)]
mod tests;
