//! The cost of a request's policies: all of them together, and the selection of a host by policy and number of hosts.
//!
//! `together` runs exactly the policies of a request. `request` runs the proxy's whole request path except hyper: from
//! hyper's request to hyper's request, and from hyper's response to hyper's response, including header edits, events
//! and metrics.
//!
//! Bound: all policies of a request take less than 1 us.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise"
)]

#[path = "../tests/allocations/line.rs"]
mod line;
#[path = "../tests/allocations/shop.rs"]
mod shop;
#[path = "deciders/together.rs"]
mod together;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use shakedown_env::{Time, stream_seed};
use shakedown_proxy::balance::{Balancer, HostLoads, LbHost, LbSettings, Request};
use shakedown_xds::table::{
    Host, LbOptions, LbPolicy, Locality, Maglev, PeakEwma, RingHash, RoundRobin, SlowStart,
};

use line::{ID, JASON, Line};
use together::{Asked, Deciders};

/// Hosts with some active requests.
struct Busy;

impl HostLoads for Busy {
    fn active(&self, host: usize) -> u32 {
        u32::try_from(host % 5).unwrap_or(0)
    }

    fn latency(&self, host: usize, _: Duration, _: Time) -> f64 {
        1e6 * (host % 7 + 1) as f64
    }
}

/// Hosts in two zones, optionally with weights 1 to 3.
fn hosts(count: usize, weighted: bool) -> Vec<Host> {
    let zone = |name: &str| {
        Arc::new(Locality {
            zone: name.into(),
            ..Locality::default()
        })
    };
    let zones = [zone("a"), zone("b")];
    (0..count)
        .map(|number| {
            let octet = |shift: usize| u8::try_from(number >> shift & 0xff).unwrap_or(0);
            let address = SocketAddr::from(([10, 0, octet(8), octet(0)], 80));
            Host {
                locality: Arc::clone(&zones[number % 2]),
                locality_weight: 1,
                weight: if weighted {
                    u32::try_from(number % 3 + 1).unwrap_or(1)
                } else {
                    1
                },
                ..Host::new(address)
            }
        })
        .collect()
}

fn balancer(policy: LbPolicy, options: &LbOptions, hosts: &[Host]) -> Balancer {
    let members: Vec<LbHost<'_>> = hosts
        .iter()
        .map(|host| LbHost {
            host,
            healthy: true,
            since: Some(Time::default()),
        })
        .collect();
    let mut balancer = Balancer::new(7, Time::default());
    let setting = LbSettings::new(policy, options, None);
    balancer.rebuild(&setting, &members, Time::default());
    balancer
}

fn picks(c: &mut Criterion) {
    let slow = SlowStart {
        window: Duration::from_secs(60),
        aggression: 1.0,
        min_weight: 0.1,
    };
    let policies = [
        ("least-request", LbPolicy::LEAST_REQUEST),
        ("round-robin", LbPolicy::ROUND_ROBIN),
        ("random", LbPolicy::Random),
        ("ring-hash", LbPolicy::RingHash(RingHash::ENVOY)),
        ("maglev", LbPolicy::Maglev(Maglev::ENVOY)),
        ("least-loaded", LbPolicy::LeastLoaded),
        ("peak-ewma", LbPolicy::PeakEwma(PeakEwma::FINAGLE)),
        (
            "round-robin-slow-start",
            LbPolicy::RoundRobin(RoundRobin {
                slow_start: Some(slow),
            }),
        ),
    ];
    let mut group = c.benchmark_group("pick");
    for (name, policy) in policies {
        for count in [10, 100] {
            for weighted in [false, true] {
                let hosts = hosts(count, weighted);
                let mut balancer = balancer(policy, &LbOptions::default(), &hosts);
                let mut random = stream_seed(1, "bench", "balance");
                let mut hash = 0_u64;
                let name = if weighted {
                    format!("{name}-weighted")
                } else {
                    name.to_owned()
                };
                group.bench_function(BenchmarkId::new(name, count), |b| {
                    b.iter(|| {
                        hash = hash.wrapping_add(0x9E37_79B9_7F4A_7C15);
                        let request = Request {
                            hash: Some(hash),
                            ..Request::default()
                        };
                        black_box(balancer.pick(&request, |_| false, &Busy, &mut random))
                    });
                });
            }
        }
    }
    let options = LbOptions {
        by_locality: true,
        ..LbOptions::default()
    };
    let hosts = hosts(100, false);
    let mut balancer = balancer(LbPolicy::LEAST_REQUEST, &options, &hosts);
    let mut random = stream_seed(1, "bench", "balance");
    group.bench_function(BenchmarkId::new("least-request-by-locality", 100), |b| {
        b.iter(|| black_box(balancer.pick(&Request::default(), |_| false, &Busy, &mut random)));
    });
    group.finish();
}

/// All policies together.
fn deciders(c: &mut Criterion) {
    let mut group = c.benchmark_group("together");
    let plain = Asked::new(shop::PLAIN, &[ID]);
    let mut deciders = Deciders::new(&plain);
    group.bench_function("plain", |b| b.iter(|| deciders.plain(&plain)));
    let every = Asked::new(shop::REVIEWS, &[ID, JASON]);
    let mut deciders = Deciders::new(&every);
    group.bench_function("every-policy", |b| b.iter(|| deciders.every(&every)));
    group.finish();
}

/// The whole request path, without the network.
fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    let (plain, every): (line::Headers, line::Headers) = (&[ID], &[ID, JASON]);
    for (name, host, with) in [
        ("plain", shop::PLAIN, plain),
        ("every-policy", shop::REVIEWS, every),
    ] {
        let line = Line::new();
        group.bench_function(name, |b| {
            b.iter_batched(
                || (line::request(host, with), line::response()),
                |(request, response)| line.answer(request, response),
                // The batch is small, because more requests would not stay in the processor's caches, as a request that
                // was just read does.
                BatchSize::NumIterations(32),
            );
        });
    }
    group.finish();
}

fn rebuilds(c: &mut Criterion) {
    let mut group = c.benchmark_group("rebuild");
    for (name, policy) in [
        ("least-request", LbPolicy::LEAST_REQUEST),
        ("ring-hash", LbPolicy::RingHash(RingHash::ENVOY)),
        ("maglev", LbPolicy::Maglev(Maglev::ENVOY)),
    ] {
        let hosts = hosts(100, false);
        group.bench_function(BenchmarkId::new(name, 100), |b| {
            b.iter(|| black_box(balancer(policy, &LbOptions::default(), &hosts)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = deciders, requests, picks, rebuilds
}
criterion_main!(benches);
