//! Shares of localities.

use super::*;

pub(super) fn in_zones(zones: &[(&str, u32, bool)]) -> Vec<Host> {
    let hosts = (1..).zip(zones).map(|(n, (zone, weight, healthy))| Host {
        locality: Arc::new(Locality {
            zone: (*zone).into(),
            ..Locality::default()
        }),
        locality_weight: *weight,
        healthy: *healthy,
        ..host(n, 1)
    });
    hosts.collect()
}

#[test]
fn localities_get_their_shares_whatever_their_hosts() {
    for policy in POLICIES {
        let zones = [
            ("a", 80, true),
            ("b", 20, true),
            ("b", 20, true),
            ("b", 20, true),
        ];
        let mut bench = Bench::new(policy, in_zones(&zones));
        bench.options.by_locality = true;
        bench.build();
        let counts = bench.counts(5000);
        let in_a = counts[0];
        assert!((3800..4250).contains(&in_a), "{policy:?}: {counts:?}");
    }
}

#[test]
fn a_locality_that_loses_hosts_loses_share() {
    let zones = [
        ("a", 50, true),
        ("a", 50, false),
        ("a", 50, false),
        ("b", 50, true),
    ];
    let mut bench = Bench::new(LbPolicy::ROUND_ROBIN, in_zones(&zones));
    bench.options.by_locality = true;
    bench.options.panic_percent = 0;
    bench.build();
    // A third of zone a is healthy: 140 * 1/3 percent of its weight is 23.3, against 50.
    let counts = bench.counts(2200);
    assert!((695..705).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[1] + counts[2], 0);
}

#[test]
fn without_any_weight_localities_are_not_told_apart() {
    let zones = [("a", 0, true), ("b", 0, true)];
    let mut bench = Bench::new(LbPolicy::ROUND_ROBIN, in_zones(&zones));
    bench.options.by_locality = true;
    bench.build();
    assert_eq!(bench.counts(10), [5, 5]);
}
