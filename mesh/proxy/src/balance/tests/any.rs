//! Property tests of balancers with any hosts and settings: the picked host exists, and nothing panics.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_balancer_never_picks_what_is_not_there(
        policy in 0..POLICIES.len(),
        layout in prop::collection::vec((0u32..3, any::<bool>(), 1u32..5, 0u32..4), 0..12),
        panic_percent in 0u32..=100,
        by_locality: bool,
        hash: Option<u64>,
    ) {
        let hosts: Vec<Host> = (1..)
            .zip(&layout)
            .map(|(n, (priority, healthy, weight, zone))| Host {
                priority: *priority,
                healthy: *healthy,
                locality: Arc::new(Locality { zone: zone.to_string(), ..Locality::default() }),
                locality_weight: *zone,
                ..host(n, *weight)
            })
            .collect();
        // The table is small to make the test fast.
        let policy = match POLICIES[policy] {
            LbPolicy::Maglev(_) => LbPolicy::Maglev(Maglev { table_size: 251 }),
            policy => policy,
        };
        let mut bench = Bench::new(policy, hosts);
        bench.options.panic_percent = panic_percent;
        bench.options.by_locality = by_locality;
        bench.build();
        for _ in 0..20 {
            let request = Request { hash, ..Request::default() };
            match bench.pick_for(request) {
                Some(host) => prop_assert!(host < bench.hosts.len()),
                None => prop_assert!(
                    panic_percent == 0 || bench.hosts.is_empty() || by_locality
                        || bench.balancer.spread().panic.contains(&false)
                ),
            }
            if panic_percent == 0 {
                let found = bench.pick_for(request);
                prop_assert!(found.is_none_or(|host| bench.hosts[host].healthy));
            }
        }
    }

    #[test]
    fn no_hosts_settings_or_loads_make_a_balancer_panic(
        policy in 0..10usize,
        builds in prop::collection::vec(
            prop::collection::vec((0u32..3, any::<bool>(), weight(), weight(), 0u64..3), 0..7),
            1..5,
        ),
        loads in prop::collection::vec((weight(), prop_oneof![Just(0.0), Just(f64::MAX), 0.0..1e12]), 7),
        extremes in (0..3usize, 0..3usize, prop_oneof![Just(0.0), Just(1e300), 0.0..4.0]),
        later in prop::collection::vec(prop_oneof![Just(0), Just(1), 0..1_000_000_000_000u64, Just(u64::MAX)], 5),
        attempts in 0..4u32,
    ) {
        let window = [Duration::from_millis(1), Duration::from_secs(60), Duration::MAX];
        let aggression = [1e-300, 1.0, 1e300];
        let slow_start = Some(SlowStart {
            window: window[extremes.0],
            aggression: aggression[extremes.1],
            min_weight: 0.0,
        });
        let mut bench = Bench::new(small(policy, slow_start, extremes.2), Vec::new());
        bench.doing.active = loads.iter().map(|load| load.0).collect();
        bench.doing.latency = loads.iter().map(|load| load.1).collect();
        for (layout, later) in builds.iter().zip(later) {
            bench.now = Time::from_nanos(bench.now.as_nanos().saturating_add(later));
            let since = bench.now;
            let hosts = (1..).zip(layout).map(|(n, (priority, healthy, weight, of_zone, zone))| Host {
                priority: *priority,
                healthy: *healthy,
                locality: Arc::new(Locality { zone: zone.to_string(), ..Locality::default() }),
                locality_weight: *of_zone,
                ..host(n, (*weight).max(1))
            });
            bench.hosts = hosts.collect();
            bench.since = bench.hosts.iter().map(|host| host.healthy.then_some(since)).collect();
            bench.options.by_locality = layout.len() % 2 == 0;
            bench.build();
            for hash in [None, Some(0), Some(u64::MAX)] {
                let request = Request { hash, attempts, now: bench.now, ..Request::default() };
                let (doing, random) = (&bench.doing, &mut bench.random);
                let picked = bench.balancer.pick(&request, |host| host == 0, doing, random);
                prop_assert!(picked.is_none_or(|host| host < bench.hosts.len()));
            }
        }
    }
}

/// A weight or a count, including both extremes.
fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![2 => 0..5u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

/// Each policy with small tables, to make the test fast, and policies with slow start in addition.
fn small(policy: usize, slow_start: Option<SlowStart>, bias: f64) -> LbPolicy {
    match policy {
        3 => LbPolicy::RingHash(RingHash {
            min_size: 16,
            max_size: 64,
            ..RingHash::ENVOY
        }),
        4 => LbPolicy::Maglev(Maglev { table_size: 31 }),
        7 => LbPolicy::RoundRobin(RoundRobin { slow_start }),
        8 => LbPolicy::LeastRequest(LeastRequest {
            choices: 3,
            bias,
            slow_start,
        }),
        9 => LbPolicy::LeastRequest(LeastRequest {
            bias,
            ..LeastRequest::ENVOY
        }),
        other => POLICIES[other],
    }
}
