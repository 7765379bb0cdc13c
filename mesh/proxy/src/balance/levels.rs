//! The hosts of a cluster grouped by priority, health and locality for picks. Rebuilt when hosts or their health
//! change, never for a request.

use std::collections::BTreeMap;

use rand::Rng;
use shakedown_env::Time;
use shakedown_xds::table::{LbPolicy, Locality, SlowStart};

use super::avoid::avoiding;
use super::edf::EdfScheduler;
use super::input::{HostLoads, LbHost, LbSettings, Request};
use super::locality::{LocalityHosts, LocalityScheduler};
use super::maglev::MaglevTable;
use super::priority::{PriorityHealth, PriorityLoad};
use super::ring::HashRing;
use super::weights::WeightedHosts;
use super::{least_loaded, least_request, peak_ewma, random, round_robin, slow_start};

/// A group of hosts that a policy selects from.
#[derive(Debug, Default)]
struct HostGroup {
    /// Indices of members.
    hosts: Vec<u32>,
    /// The next position of ROUND_ROBIN.
    next: u64,
    /// The weighted schedule of the hosts, if their weights differ.
    turns: Option<EdfScheduler>,
}

/// A hash table of hosts, for hashing policies.
#[derive(Debug)]
enum HashTable {
    Ring(HashRing),
    Maglev(MaglevTable),
}

/// The hosts of one priority.
#[derive(Debug, Default)]
struct PriorityLevel {
    panic: bool,
    all: HostGroup,
    healthy: HostGroup,
    /// The healthy hosts of each locality, and the schedule of localities. Only with locality-weighted balancing.
    localities: Vec<HostGroup>,
    turns: Option<LocalityScheduler>,
    hashed: Option<HashTable>,
}

/// All priorities, and the state of each host.
#[derive(Debug)]
pub(super) struct PriorityLevels {
    seed: u64,
    policy: LbPolicy,
    fail_on_panic: bool,
    spread: PriorityLoad,
    levels: Vec<PriorityLevel>,
    hosts: Vec<HostFacts>,
    /// The latest time at which a host in slow start was added, or at which the balancer was created.
    latest: Time,
}

/// The state of a host.
#[derive(Clone, Copy, Debug)]
struct HostFacts {
    weight: u32,
    since: Option<Time>,
    healthy: bool,
}

impl PriorityLevels {
    /// Creates an empty set of hosts.
    pub(super) fn new(seed: u64, now: Time) -> PriorityLevels {
        PriorityLevels {
            seed,
            policy: LbPolicy::LEAST_REQUEST,
            fail_on_panic: false,
            spread: PriorityLoad::new(&[PriorityHealth::default()], 100, 0),
            levels: vec![PriorityLevel::default()],
            hosts: Vec::new(),
            latest: now,
        }
    }

    /// Rebuilds all groups from the members that are `chosen`.
    pub(super) fn rebuild(
        &mut self,
        setting: &LbSettings<'_>,
        members: &[LbHost<'_>],
        chosen: impl Fn(&LbHost<'_>) -> bool,
        now: Time,
    ) {
        self.policy = setting.policy;
        self.fail_on_panic = setting.options.fail_on_panic;
        self.hosts = members
            .iter()
            .map(|member| HostFacts {
                weight: member.host.weight,
                since: member.since,
                healthy: member.healthy,
            })
            .collect();
        let mut by_level: Vec<Vec<u32>> = vec![Vec::new()];
        for (number, member) in (0..).zip(members).filter(|(_, member)| chosen(member)) {
            let level = member.host.priority as usize;
            if by_level.len() <= level {
                by_level.resize_with(level + 1, Vec::new);
            }
            by_level[level].push(number);
        }
        let health: Vec<PriorityHealth> = by_level
            .iter()
            .map(|hosts| health(hosts, members, setting.weigh_health))
            .collect();
        self.spread = PriorityLoad::new(
            &health,
            setting.overprovisioning,
            setting.options.panic_percent,
        );
        self.remember_new_hosts(now);
        let mut before = std::mem::take(&mut self.levels).into_iter();
        let levels = by_level.into_iter().zip(self.spread.panic.clone());
        let levels: Vec<PriorityLevel> = levels
            .map(|(hosts, panic)| {
                let before = before.next().unwrap_or_default();
                self.level(setting, members, hosts, panic, &before, now)
            })
            .collect();
        self.levels = levels;
    }

    /// Source: Envoy, `EdfLoadBalancerBase::recalculateHostsInSlowStart`.
    fn remember_new_hosts(&mut self, now: Time) {
        let Some(slow) = self.policy.slow_start() else {
            return;
        };
        let since = self
            .hosts
            .iter()
            .filter(|host| host.healthy)
            .filter_map(|host| host.since)
            .filter(|since| slow_start::is_on(slow.window, *since, now));
        self.latest = since
            .max()
            .map_or(self.latest, |since| since.max(self.latest));
    }

    fn level(
        &self,
        setting: &LbSettings<'_>,
        members: &[LbHost<'_>],
        hosts: Vec<u32>,
        panic: bool,
        before: &PriorityLevel,
        now: Time,
    ) -> PriorityLevel {
        let is_healthy = |host: &u32| members[*host as usize].healthy;
        let healthy: Vec<u32> = hosts.iter().copied().filter(is_healthy).collect();
        let mut level = PriorityLevel {
            panic,
            ..PriorityLevel::default()
        };
        let localities = if setting.options.by_locality {
            localities(&hosts, members)
        } else {
            BTreeMap::new()
        };
        if self.policy.is_hashing() {
            let used = if panic { &hosts } else { &healthy };
            let shares = if setting.options.by_locality {
                self.shares_by_locality(&localities, panic)
            } else {
                WeightedHosts::flat(&self.weights(used))
            };
            level.hashed = Some(self.hashed(&shares, members));
            return level;
        }
        let of_locality: Vec<Vec<u32>> = localities
            .values()
            .map(|(_, hosts)| hosts.iter().copied().filter(is_healthy).collect())
            .collect();
        let locality = |((weight, hosts), healthy): (&(u32, Vec<u32>), &Vec<u32>)| LocalityHosts {
            weight: *weight,
            hosts: hosts.len(),
            healthy: healthy.len(),
        };
        let weighed: Vec<LocalityHosts> = localities
            .values()
            .zip(&of_locality)
            .map(locality)
            .collect();
        level.turns = LocalityScheduler::new(&weighed, setting.overprovisioning, self.seed);
        if level.turns.is_some() {
            let mut earlier = before.localities.iter();
            let groups = of_locality
                .into_iter()
                .map(|hosts| self.group(hosts, earlier.next(), now));
            level.localities = groups.collect();
        }
        level.all = self.group(hosts, Some(&before.all), now);
        level.healthy = self.group(healthy, Some(&before.healthy), now);
        level
    }

    /// Builds a group, with a schedule if weights differ or will differ during slow start.
    /// Source: Envoy, `EdfLoadBalancerBase::refresh`.
    fn group(&self, hosts: Vec<u32>, before: Option<&HostGroup>, now: Time) -> HostGroup {
        let next = match before {
            // The group never had a host, so its rotation has not begun.
            None => self.seed,
            Some(group) if group.hosts.is_empty() && group.next == 0 => self.seed,
            Some(group) => group.next,
        };
        let weight = |host: &u32| self.hosts[*host as usize].weight;
        let alike = hosts.iter().all(|host| weight(host) == weight(&hosts[0]));
        let starting = self
            .policy
            .slow_start()
            .is_some_and(|slow| slow_start::is_on(slow.window, self.latest, now));
        let takes_turns = matches!(
            self.policy,
            LbPolicy::LeastRequest(_) | LbPolicy::RoundRobin(_)
        );
        let turns = (takes_turns && hosts.len() > 1 && (!alike || starting)).then(|| {
            let weigh = |host: &u32| {
                let known = &self.hosts[*host as usize];
                (*host, turn_weight(&self.policy, known, 0, self.latest, now))
            };
            EdfScheduler::new(&hosts.iter().map(weigh).collect::<Vec<_>>(), self.seed)
        });
        HostGroup { hosts, next, turns }
    }

    fn weights(&self, hosts: &[u32]) -> Vec<(u32, u32)> {
        let weight = |host: &u32| (*host, self.hosts[*host as usize].weight);
        hosts.iter().map(weight).collect()
    }

    fn shares_by_locality(
        &self,
        localities: &BTreeMap<&Locality, (u32, Vec<u32>)>,
        panic: bool,
    ) -> WeightedHosts {
        let used: Vec<(u32, Vec<(u32, u32)>)> = localities
            .values()
            .map(|(weight, hosts)| {
                let hosts: Vec<u32> = hosts
                    .iter()
                    .copied()
                    .filter(|host| panic || self.hosts[*host as usize].healthy)
                    .collect();
                (*weight, self.weights(&hosts))
            })
            .collect();
        WeightedHosts::by_locality(
            used.iter()
                .map(|(weight, hosts)| (*weight, hosts.as_slice())),
        )
    }

    fn hashed(&self, shares: &WeightedHosts, members: &[LbHost<'_>]) -> HashTable {
        // Only hosts without a hash key are identified by their address, which must be formatted.
        let texts: BTreeMap<u32, String> = shares
            .hosts
            .iter()
            .filter(|(host, _)| members[*host as usize].host.hash_key.is_none())
            .map(|(host, _)| (*host, members[*host as usize].host.address.to_string()))
            .collect();
        let key = |host: u32| match &members[host as usize].host.hash_key {
            Some(key) => &**key,
            None => texts[&host].as_str(),
        };
        match self.policy {
            LbPolicy::Maglev(settings) => {
                HashTable::Maglev(MaglevTable::new(shares, settings, key))
            }
            LbPolicy::RingHash(settings) => HashTable::Ring(HashRing::new(shares, settings, key)),
            _ => unreachable!("called for hashing policies only"),
        }
    }

    /// Selects a member.
    pub(super) fn pick(
        &mut self,
        request: &Request<'_>,
        avoid: impl Fn(usize) -> bool,
        load: &(impl HostLoads + ?Sized),
        random: &mut impl Rng,
    ) -> Option<usize> {
        if !self.policy.is_hashing() {
            let attempts = request.attempts;
            return avoiding(attempts, avoid, || {
                self.pick_once(request.now, load, random)
            });
        }
        let hash = request.hash.unwrap_or_else(|| random.next_u64());
        let hashed = self.levels[self.spread.choose(hash)].hashed.as_ref()?;
        let mut attempt = 0;
        avoiding(request.attempts, avoid, || {
            let host = match hashed {
                HashTable::Ring(ring) => ring.pick(hash, attempt),
                HashTable::Maglev(table) => table.pick(hash, attempt),
            };
            attempt += 1;
            host.map(|host| host as usize)
        })
    }

    fn pick_once(
        &mut self,
        now: Time,
        load: &(impl HostLoads + ?Sized),
        random: &mut impl Rng,
    ) -> Option<usize> {
        // RANDOM uses one number for priority and host, as Envoy does. With a single priority no number is drawn for
        // it, unlike in Envoy, because the choice of the host is the same either way.
        let is_random = matches!(self.policy, LbPolicy::Random);
        let draw = if self.levels.len() > 1 || is_random {
            random.next_u64()
        } else {
            0
        };
        let (policy, latest, known) = (self.policy, self.latest, &self.hosts);
        let level = &mut self.levels[self.spread.choose(draw)];
        let group = if level.panic {
            if self.fail_on_panic {
                return None;
            }
            &mut level.all
        } else {
            match level.turns.as_mut().and_then(LocalityScheduler::pick) {
                Some(locality) => &mut level.localities[locality],
                None => &mut level.healthy,
            }
        };
        if let Some(turns) = &mut group.turns {
            let weight = |host: u32| {
                let active = load.active(host as usize);
                turn_weight(&policy, &known[host as usize], active, latest, now)
            };
            return turns.pick(weight).map(|host| host as usize);
        }
        let hosts = &group.hosts;
        let member = |index: usize| hosts[index] as usize;
        let index = match policy {
            LbPolicy::LeastRequest(settings) => {
                let active = |index| load.active(member(index));
                least_request::least_request(hosts.len(), settings.choices, active, random)
            }
            LbPolicy::RoundRobin(_) => round_robin::round_robin(hosts.len(), &mut group.next),
            LbPolicy::Random => random::of_number(hosts.len(), draw),
            LbPolicy::LeastLoaded => {
                let of = |index| (load.active(member(index)), known[member(index)].weight);
                least_loaded::least_loaded(hosts.len(), of, random)
            }
            LbPolicy::PeakEwma(settings) => {
                let cost = |index| {
                    let host = member(index);
                    let latency = load.latency(host, settings.decay, now);
                    peak_ewma::cost(latency, load.active(host), known[host].weight)
                };
                peak_ewma::peak_ewma(hosts.len(), cost, random)
            }
            LbPolicy::RingHash(_) | LbPolicy::Maglev(_) => None,
        };
        index.map(member)
    }

    /// The distribution of traffic over priorities.
    pub(super) fn spread(&self) -> &PriorityLoad {
        &self.spread
    }
}

/// The weight of a host for its next turn.
fn turn_weight(policy: &LbPolicy, host: &HostFacts, active: u32, latest: Time, now: Time) -> f64 {
    let weight = match policy {
        LbPolicy::LeastRequest(settings) => {
            least_request::weight(host.weight, active, settings.bias)
        }
        _ => f64::from(host.weight),
    };
    match (policy.slow_start(), host.since) {
        (Some(slow), Some(since)) if host.healthy && is_starting(&slow, latest, now) => {
            weight * slow_start::factor(&slow, since, now)
        }
        _ => weight,
    }
}

fn is_starting(slow: &SlowStart, latest: Time, now: Time) -> bool {
    slow_start::is_on(slow.window, latest, now)
}

fn health(hosts: &[u32], members: &[LbHost<'_>], by_weight: bool) -> PriorityHealth {
    let mut health = PriorityHealth::default();
    for host in hosts {
        let member = &members[*host as usize];
        let counts = if by_weight {
            u64::from(member.host.weight)
        } else {
            1
        };
        health.hosts += 1;
        health.whole += counts;
        if member.healthy {
            health.healthy += 1;
            health.part += counts;
        }
    }
    health
}

/// Groups hosts by locality, in the order of the localities' names as in Envoy, with each locality's weight.
fn localities<'m>(
    hosts: &[u32],
    members: &[LbHost<'m>],
) -> BTreeMap<&'m Locality, (u32, Vec<u32>)> {
    let mut localities: BTreeMap<&Locality, (u32, Vec<u32>)> = BTreeMap::new();
    for host in hosts {
        let of = members[*host as usize].host;
        let locality = localities.entry(&of.locality).or_default();
        // The last host's value is used.
        locality.0 = of.locality_weight;
        locality.1.push(*host);
    }
    localities
}
