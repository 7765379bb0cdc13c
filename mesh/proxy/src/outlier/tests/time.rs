//! Tests of the length of ejections.

use super::*;

#[test]
fn a_host_returns_on_the_first_tick_after_its_time() {
    let mut cluster = Cluster::new(2, |_| {});
    cluster.answers(0, 500, 5, 5 * S);
    for tick in [10, 20, 30] {
        assert_eq!(cluster.tick(tick * S), [], "{tick}");
    }
    assert!(cluster.is_out(0), "30 s are over at 35, between two ticks");
    assert_eq!(cluster.tick(40 * S), [EjectionChange::Returned(address(0))]);
    assert!(!cluster.is_out(0));
}

#[test]
fn a_tick_exactly_at_the_end_of_the_ejection_returns_the_host() {
    let mut cluster = Cluster::new(2, |_| {});
    cluster.answers(0, 500, 5, 10 * S);
    assert_eq!(cluster.tick(40 * S - 1), []);
    assert_eq!(cluster.tick(40 * S), [EjectionChange::Returned(address(0))]);
}

#[test]
fn each_ejection_lasts_one_base_time_longer_up_to_the_maximum() {
    let mut cluster = Cluster::new(2, |settings| {
        settings.base_ejection_time = Duration::from_secs(30);
        settings.max_ejection_time = Duration::from_secs(100);
        settings.interval = Duration::from_secs(1);
    });
    let mut now = 0;
    for expected in [30, 60, 90, 100, 100, 100] {
        cluster.answers(0, 500, 5, now);
        let out_at = now;
        while cluster.is_out(0) {
            now += S;
            cluster.tick(now);
        }
        assert_eq!((now - out_at) / S, expected);
    }
}

#[test]
fn by_default_ejections_grow_by_30_s_each_up_to_300_s() {
    let mut cluster = Cluster::new(2, |_| {});
    let mut now = 0;
    for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300] {
        cluster.answers(0, 500, 5, now);
        let out_at = now;
        while cluster.is_out(0) {
            now += 10 * S;
            cluster.tick(now);
        }
        assert_eq!((now - out_at) / S, expected);
    }
}

#[test]
fn the_ejection_backoff_stops_growing_at_the_maximum_plus_one_base_time() {
    // The backoff stops growing once `backoff * base` reaches `max + base`: at 5 of 30 s for a maximum of 100 s. This
    // determines the number of healthy intervals until an ejection lasts a single base time again.
    let mut cluster = Cluster::new(2, |settings| {
        settings.max_ejection_time = Duration::from_secs(100);
    });
    let mut now = 0;
    let out_for = |cluster: &mut Cluster, now: &mut u64| {
        let out_at = *now;
        cluster.answers(0, 500, 5, *now);
        while cluster.is_out(0) {
            *now += 10 * S;
            cluster.tick(*now);
        }
        (*now - out_at) / S
    };
    let first: Vec<u64> = (0..9).map(|_| out_for(&mut cluster, &mut now)).collect();
    assert_eq!(first, [30, 60, 90, 100, 100, 100, 100, 100, 100]);
    for _ in 0..4 {
        now += 10 * S;
        cluster.tick(now);
    }
    assert_eq!(
        out_for(&mut cluster, &mut now),
        60,
        "5, less 4, and one more"
    );
}

#[test]
fn ejection_backoff_drops_one_base_time_per_tick_after_a_healthy_interval() {
    let mut cluster = Cluster::new(2, |settings| settings.interval = Duration::from_secs(10));
    let out_for = |cluster: &mut Cluster, from: u64| {
        cluster.answers(0, 500, 5, from);
        let mut now = from;
        while cluster.is_out(0) {
            now += 10 * S;
            cluster.tick(now);
        }
        (now - from) / S
    };
    assert_eq!(out_for(&mut cluster, 0), 30);
    // The second ejection follows at once and is twice as long.
    assert_eq!(out_for(&mut cluster, 30 * S), 60);
    // The host returned at 90 s. That interval does not count, and the following ones reduce the backoff by one each:
    // 2, then 1.
    cluster.tick(100 * S);
    assert_eq!(out_for(&mut cluster, 100 * S), 60, "one of two is forgiven");
}

#[test]
fn ejection_jitter_spans_0_to_its_maximum_in_ms_beyond_max_time() {
    // All draws of 64 bits divide evenly among the 5001 values.
    let first = u64::MAX / 5001;
    for (draw, jitter) in [
        (0, 0),
        (first, 0),
        (first + 1, 1),
        (1 << 63, 2500),
        (u64::MAX, 5000),
    ] {
        for (max, span) in [(300, 30 * S), (30, 30 * S)] {
            let mut cluster = Cluster::new(2, |settings| {
                settings.max_ejection_time_jitter = Duration::from_millis(5 * S);
                settings.max_ejection_time = Duration::from_secs(max);
            });
            let (id, mut draws) = (cluster.ids[0], ConstantRng(draw));
            for _ in 0..5 {
                let failed = AttemptOutcome::Status(500);
                cluster.outliers.observe(id, failed, at(0), &mut draws);
            }
            assert_eq!(cluster.tick(span + jitter - 1), [], "{draw}");
            let back = [EjectionChange::Returned(address(0))];
            assert_eq!(cluster.tick(span + jitter), back, "{draw}");
        }
    }
}
