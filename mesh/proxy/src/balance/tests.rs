//! Tests of whole balancers: shares, priorities, panic mode, localities, slow start, subsets.

mod any;
mod localities;
mod priorities;
mod rebuilt;
mod subsets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::{Rng as Stream, stream_seed};
use shakedown_xds::table::{
    Fallback, Host, LbOptions, LbPolicy, LeastRequest, Locality, Maglev, PeakEwma, RingHash,
    RoundRobin, SlowStart,
};

use super::*;

/// The load of a test's hosts.
#[derive(Default)]
struct Doing {
    active: Vec<u32>,
    latency: Vec<f64>,
}

impl HostLoads for Doing {
    fn active(&self, host: usize) -> u32 {
        self.active.get(host).copied().unwrap_or(0)
    }

    fn latency(&self, host: usize, _: Duration, _: Time) -> f64 {
        self.latency.get(host).copied().unwrap_or(0.0)
    }
}

/// A cluster with its balancer and its random stream.
struct Bench {
    balancer: Balancer,
    options: LbOptions,
    policy: LbPolicy,
    hosts: Vec<Host>,
    since: Vec<Option<Time>>,
    random: Stream,
    doing: Doing,
    now: Time,
}

impl Bench {
    fn new(policy: LbPolicy, hosts: Vec<Host>) -> Bench {
        Bench {
            balancer: Balancer::new(0, Time::default()),
            options: LbOptions::default(),
            policy,
            since: vec![Some(Time::default()); hosts.len()],
            hosts,
            random: stream_seed(7, "test", "balance"),
            doing: Doing::default(),
            now: Time::default(),
        }
        .built()
    }

    fn built(mut self) -> Bench {
        self.build();
        self
    }

    fn build(&mut self) {
        let members: Vec<LbHost<'_>> = self
            .hosts
            .iter()
            .zip(&self.since)
            .map(|(host, since)| LbHost {
                host,
                healthy: host.healthy,
                since: *since,
            })
            .collect();
        let setting = LbSettings::new(self.policy, &self.options, None);
        self.balancer.rebuild(&setting, &members, self.now);
    }

    fn pick(&mut self) -> Option<usize> {
        self.pick_for(Request::default())
    }

    fn pick_for(&mut self, request: Request<'_>) -> Option<usize> {
        let request = Request {
            now: self.now,
            ..request
        };
        let (doing, random) = (&self.doing, &mut self.random);
        self.balancer.pick(&request, |_| false, doing, random)
    }

    /// The number of times that each host is picked in `picks` picks.
    fn counts(&mut self, picks: usize) -> Vec<usize> {
        let mut counts = vec![0; self.hosts.len()];
        for _ in 0..picks {
            counts[self.pick().unwrap()] += 1;
        }
        counts
    }
}

fn host(number: u8, weight: u32) -> Host {
    Host {
        weight,
        ..Host::new(SocketAddr::from(([10, 0, 0, number], 80)))
    }
}

fn hosts(weights: &[u32]) -> Vec<Host> {
    (1..)
        .zip(weights)
        .map(|(n, weight)| host(n, *weight))
        .collect()
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

/// All policies, with their most common settings.
const POLICIES: [LbPolicy; 7] = [
    LbPolicy::LEAST_REQUEST,
    LbPolicy::ROUND_ROBIN,
    LbPolicy::Random,
    LbPolicy::RingHash(RingHash::ENVOY),
    LbPolicy::Maglev(Maglev::ENVOY),
    LbPolicy::LeastLoaded,
    LbPolicy::PeakEwma(PeakEwma::FINAGLE),
];

/// Pearson's chi-square statistic of counts against expected shares.
fn chi_square(counts: &[usize], weights: &[u32]) -> f64 {
    let total: usize = counts.iter().sum();
    let sum: u32 = weights.iter().sum();
    let term = |(count, weight): (&usize, &u32)| {
        let wanted = total as f64 * f64::from(*weight) / f64::from(sum);
        (*count as f64 - wanted).powi(2) / wanted
    };
    counts.iter().zip(weights).map(term).sum()
}

#[test]
fn no_hosts_give_no_pick() {
    for policy in POLICIES {
        assert_eq!(Bench::new(policy, Vec::new()).pick(), None, "{policy:?}");
    }
}

#[test]
fn hosts_of_one_weight_are_picked_equally_by_every_policy() {
    for policy in POLICIES {
        let mut bench = Bench::new(policy, hosts(&[1; 5]));
        // With four degrees of freedom, 18.5 is exceeded once in a thousand. A ring of 1024 entries is coarse by
        // design.
        let limit = match policy {
            LbPolicy::RingHash(_) => 400.0,
            _ => 18.5,
        };
        let counts = bench.counts(5000);
        let found = chi_square(&counts, &[1; 5]);
        assert!(found < limit, "{policy:?}: {found}: {counts:?}");
    }
}

#[test]
fn weights_are_respected_by_all_but_random_and_two_choices_of_latency() {
    let weights = [1, 2, 5];
    for policy in [
        LbPolicy::LEAST_REQUEST,
        LbPolicy::ROUND_ROBIN,
        LbPolicy::Maglev(Maglev::ENVOY),
        LbPolicy::RingHash(RingHash {
            min_size: 65_536,
            ..RingHash::ENVOY
        }),
    ] {
        let counts = Bench::new(policy, hosts(&weights)).counts(8000);
        let found = chi_square(&counts, &weights);
        assert!(found < 40.0, "{policy:?}: {found}: {counts:?}");
    }
    // Source: Envoy, `RandomLoadBalancer`, which ignores weights.
    let counts = Bench::new(LbPolicy::Random, hosts(&weights)).counts(9000);
    assert!(chi_square(&counts, &[1, 1, 1]) < 13.8, "{counts:?}");
}

#[test]
fn the_same_seed_gives_the_same_picks() {
    for policy in POLICIES {
        let picks = || {
            let mut bench = Bench::new(policy, hosts(&[1, 2, 3]));
            (0..50).map(|_| bench.pick().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(picks(), picks(), "{policy:?}");
    }
}

#[test]
fn active_requests_weigh_down_hosts_of_other_weights() {
    let mut bench = Bench::new(LbPolicy::LEAST_REQUEST, hosts(&[4, 1, 1]));
    bench.doing.active = vec![3, 0, 0];
    // 4 / (3 + 1) = 1, like the others.
    let counts = bench.counts(3000);
    assert!(chi_square(&counts, &[1, 1, 1]) < 13.8, "{counts:?}");
    bench.policy = LbPolicy::LeastRequest(LeastRequest {
        bias: 0.0,
        ..LeastRequest::ENVOY
    });
    bench.build();
    let counts = bench.counts(6000);
    assert!(chi_square(&counts, &[4, 1, 1]) < 13.8, "{counts:?}");
}

#[test]
fn the_least_loaded_and_the_fastest_are_found() {
    let mut bench = Bench::new(LbPolicy::LeastLoaded, hosts(&[1, 1, 4]));
    bench.doing.active = vec![2, 1, 3];
    assert_eq!(bench.counts(20), [0, 0, 20]);
    let mut bench = Bench::new(LbPolicy::PeakEwma(PeakEwma::FINAGLE), hosts(&[1, 1]));
    bench.doing.latency = vec![5e6, 1e6];
    assert_eq!(bench.counts(20), [0, 20]);
    bench.doing.active = vec![0, 5];
    assert_eq!(bench.counts(20), [20, 0], "5 ms each are less than 6 ms");
}

#[test]
fn a_hash_keeps_its_host_and_a_further_attempt_leaves_it() {
    for policy in [
        LbPolicy::RingHash(RingHash::ENVOY),
        LbPolicy::Maglev(Maglev::ENVOY),
    ] {
        let mut bench = Bench::new(policy, hosts(&[1; 5]));
        for hash in [1, u64::MAX / 3, u64::MAX - 17] {
            let request = Request {
                hash: Some(hash),
                attempts: 20,
                ..Request::default()
            };
            let first = bench.pick_for(request).unwrap();
            assert_eq!(bench.pick_for(request), Some(first));
            let (doing, random) = (&bench.doing, &mut bench.random);
            let other = bench
                .balancer
                .pick(&request, |host| host == first, doing, random);
            assert_ne!(other, Some(first));
        }
    }
}

#[test]
fn a_hash_key_takes_the_place_of_the_address() {
    let mut keyed = hosts(&[1; 4]);
    for (number, host) in keyed.iter_mut().enumerate() {
        host.hash_key = Some(format!("10.0.0.{}:80", 4 - number).into());
    }
    for policy in [
        LbPolicy::RingHash(RingHash::ENVOY),
        LbPolicy::Maglev(Maglev::ENVOY),
    ] {
        let mut plain = Bench::new(policy, hosts(&[1; 4]));
        let mut turned = Bench::new(policy, keyed.clone());
        for hash in (0..40_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let request = Request {
                hash: Some(hash),
                ..Request::default()
            };
            let mirrored = turned.pick_for(request).map(|host| 3 - host);
            assert_eq!(plain.pick_for(request), mirrored);
        }
    }
}

#[test]
fn a_tried_host_is_avoided_as_long_as_attempts_last() {
    let mut picks = [0, 0, 1].into_iter();
    assert_eq!(avoiding(5, |i| i == 0, || picks.next()), Some(1));
    let mut drawn = 0;
    let last = avoiding(
        5,
        |_| true,
        || {
            drawn += 1;
            Some(0)
        },
    );
    assert_eq!(
        (last, drawn),
        (Some(0), 6),
        "the last pick stands after five more"
    );
}

#[test]
fn a_new_host_starts_with_a_tenth_and_grows() {
    let slow = SlowStart {
        window: Duration::from_secs(100),
        aggression: 1.0,
        min_weight: 0.1,
    };
    for policy in [
        LbPolicy::RoundRobin(RoundRobin {
            slow_start: Some(slow),
        }),
        LbPolicy::LeastRequest(LeastRequest {
            slow_start: Some(slow),
            ..LeastRequest::ENVOY
        }),
    ] {
        let mut bench = Bench::new(policy, hosts(&[1, 1]));
        assert!(
            chi_square(&bench.counts(400), &[1, 1]) < 10.8,
            "all are new"
        );
        bench.now = at(1000);
        bench.hosts.push(host(3, 1));
        bench.since.push(Some(at(1000)));
        bench.build();
        let counts = bench.counts(2100);
        assert!((90..110).contains(&counts[2]), "{counts:?}");
        bench.now = at(1050);
        let counts = bench.counts(2500);
        assert!((480..520).contains(&counts[2]), "{counts:?}");
        bench.now = at(1101);
        let counts = bench.counts(3000);
        assert!((980..1020).contains(&counts[2]), "{counts:?}");
    }
}
