//! Tests rebuilt balancers: the effects of health, localities and the hosts' ages.

use super::localities::in_zones;
use super::priorities::priorities;
use super::subsets::{labels, with_subsets};
use super::*;

fn slowly() -> Option<SlowStart> {
    Some(SlowStart {
        window: Duration::from_secs(100),
        aggression: 1.0,
        min_weight: 0.1,
    })
}

#[test]
fn health_is_counted_by_hosts_unless_their_weights_are_asked_for() {
    let mut heavy = host(1, 9);
    heavy.healthy = false;
    let next = Host {
        priority: 1,
        ..host(3, 1)
    };
    let hosts = [heavy, host(2, 1), next];
    let members: Vec<LbHost<'_>> = hosts
        .iter()
        .map(|host| LbHost {
            host,
            healthy: host.healthy,
            since: None,
        })
        .collect();
    let options = LbOptions::default();
    let shares = |weigh_health: bool| {
        let setting = LbSettings {
            weigh_health,
            ..LbSettings::new(LbPolicy::ROUND_ROBIN, &options, None)
        };
        let mut balancer = Balancer::new(0, Time::default());
        balancer.rebuild(&setting, &members, Time::default());
        balancer.spread().shares.clone()
    };
    // 140% of a half, and 140% of a tenth.
    assert_eq!((shares(false), shares(true)), (vec![70, 30], vec![14, 86]));
}

#[test]
fn a_hash_finds_the_unhealthy_of_all_localities_in_panic() {
    for policy in [
        LbPolicy::RingHash(RingHash::ENVOY),
        LbPolicy::Maglev(Maglev::ENVOY),
    ] {
        let zones = [("a", 50, false), ("a", 50, false), ("b", 50, true)];
        let mut bench = Bench::new(policy, in_zones(&zones));
        bench.options.by_locality = true;
        bench.build();
        let counts = bench.counts(600);
        assert!(
            counts.iter().all(|count| *count > 100),
            "{policy:?}: {counts:?}"
        );
    }
}

#[test]
fn a_localitys_weight_is_what_the_last_of_its_hosts_says() {
    let zones = [("a", 10, true), ("a", 90, true), ("b", 10, true)];
    let mut bench = Bench::new(LbPolicy::ROUND_ROBIN, in_zones(&zones));
    bench.options.by_locality = true;
    bench.build();
    assert_eq!(bench.counts(1000), [450, 450, 100]);
}

#[test]
fn adding_an_unhealthy_host_leaves_selection_among_the_other_hosts_unchanged() {
    let policy = LbPolicy::LeastRequest(LeastRequest {
        slow_start: slowly(),
        ..LeastRequest::ENVOY
    });
    let mut bench = Bench::new(policy, hosts(&[1, 1]));
    bench.doing.active = vec![1, 0];
    bench.now = at(1000);
    bench.hosts.push(Host {
        healthy: false,
        ..host(3, 1)
    });
    bench.since.push(Some(at(1000)));
    bench.build();
    // Two choices miss the idle host one time in four, a weighted schedule would do so one time in three.
    let counts = bench.counts(4000);
    assert!((2900..3100).contains(&counts[1]), "{counts:?}");
}

#[test]
fn in_panic_the_unhealthy_do_not_start_slowly() {
    let policy = LbPolicy::RoundRobin(RoundRobin {
        slow_start: slowly(),
    });
    let layout = [(0, true), (0, false), (0, false)];
    let mut bench = Bench::new(policy, priorities(&layout));
    bench.now = at(50);
    bench.build();
    // The healthy host has reached half of its weight.
    let counts = bench.counts(1000);
    assert!((195..=205).contains(&counts[0]), "{counts:?}");
}

#[test]
fn a_subsets_round_robin_position_survives_a_cluster_rebuild() {
    let mut bench = with_subsets(Fallback::None, None);
    let wanted = labels(&[("version", "v2")]);
    let request = Request {
        labels: Some(&wanted),
        ..Request::default()
    };
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(bench.pick_for(request));
        bench.build();
    }
    assert_eq!(seen, [1, 2, 1, 2]);
}
