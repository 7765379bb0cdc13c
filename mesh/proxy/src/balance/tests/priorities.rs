//! Priorities and panic mode.

use super::*;

pub(super) fn priorities(healthy: &[(u32, bool)]) -> Vec<Host> {
    let hosts = (1..).zip(healthy).map(|(n, (priority, healthy))| Host {
        priority: *priority,
        healthy: *healthy,
        ..host(n, 1)
    });
    hosts.collect()
}

#[test]
fn the_next_priority_takes_over_on_failure_and_returns_traffic_on_recovery() {
    for policy in POLICIES {
        let layout = [(0, true), (0, true), (1, true), (2, true)];
        let mut bench = Bench::new(policy, priorities(&layout));
        bench.options.panic_percent = 0;
        bench.build();
        let counts = bench.counts(200);
        assert_eq!(counts[2] + counts[3], 0, "{policy:?}: {counts:?}");
        bench.hosts[0].healthy = false;
        bench.hosts[1].healthy = false;
        bench.build();
        assert_eq!(bench.counts(100), [0, 0, 100, 0], "{policy:?}");
        bench.hosts[1].healthy = true;
        bench.build();
        let counts = bench.counts(3000);
        // Half of the priority is healthy, so it keeps 70% of the traffic.
        assert_eq!((counts[0], counts[3]), (0, 0), "{policy:?}: {counts:?}");
        assert!((1950..2250).contains(&counts[1]), "{policy:?}: {counts:?}");
    }
}

#[test]
fn in_panic_all_hosts_are_used_and_without_a_threshold_none() {
    for policy in POLICIES {
        let mut bench = Bench::new(policy, priorities(&[(0, false), (0, false), (0, true)]));
        let counts = bench.counts(600);
        assert!(
            counts.iter().all(|count| *count > 100),
            "{policy:?}: {counts:?}"
        );
        bench.options.panic_percent = 0;
        bench.build();
        assert_eq!(bench.counts(20), [0, 0, 20], "{policy:?}");
        bench.hosts[2].healthy = false;
        bench.build();
        assert_eq!(bench.pick(), None, "{policy:?}");
    }
}

#[test]
fn traffic_fails_in_panic_where_that_is_asked_for() {
    let mut bench = Bench::new(
        LbPolicy::ROUND_ROBIN,
        priorities(&[(0, false), (0, false), (0, true)]),
    );
    bench.options.fail_on_panic = true;
    bench.build();
    assert_eq!(bench.pick(), None);
}
