//! Tests of every detector, the maximum ejection percentage, and arbitrary sequences of events.

mod rates;
mod time;

use proptest::prelude::*;
use shakedown_env::{Rng as ChaCha, stream_seed};
use shakedown_xds::table::Enforcing;

use super::*;
use crate::tests::constant_rng::ConstantRng;

const S: u64 = 1000;

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1000 + index as u16))
}

/// A cluster under test. All hosts may be ejected unless the test changes that.
struct Cluster {
    outliers: OutlierDetector,
    ids: Vec<OutlierHostId>,
    random: ChaCha,
}

impl Cluster {
    fn new(hosts: usize, change: impl FnOnce(&mut OutlierDetection)) -> Cluster {
        let mut settings = OutlierDetection {
            max_ejection_percent: 100,
            ..OutlierDetection::default()
        };
        change(&mut settings);
        let mut outliers = OutlierDetector::new(settings);
        let ids = (0..hosts).map(|host| outliers.add(address(host))).collect();
        Cluster {
            outliers,
            ids,
            random: stream_seed(1, "test", "outlier"),
        }
    }

    fn observe(
        &mut self,
        host: usize,
        outcome: AttemptOutcome,
        millis: u64,
    ) -> Vec<EjectionChange> {
        let id = self.ids[host];
        let changes = self
            .outliers
            .observe(id, outcome, at(millis), &mut self.random);
        changes.to_vec()
    }

    /// Records `times` responses with one status, and returns the detectors of ejections.
    fn answers(&mut self, host: usize, status: u16, times: u32, millis: u64) -> Vec<Detector> {
        (0..times)
            .flat_map(|_| self.observe(host, AttemptOutcome::Status(status), millis))
            .filter_map(|change| match change {
                EjectionChange::Ejected(_, by) => Some(by),
                EjectionChange::Overflowed(..) => None,
                EjectionChange::Returned(_) => panic!("a try brings nobody back"),
            })
            .collect()
    }

    fn tick(&mut self, millis: u64) -> Vec<EjectionChange> {
        self.outliers.tick(at(millis), &mut self.random).to_vec()
    }

    fn is_out(&self, host: usize) -> bool {
        self.outliers.is_ejected(self.ids[host])
    }
}

const BY_5XX: Detector = Detector::Consecutive5xx;
const BY_GATEWAY: Detector = Detector::ConsecutiveGatewayFailure;
const BY_LOCAL: Detector = Detector::ConsecutiveLocalOriginFailure;

#[test]
fn the_fifth_consecutive_5xx_ejects_a_host_and_the_fourth_does_not() {
    let mut cluster = Cluster::new(2, |_| {});
    assert_eq!(cluster.answers(0, 500, 4, 0), []);
    assert_eq!(cluster.answers(0, 500, 1, 0), [BY_5XX]);
    assert!(cluster.is_out(0) && !cluster.is_out(1));
}

#[test]
fn any_answer_that_is_no_5xx_starts_the_count_again() {
    for between in [200, 301, 404, 429, 499] {
        let mut cluster = Cluster::new(2, |_| {});
        cluster.answers(0, 503, 4, 0);
        cluster.answers(0, between, 1, 0);
        assert_eq!(cluster.answers(0, 503, 4, 0), [], "{between}");
        assert_eq!(cluster.answers(0, 503, 1, 0), [BY_5XX], "{between}");
    }
}

#[test]
fn gateway_failures_are_502_503_and_504_and_count_only_where_enforced() {
    let gateway = |settings: &mut OutlierDetection| {
        settings.enforcing.consecutive_gateway_failure = 100;
        settings.enforcing.consecutive_5xx = 0;
        settings.consecutive_gateway_failure = 3;
    };
    for status in [502, 503, 504] {
        let mut cluster = Cluster::new(2, gateway);
        assert_eq!(cluster.answers(0, status, 3, 0), [BY_GATEWAY], "{status}");
    }
    for status in [500, 501, 505] {
        let mut cluster = Cluster::new(2, gateway);
        assert_eq!(cluster.answers(0, status, 30, 0), [], "{status}");
    }
    let mut cluster = Cluster::new(2, gateway);
    cluster.answers(0, 503, 2, 0);
    cluster.answers(0, 500, 1, 0);
    assert_eq!(cluster.answers(0, 503, 2, 0), [], "a 500 breaks the row");
    let mut cluster = Cluster::new(2, |settings| settings.enforcing.consecutive_5xx = 0);
    assert_eq!(cluster.answers(0, 503, 30, 0), [], "Envoy's default is 0%");
}

#[test]
fn without_split_errors_timeouts_count_as_504_and_resets_as_503() {
    for outcome in [AttemptOutcome::TimedOut, AttemptOutcome::Failed] {
        let mut cluster = Cluster::new(2, |settings| {
            settings.enforcing.consecutive_gateway_failure = 100;
            settings.enforcing.consecutive_5xx = 0;
        });
        for _ in 0..4 {
            assert_eq!(cluster.observe(0, outcome, 0), []);
            assert_eq!(cluster.observe(0, AttemptOutcome::Connected, 0), []);
        }
        let out = [EjectionChange::Ejected(address(0), BY_GATEWAY)];
        assert_eq!(cluster.observe(0, outcome, 0), out, "{outcome:?}");
    }
}

#[test]
fn where_errors_are_split_failures_to_reach_a_host_count_by_themselves() {
    let mut cluster = Cluster::new(2, |settings| settings.split_local_origin = true);
    for _ in 0..4 {
        assert_eq!(cluster.observe(0, AttemptOutcome::Failed, 0), []);
    }
    assert_eq!(cluster.answers(0, 503, 4, 0), [], "two counters of four");
    cluster.observe(0, AttemptOutcome::Connected, 0);
    for _ in 0..4 {
        assert_eq!(cluster.observe(0, AttemptOutcome::TimedOut, 0), []);
    }
    let out = [EjectionChange::Ejected(address(0), BY_LOCAL)];
    assert_eq!(cluster.observe(0, AttemptOutcome::Failed, 0), out);
}

#[test]
fn an_ejected_host_keeps_counting_failures_and_is_not_ejected_again() {
    let mut cluster = Cluster::new(2, |_| {});
    cluster.answers(0, 500, 5, 0);
    assert_eq!(cluster.answers(0, 500, 50, 1), []);
    assert_eq!(cluster.outliers.ejected(), 1);
}

#[test]
fn a_share_of_enforcement_is_a_number_below_a_hundred() {
    for (draw, out) in [(0, true), (29, true), (30, false), (99, false), (129, true)] {
        let mut cluster = Cluster::new(1, |settings| settings.enforcing.consecutive_5xx = 30);
        let (id, mut draws) = (cluster.ids[0], ConstantRng(draw));
        for _ in 0..5 {
            let failed = AttemptOutcome::Status(500);
            cluster.outliers.observe(id, failed, at(0), &mut draws);
        }
        assert_eq!(cluster.is_out(0), out, "{draw}");
    }
}

#[test]
fn a_detection_that_is_not_enforced_starts_its_counter_again() {
    let mut cluster = Cluster::new(2, |settings| settings.enforcing.consecutive_5xx = 0);
    cluster.answers(0, 500, 7, 0);
    let mut settings = cluster.outliers.settings().clone();
    settings.enforcing.consecutive_5xx = 100;
    cluster.outliers.set_settings(settings);
    assert_eq!(
        cluster.answers(0, 500, 2, 0),
        [],
        "the seventh was a second"
    );
    assert_eq!(cluster.answers(0, 500, 1, 0), [BY_5XX]);
}

#[test]
fn a_count_that_is_past_its_threshold_fires_no_more() {
    // The detector fires only if the count equals the threshold. A threshold that is lowered below the count never
    // matches it.
    let mut cluster = Cluster::new(2, |_| {});
    cluster.answers(0, 500, 4, 0);
    let mut settings = cluster.outliers.settings().clone();
    settings.consecutive_5xx = 3;
    cluster.outliers.set_settings(settings);
    assert_eq!(cluster.answers(0, 500, 50, 0), []);
    cluster.answers(0, 200, 1, 0);
    assert_eq!(cluster.answers(0, 500, 3, 0), [BY_5XX]);
}

#[test]
fn any_response_other_than_5xx_resets_the_consecutive_gateway_failure_count() {
    let mut cluster = Cluster::new(2, |settings| {
        settings.enforcing.consecutive_gateway_failure = 100;
        settings.enforcing.consecutive_5xx = 0;
    });
    cluster.answers(0, 502, 4, 0);
    cluster.answers(0, 404, 1, 0);
    assert_eq!(cluster.answers(0, 504, 4, 0), []);
    assert_eq!(cluster.answers(0, 504, 1, 0), [BY_GATEWAY]);
}

#[test]
fn a_return_clears_all_counters() {
    let mut cluster = Cluster::new(2, |settings| {
        settings.enforcing.consecutive_gateway_failure = 100;
        settings.consecutive_gateway_failure = 7;
    });
    assert_eq!(
        cluster.answers(0, 503, 6, 0),
        [BY_5XX],
        "six gateway failures, one short"
    );
    cluster.tick(30 * S);
    assert!(!cluster.is_out(0));
    assert_eq!(cluster.answers(0, 503, 4, 31 * S), []);
    assert_eq!(cluster.answers(0, 503, 1, 31 * S), [BY_5XX]);
    assert_eq!(
        cluster.answers(0, 503, 3, 31 * S),
        [],
        "the eighth gateway failure since, were it not out"
    );
}

#[test]
fn a_return_clears_the_count_of_failures_to_reach_the_host() {
    let mut cluster = Cluster::new(2, |settings| settings.split_local_origin = true);
    for _ in 0..4 {
        cluster.observe(0, AttemptOutcome::Failed, 0);
    }
    assert_eq!(cluster.answers(0, 500, 5, 0), [BY_5XX]);
    cluster.tick(30 * S);
    for _ in 0..4 {
        assert_eq!(cluster.observe(0, AttemptOutcome::Failed, 31 * S), []);
    }
    let out = [EjectionChange::Ejected(address(0), BY_LOCAL)];
    assert_eq!(cluster.observe(0, AttemptOutcome::Failed, 31 * S), out);
}

#[test]
fn one_ejection_of_nine_exceeds_ten_percent_but_not_one_of_ten() {
    for (hosts, out) in [(9, 0), (10, 1), (19, 1), (20, 2)] {
        let mut cluster = Cluster::new(hosts, |settings| settings.max_ejection_percent = 10);
        for host in 0..hosts {
            cluster.answers(host, 503, 5, 0);
        }
        assert_eq!(cluster.outliers.ejected(), out, "{hosts} hosts");
    }
}

#[test]
fn a_detection_that_finds_no_room_starts_its_counter_again() {
    // Envoy 1.40: 2 hosts, 8 responses of 503 each and a threshold of 2 lead to four detections each, none of which
    // counts.
    let mut cluster = Cluster::new(2, |settings| {
        settings.consecutive_5xx = 2;
        settings.max_ejection_percent = 10;
    });
    cluster.answers(0, 503, 8, 0);
    cluster.answers(1, 503, 7, 0);
    let mut settings = cluster.outliers.settings().clone();
    settings.max_ejection_percent = 50;
    cluster.outliers.set_settings(settings);
    assert_eq!(
        cluster.answers(1, 503, 1, 0),
        [BY_5XX],
        "the eighth, as the second of a row"
    );
}

#[test]
fn each_detection_beyond_the_maximum_is_an_overflow() {
    // Envoy counts an overflow before it draws, so enforcement does not matter.
    for enforcing in [0, 100] {
        let mut cluster = Cluster::new(2, |settings| {
            settings.consecutive_5xx = 2;
            settings.max_ejection_percent = 10;
            settings.enforcing.consecutive_5xx = enforcing;
        });
        let changes: Vec<EjectionChange> = (0..5)
            .flat_map(|_| cluster.observe(1, AttemptOutcome::Status(500), 0))
            .collect();
        assert_eq!(changes, [EjectionChange::Overflowed(address(1), BY_5XX); 2]);
    }
    // An ejected host is not detected again.
    let mut cluster = Cluster::new(2, |settings| settings.max_ejection_percent = 50);
    for _ in 0..5 {
        cluster.observe(0, AttemptOutcome::Status(500), 0);
    }
    assert!(cluster.is_out(0));
    for _ in 0..20 {
        assert_eq!(cluster.observe(0, AttemptOutcome::Status(500), 0), []);
    }
}

#[test]
fn one_host_may_always_be_out_where_that_is_asked() {
    let mut cluster = Cluster::new(3, |settings| {
        settings.max_ejection_percent = 10;
        settings.always_eject_one_host = true;
    });
    assert_eq!(cluster.answers(0, 500, 5, 0), [BY_5XX]);
    assert_eq!(cluster.answers(1, 500, 5, 0), []);
}

#[test]
fn a_removed_host_makes_room_and_a_new_one_starts_clean() {
    let mut cluster = Cluster::new(2, |settings| settings.max_ejection_percent = 50);
    cluster.answers(0, 500, 5, 0);
    assert_eq!(cluster.answers(1, 500, 5, 0), [], "no room");
    cluster.outliers.remove(cluster.ids[0]);
    assert_eq!((cluster.outliers.len(), cluster.outliers.ejected()), (1, 0));
    let id = cluster.outliers.add(address(7));
    assert!(!cluster.outliers.is_ejected(id));
    assert_eq!(cluster.answers(1, 500, 5, 0), [BY_5XX]);
}

#[derive(Clone, Debug)]
enum Step {
    Answer(usize, u16),
    Fail(usize, bool),
    Tick,
    Add,
    Remove(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12usize, prop_oneof![Just(200u16), Just(500), Just(503)]).prop_map(|(host, status)| Step::Answer(host, status)),
        4 => (0..12usize, any::<bool>()).prop_map(|(host, slow)| Step::Fail(host, slow)),
        2 => Just(Step::Tick),
        1 => Just(Step::Add),
        1 => (0..12usize).prop_map(Step::Remove),
        1 => (0..100_000u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_events_take_out_more_than_the_cap_allows(
        steps in prop::collection::vec(step(), 0..200),
        percent in 0..=100u32,
        one in any::<bool>(),
        split in any::<bool>(),
        volume in 1..5u32,
    ) {
        let mut cluster = Cluster::new(5, |settings| {
            settings.consecutive_5xx = 2;
            settings.max_ejection_percent = percent;
            settings.always_eject_one_host = one;
            settings.split_local_origin = split;
            settings.success_rate.minimum_hosts = 2;
            settings.success_rate.request_volume = volume;
            settings.failure_percentage.request_volume = volume;
            settings.failure_percentage.minimum_hosts = 2;
            settings.enforcing.failure_percentage = 50;
        });
        let mut now = 0;
        for step in steps {
            let before = cluster.outliers.ejected();
            let changes = match step {
                Step::Answer(host, status) if host < cluster.ids.len() => {
                    cluster.observe(host, AttemptOutcome::Status(status), now)
                }
                Step::Fail(host, slow) if host < cluster.ids.len() => {
                    let outcome = if slow { AttemptOutcome::TimedOut } else { AttemptOutcome::Failed };
                    cluster.observe(host, outcome, now)
                }
                Step::Tick => cluster.tick(now),
                Step::Add => {
                    let id = cluster.outliers.add(address(cluster.ids.len()));
                    cluster.ids.push(id);
                    Vec::new()
                }
                Step::Remove(host) if host < cluster.ids.len() => {
                    cluster.outliers.remove(cluster.ids.swap_remove(host));
                    Vec::new()
                }
                Step::Wait(millis) => {
                    now += millis;
                    Vec::new()
                }
                _ => Vec::new(),
            };
            let (out, hosts) = (cluster.outliers.ejected(), cluster.outliers.len() as u64);
            let counted = (0..cluster.ids.len()).filter(|host| cluster.is_out(*host)).count();
            prop_assert_eq!(counted, out as usize);
            if changes.iter().any(|change| matches!(change, EjectionChange::Ejected(..))) {
                let within = 100 * u64::from(out) <= u64::from(percent) * hosts;
                prop_assert!(within || (one && out == 1), "{} of {} at {}%", out, hosts, percent);
            }
            let moved = changes.iter().map(|change| match change {
                EjectionChange::Ejected(..) => 1i64,
                EjectionChange::Returned(..) => -1,
                EjectionChange::Overflowed(..) => 0,
            }).sum::<i64>();
            if !changes.is_empty() {
                prop_assert_eq!(i64::from(before) + moved, i64::from(out));
            }
        }
    }
}
