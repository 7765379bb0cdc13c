//! Defaults of missing keys.

use std::time::Duration;

use super::{read, small_scenario};
use crate::scenario::{FireTimes, OnError, Step};
use crate::value::Distribution;

#[test]
fn by_default_a_load_has_30_s_timeout_and_10000_in_flight() {
    let load = &read(&small_scenario("")).loads[0];
    assert_eq!(
        (load.timeout, load.in_flight),
        (Duration::from_secs(30), 10_000)
    );
}

#[test]
fn by_default_a_service_queues_1000_and_keeps_idle_connections_one_minute() {
    let version = &read(&small_scenario("")).services[1].versions[0];
    assert_eq!(version.queue.limit, Some(1_000));
    assert_eq!(version.keep_alive_idle, Duration::from_secs(60));
    assert_eq!(version.boot, Duration::from_secs(1));
}

#[test]
fn a_call_that_fails_fails_its_caller() {
    let scenario = read(&small_scenario(""));
    let steps = scenario.services[0].versions[0].endpoints[0].as_ref();
    let Some(Step::Call(call)) = steps.and_then(|steps| steps.last()) else {
        panic!("a call")
    };
    assert_eq!(call.on_error, OnError::Fail);
}

#[test]
fn default_latency_distinguishes_same_zone_cross_zone_and_cross_region() {
    let latency = read(&small_scenario("")).latency;
    let us = |micros: u64| Distribution::constant_ns(micros * 1_000);
    assert_eq!(
        [latency.same_zone, latency.cross_zone, latency.cross_region],
        [us(250), us(1_000), us(30_000)]
    );
}

#[test]
fn one_latency_is_that_of_all_pairs() {
    let text = small_scenario("").replace("topology:\n", "topology:\n  latency: 7ms\n");
    let latency = read(&text).latency;
    let all = Distribution::constant_ns(7_000_000);
    for one in [latency.same_zone, latency.cross_zone, latency.cross_region] {
        assert_eq!(one, all);
    }
}

#[test]
fn a_pair_of_services_may_have_latency_in_one_or_both_directions() {
    let latency = |pair: &str| {
        let pair = format!("topology:\n  latency: {{{pair}: 7ms}}\n");
        read(&small_scenario("").replace("topology:\n", &pair)).latency
    };
    let ends = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let one: Vec<_> = latency("web -> api").participants.into_keys().collect();
    assert_eq!(one, [ends("web", "api")]);
    let both: Vec<_> = latency("web <-> api").participants.into_keys().collect();
    assert_eq!(both, [ends("api", "web"), ends("web", "api")]);
}

#[test]
fn what_fires_again_and_again_begins_after_the_warm_up() {
    let text = small_scenario("chaos: [{every: 5s, do: crash, target: api}]\n")
        .replace("duration: 1m", "duration: 1m\nwarm-up: 10s");
    let FireTimes::Every { from, until, .. } = read(&text).chaos[0].when.clone() else {
        panic!("every")
    };
    assert_eq!(
        (from, until),
        (Duration::from_secs(10), Duration::from_secs(60))
    );
}
