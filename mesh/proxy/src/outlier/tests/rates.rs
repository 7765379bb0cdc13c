//! Tests of outliers by rates, which are evaluated at the end of each interval.

use super::*;

#[test]
fn a_host_far_below_the_mean_success_rate_is_ejected_at_tick() {
    let mut cluster = Cluster::new(6, |settings| {
        settings.consecutive_5xx = 1000;
        settings.success_rate.request_volume = 100;
    });
    for host in 0..6 {
        for request in 0..100 {
            let bad = host == 5 && request % 2 == 0;
            cluster.answers(host, if bad { 500 } else { 200 }, 1, 0);
        }
    }
    let out = [EjectionChange::Ejected(address(5), Detector::SuccessRate)];
    assert_eq!(cluster.tick(10 * S), out);
    assert_eq!(
        cluster.tick(20 * S),
        [],
        "the next interval had no requests"
    );
}

#[test]
fn success_rates_need_enough_hosts_with_enough_requests_in_one_interval() {
    let play = |hosts: usize, requests: u32, split: bool| {
        let mut cluster = Cluster::new(hosts, |settings| settings.consecutive_5xx = 1000);
        for host in 0..hosts {
            let status = if host == 0 { 500 } else { 200 };
            cluster.answers(host, status, requests / 2, 0);
            if !split {
                cluster.answers(host, status, requests / 2, 0);
            }
        }
        let mut found = cluster.tick(10 * S).len();
        for host in 0..hosts {
            let status = if host == 0 { 500 } else { 200 };
            cluster.answers(host, status, requests / 2, 10 * S);
        }
        found += cluster.tick(20 * S).len();
        found
    };
    assert_eq!(play(5, 100, false), 1);
    assert_eq!(play(4, 100, false), 0, "four hosts are too few");
    assert_eq!(play(5, 98, false), 0, "98 requests are too few");
    assert_eq!(play(5, 100, true), 0, "50 in each interval are too few");
}

#[test]
fn a_share_of_failures_above_the_threshold_is_an_outlier_where_enforced() {
    let play = |enforcing: u32, bad: u32| {
        let mut cluster = Cluster::new(5, |settings| {
            settings.consecutive_5xx = 1000;
            settings.enforcing = Enforcing {
                success_rate: 0,
                failure_percentage: enforcing,
                ..settings.enforcing
            };
        });
        for host in 0..5 {
            cluster.answers(host, 500, if host == 0 { bad } else { 0 }, 0);
            cluster.answers(host, 200, if host == 0 { 100 - bad } else { 100 }, 0);
        }
        cluster.tick(10 * S)
    };
    let out = [EjectionChange::Ejected(
        address(0),
        Detector::FailurePercentage,
    )];
    assert_eq!(play(100, 85), out);
    assert_eq!(play(100, 84), []);
    assert_eq!(play(0, 100), [], "Envoy's default is 0%");
}

#[test]
fn with_split_errors_local_origin_failures_have_their_own_rates() {
    let play = |change: fn(&mut OutlierDetection)| {
        let mut cluster = Cluster::new(5, |settings| {
            settings.split_local_origin = true;
            settings.consecutive_local_origin_failure = 1000;
            change(settings);
        });
        for host in 0..5 {
            for _ in 0..100 {
                let outcome = if host == 0 {
                    AttemptOutcome::Failed
                } else {
                    AttemptOutcome::Connected
                };
                cluster.observe(host, outcome, 0);
            }
        }
        cluster.tick(10 * S)
    };
    let out = |by| [EjectionChange::Ejected(address(0), by)];
    assert_eq!(play(|_| ()), out(Detector::SuccessRateLocalOrigin));
    let by_share = play(|settings| {
        settings.enforcing.success_rate_local_origin = 0;
        settings.enforcing.failure_percentage_local_origin = 100;
    });
    assert_eq!(by_share, out(Detector::FailurePercentageLocalOrigin));
    let neither = play(|settings| settings.enforcing.success_rate_local_origin = 0);
    assert_eq!(neither, [], "Envoy's default is 0%");
}

#[test]
fn a_success_rate_is_an_outlier_below_but_not_at_the_threshold() {
    // Four hosts at 100% and one at 50%: mean 90, deviation 20. A factor of 2.0 makes the threshold exactly 50.
    let play = |factor: u32| {
        let mut cluster = Cluster::new(5, |settings| {
            settings.consecutive_5xx = 1000;
            settings.success_rate.stdev_factor_thousandths = factor;
        });
        for host in 0..5 {
            cluster.answers(host, 200, if host == 0 { 50 } else { 100 }, 0);
            cluster.answers(host, 500, if host == 0 { 50 } else { 0 }, 0);
        }
        cluster.tick(10 * S).len()
    };
    assert_eq!((play(2000), play(1999)), (0, 1));
}

#[test]
fn failure_percentage_can_apply_with_fewer_hosts_than_success_rate_requires() {
    let mut cluster = Cluster::new(3, |settings| {
        settings.consecutive_5xx = 1000;
        settings.success_rate.minimum_hosts = 5;
        settings.failure_percentage.minimum_hosts = 3;
        settings.enforcing.failure_percentage = 100;
    });
    for host in 0..3 {
        cluster.answers(host, if host == 0 { 500 } else { 200 }, 100, 0);
    }
    let out = [EjectionChange::Ejected(
        address(0),
        Detector::FailurePercentage,
    )];
    assert_eq!(cluster.tick(10 * S), out);
}

#[test]
fn a_host_that_is_out_is_none_of_those_that_are_compared() {
    let play = |minimum_hosts: u32| {
        let mut cluster = Cluster::new(3, |settings| {
            settings.success_rate.minimum_hosts = 100;
            settings.failure_percentage.minimum_hosts = minimum_hosts;
            settings.enforcing.failure_percentage = 100;
        });
        // The second host fails too, but never five times in a row.
        for _ in 0..100 {
            cluster.answers(1, 500, 4, 0);
            cluster.answers(1, 302, 1, 0);
        }
        cluster.answers(2, 200, 100, 0);
        cluster.answers(0, 500, 100, 0);
        assert!(cluster.is_out(0));
        let mut settings = cluster.outliers.settings().clone();
        settings.failure_percentage.threshold = 80;
        cluster.outliers.set_settings(settings);
        cluster.tick(10 * S).len()
    };
    assert_eq!((play(2), play(3)), (1, 0));
}

#[test]
fn what_a_host_answers_is_looked_at_before_how_it_is_reached() {
    let mut cluster = Cluster::new(5, |settings| {
        settings.split_local_origin = true;
        settings.consecutive_5xx = 1000;
        settings.consecutive_local_origin_failure = 1000;
    });
    for host in 0..5 {
        for _ in 0..100 {
            let (reached, status) = if host == 0 {
                (AttemptOutcome::Failed, 500)
            } else {
                (AttemptOutcome::Connected, 200)
            };
            cluster.observe(host, reached, 0);
            cluster.answers(host, status, 1, 0);
        }
    }
    let out = [EjectionChange::Ejected(address(0), Detector::SuccessRate)];
    assert_eq!(cluster.tick(10 * S), out, "and it is not taken out twice");
}
